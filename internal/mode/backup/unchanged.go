package backup

import (
	"context"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// unchangedSince returns the backup that makes a new one unnecessary: verified, recent, and proved to hold everything
// that has been written since. Only a tenant that seems unchanged is resolved, and only one whose compute was active
// just after the backup, which may have been for the backup, is connected to.
func (b *Job) unchangedSince(
	ctx context.Context, t fleet.Tenant, newestFirst []backups.Backup, log *slog.Logger,
) (newest backups.Judged, ok bool, err error) {
	if b.activity == nil {
		return newest, false, nil
	}
	o := b.owner(t, postgres.Target{})
	o.Proven = true
	newest, _, err = b.Store.Newest(ctx, newestFirst, o)
	if err != nil || !recentEnough(newest.Backup, b.Store.Now(), b.maxAge) {
		return newest, false, err
	}
	lastActive, known, err := b.activity.LastActive(ctx, t)
	if err != nil {
		return newest, false, err
	}
	if !known {
		b.env.Notice("skip-unchanged: some tenants are backed up every time, because it is not known when they were last " +
			"in use (they are not Neon projects, or Neon does not say)")
		return newest, false, nil
	}
	since := activeSince(newest.Manifest.Quiet, lastActive)
	if since == sinceThen {
		return newest, false, nil
	}
	target, err := mode.Resolve(ctx, b.env, t, log)
	if err != nil || !newest.Manifest.Origin.Same(b.owner(t, target).Origin) {
		return newest, false, err
	}
	if since == perhaps {
		now, err := b.lookAgain(ctx, t, target, log)
		return newest, err == nil && backups.Proof(backups.Look{Quiet: *newest.Manifest.Quiet}, now) != nil, err
	}
	return newest, true, nil
}

// recentEnough reports whether there is a backup that is not older than maxAge.
func recentEnough(newest backups.Backup, now time.Time, maxAge time.Duration) bool {
	return newest.Key != "" && now.Sub(newest.Time) <= maxAge
}

// dumpTail is for how long after the look that ended a backup the compute may count as active because of that look.
// Neon does not document what its time of the last activity means to the second.
const dumpTail = time.Minute

// active says whether a tenant's compute was active after a backup.
type active int

const (
	sinceThen active = iota // or the backup does not prove that it holds everything
	perhaps                 // for the backup, or for something else just after it
	notSince
)

// activeSince decides what the time of the last activity means for a backup with that proof; nil is none.
func activeSince(q *backups.Quiet, lastActive time.Time) active {
	switch {
	case q == nil || !lastActive.Before(q.Until.Add(dumpTail)):
		return sinceThen
	case lastActive.After(q.Until):
		return perhaps
	}
	return notSince
}
