package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// guard says what keeps migrations away from a tenant while it is dumped. A migration that changed a table meanwhile
// would wait for pg_dump's lock on it, and the tenant's application would wait behind the migration.
type guard int

const (
	noGuard guard = iota // nobody migrates what has no table of versions of ours
	locked               // the shared lock, as long as the connection lasts
	gaveUp               // the connection was given up for pg_dump's
)

// keepMigrationsAway takes the tenant's migration lock, beside other backups, and reads its version. It waits for a run
// that migrates the tenant. In a dry run it only reads.
func (b *Job) keepMigrationsAway(
	ctx context.Context, conn *postgres.Conn, schema string, log *slog.Logger,
) (version string, g guard, err error) {
	table := b.table
	if schema != "" {
		table = table.In(schema)
	}
	var status postgres.Status
	if b.env.DryRun {
		status, err = postgres.ReadStatus(ctx, conn, table, postgres.NoLock)
	} else {
		status, err = migration.Share(ctx, conn, table, b.lockTimeout)
	}
	switch held := (*migration.LockError)(nil); {
	case ctx.Err() != nil:
		return "", noGuard, fmt.Errorf("read the schema's version: %w", context.Cause(ctx))
	case errors.As(err, &held):
		return "", noGuard, fmt.Errorf("nothing was dumped: %w", err)
	case err != nil:
		log.Warn("the schema's version is not known", "error", err) // a backup is worth having all the same
	case status.Locked:
		g = locked
	}
	return status.Highest(), g, nil
}

// lockMigrationsOut takes the tenant's migration lock for as long as the connection lasts. Where nothing records
// versions as ours do, there is none.
func lockMigrationsOut(
	ctx context.Context, conn *postgres.Conn, table postgres.Ledger, wait time.Duration, log *slog.Logger,
) error {
	_, err := migration.Lock(ctx, conn, table, wait)
	switch held := (*migration.LockError)(nil); {
	case ctx.Err() != nil: // then nobody knows whether a migration is running
		return fmt.Errorf("wait for the migration lock: %w", context.Cause(ctx))
	case errors.As(err, &held):
		return fmt.Errorf("nothing was restored: %w", err)
	case err != nil:
		log.Info("the tenant's versions cannot be read, so no lock keeps migrations away", "error", err)
	}
	return nil
}

// letGo gives up the connection, for a server that has room for one only.
func (db *database) letGo() {
	if db.conn == nil {
		return
	}
	db.conn.Close()
	db.conn = nil
	if db.guard == locked {
		db.guard = gaveUp
	}
}

// unguarded returns a warning if nothing kept migrations away until the end of the dump, which is whole all the same.
func (db *database) unguarded(ctx context.Context) []string {
	const risk = ": a migration at that time waits for the dump's locks, and the tenant's application behind it; " +
		"the backup is whole all the same"
	switch db.guard {
	case gaveUp:
		return []string{"nothing kept migrations away during the dump, because the server has room for a single " +
			"connection of this role, which pg_dump needs" + risk}
	case locked:
		if _, err := db.conn.Exec(ctx, "select"); err != nil && ctx.Err() == nil {
			return []string{fmt.Sprintf("the session that kept migrations away was lost during the dump (%v)%s", err, risk)}
		}
	}
	return nil
}
