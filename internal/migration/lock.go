package migration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// lockAndRead takes the database's lock and reads its versions, in one message that is sent again until the lock is free.
// Where everything is applied the lock is not waited for: whoever holds it can add nothing of ours.
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
			c.Log().Info("another run holds this tenant's lock, waiting for it", "at most", o.LockTimeout)
		}
		select {
		case <-ctx.Done():
			return postgres.Status{}, fmt.Errorf("wait for another run's lock: %w", context.Cause(ctx))
		case <-time.After(min(pause, o.LockTimeout-waited)/2 + rand.N(min(pause, o.LockTimeout-waited)/2+1)):
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// compare sets what the database records against the files.
func compare(s postgres.Status, files *Files) (Result, []migration) {
	m := Result{Before: s.Highest()}
	m.After = m.Before
	known := map[string]bool{}
	var pending []migration
	for _, f := range files.ordered {
		known[f.version] = true
		if s.Versions[f.version] {
			continue
		}
		pending = append(pending, f)
		m.Pending = append(m.Pending, f.file)
		if m.Before != "" && postgres.HigherVersion(m.Before, f.version) != f.version {
			m.OutOfOrder = append(m.OutOfOrder, f.file)
		}
	}
	for v := range s.Versions {
		if !known[v] {
			m.Unknown = append(m.Unknown, v)
		}
	}
	slices.Sort(m.Unknown)
	return m, pending
}
