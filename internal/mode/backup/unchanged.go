package backup

import (
	"context"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
)

// unchangedSince returns the backup that makes a new one unnecessary: verified, recent, and the last thing that the
// tenant's compute was active for.
func (b *Job) unchangedSince(
	ctx context.Context, t fleet.Tenant, newestFirst []backups.Backup,
) (newest backups.Backup, ok bool, err error) {
	if b.activity == nil {
		return backups.Backup{}, false, nil
	}
	newest, ok = recentEnough(newestFirst, time.Now(), b.maxAge)
	if !ok {
		return backups.Backup{}, false, nil
	}
	lastActive, known, err := b.activity.LastActive(ctx, t)
	if err != nil {
		return backups.Backup{}, false, err
	}
	if !known {
		b.env.Notice("skip-unchanged: some tenants are backed up every time, because it is not known when they were last " +
			"in use (they are not Neon projects, or Neon does not say)")
		return backups.Backup{}, false, nil
	}
	m, err := b.Store.Manifest(ctx, newest.Key)
	if err != nil {
		return backups.Backup{}, false, err
	}
	return newest, inactiveSince(m, lastActive), nil
}

// recentEnough returns the newest verified backup, unless it is older than maxAge.
func recentEnough(newestFirst []backups.Backup, now time.Time, maxAge time.Duration) (backups.Backup, bool) {
	newest, ok := backups.NewestVerified(newestFirst)
	if !ok || now.Sub(newest.Time) > maxAge {
		return backups.Backup{}, false
	}
	return newest, true
}

// dumpTail is for how long after the end of a backup the compute may count as active because of the backup itself.
const dumpTail = time.Minute

// inactiveSince reports whether a tenant's compute was last active for the backup with that manifest.
func inactiveSince(m backups.Manifest, lastActive time.Time) bool {
	return lastActive.Before(m.FinishedAt.Add(dumpTail))
}
