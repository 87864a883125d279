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
	began, pause := time.Now(), 100*time.Millisecond
	for {
		status, err := postgres.ReadStatus(ctx, c, o.Table, !o.DryRun)
		if err != nil {
			return postgres.Status{}, err
		}
		if _, pending := compare(status, files); status.Locked || o.DryRun || len(pending) == 0 {
			return status, nil
		}
		waited := time.Since(began)
		if waited >= o.LockTimeout {
			return postgres.Status{}, &LockError{waited, postgres.LockHolder(ctx, c, o.Table)}
		}
		if pause < 200*time.Millisecond {
			c.Log().Info("another run holds the migration lock, waiting for it", "at most", o.LockTimeout)
		}
		half := min(pause, o.LockTimeout-waited) / 2
		select {
		case <-ctx.Done():
			return postgres.Status{}, fmt.Errorf("wait for another run's lock: %w", context.Cause(ctx))
		case <-time.After(half + rand.N(half+1)):
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// compare compares what the database records with the files.
func compare(s postgres.Status, files *Files) (Result, []migration) {
	r := Result{Before: s.Highest()}
	r.After = r.Before
	known := map[string]bool{}
	var pending []migration
	for _, f := range files.ordered {
		known[f.version] = true
		if s.Versions[f.version] {
			continue
		}
		pending = append(pending, f)
		r.Pending = append(r.Pending, f.file)
		if r.Before != "" && postgres.HigherVersion(r.Before, f.version) != f.version {
			r.OutOfOrder = append(r.OutOfOrder, f.file)
		}
	}
	for v := range s.Versions {
		if !known[v] {
			r.Unknown = append(r.Unknown, v)
		}
	}
	slices.Sort(r.Unknown)
	return r, pending
}
