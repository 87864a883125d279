package migration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// lockAndRead takes the database's lock and reads its versions, in one message that it repeats until the lock is free.
// If everything is applied it does not wait for the lock: whoever holds it has nothing of ours left to apply.
func lockAndRead(ctx context.Context, c *postgres.Conn, files *Files, o Options) (postgres.Status, error) {
	if o.DryRun {
		return postgres.ReadStatus(ctx, c, o.Table, postgres.NoLock)
	}
	return lock(ctx, c, o.Table, postgres.ExclusiveLock, o.LockTimeout, func(s postgres.Status) bool {
		_, pending := compare(files.match(s), files)
		return len(pending) == 0
	})
}

// Lock takes the database's lock, so that nobody migrates it as long as the connection lasts, and reads its versions.
// It waits for another run's lock for so long at most. Errors: [*LockError], those of [postgres.ReadStatus].
func Lock(ctx context.Context, c *postgres.Conn, t postgres.Ledger, wait time.Duration) (postgres.Status, error) {
	return lock(ctx, c, t, postgres.ExclusiveLock, wait, never)
}

// Share is [Lock] for those that only read, such as a dump: any number of them may hold the lock at once. A migration
// that changed a table meanwhile would wait for their locks on it, and everybody else behind it.
func Share(ctx context.Context, c *postgres.Conn, t postgres.Ledger, wait time.Duration) (postgres.Status, error) {
	return lock(ctx, c, t, postgres.SharedLock, wait, never)
}

func never(postgres.Status) bool { return false }

// lock tries to take the lock and reads the versions until it has the lock, or what it reads is enough without it.
func lock(
	ctx context.Context, c *postgres.Conn, t postgres.Ledger, how postgres.Lock, wait time.Duration,
	enough func(postgres.Status) bool,
) (postgres.Status, error) {
	began, pause := time.Now(), 100*time.Millisecond
	for {
		status, err := postgres.ReadStatus(ctx, c, t, how)
		if err != nil {
			return postgres.Status{}, err
		}
		if status.Locked || enough(status) {
			return status, nil
		}
		waited := time.Since(began)
		if waited >= wait {
			holder, shared := postgres.LockHolder(ctx, c, t.Table)
			return postgres.Status{}, &LockError{waited, holder, shared}
		}
		if pause < 200*time.Millisecond {
			_, shared := postgres.LockHolder(ctx, c, t.Table)
			c.Log().Info(whoHolds(shared)+", waiting for it", "at most", wait)
		}
		half := min(pause, wait-waited) / 2
		select {
		case <-ctx.Done():
			return postgres.Status{}, fmt.Errorf("wait for another run's lock: %w", context.Cause(ctx))
		case <-time.After(half + rand.N(half+1)):
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// whoHolds says what kind of run holds the lock: of ours, only backups share it.
func whoHolds(shared bool) string {
	if shared {
		return "a backup holds the migration lock"
	}
	return "another run holds the migration lock"
}

// compare compares what the database records with the files. The order of drizzle's journal is by time: an entry that
// is not later than the latest recorded one is skipped, also by drizzle itself.
func compare(f found, files *Files) (Result, []migration) {
	r := Result{Edited: f.edited}
	for v := range f.versions {
		r.Before = postgres.HigherVersion(r.Before, v)
	}
	r.After = r.Before
	known := map[string]bool{}
	var pending []migration
	for _, m := range files.ordered {
		known[m.version] = true
		switch {
		case f.versions[m.version]:
			continue
		case files.layout == journalAndFiles && m.entry.CreatedAt <= f.latest:
			r.Skipped = append(r.Skipped, m.file)
			continue
		}
		pending = append(pending, m)
		r.Pending = append(r.Pending, m.file)
		if r.Before != "" && postgres.HigherVersion(r.Before, m.version) != m.version {
			r.OutOfOrder = append(r.OutOfOrder, m.file)
		}
	}
	for v := range f.versions {
		if !known[v] {
			r.Unknown = append(r.Unknown, v)
		}
	}
	slices.Sort(r.Unknown)
	if files.layout == journalAndFiles {
		pending = units(pending)
	}
	return r, pending
}
