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

// unchangedSince returns the backup that makes a new one unnecessary: verified, recent, and the last thing that the
// tenant's compute was active for. Only a tenant that seems unchanged is resolved.
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
	if !inactiveSince(newest.Manifest, lastActive) {
		return newest, false, nil
	}
	target, err := mode.Resolve(ctx, b.env, t, log)
	return newest, err == nil && newest.Manifest.Origin.Same(b.owner(t, target).Origin), err
}

// recentEnough reports whether there is a backup that is not older than maxAge.
func recentEnough(newest backups.Backup, now time.Time, maxAge time.Duration) bool {
	return newest.Key != "" && now.Sub(newest.Time) <= maxAge
}

// dumpTail is for how long after the end of a backup the compute may count as active because of the backup itself.
const dumpTail = time.Minute

// inactiveSince reports whether a tenant's compute was last active for the backup with that manifest.
func inactiveSince(m backups.Manifest, lastActive time.Time) bool {
	return lastActive.Before(m.FinishedAt.Add(dumpTail))
}
