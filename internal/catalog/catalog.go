// Package catalog keeps the catalog database: the control plane's own tables, which migrations/catalog makes, in which the
// action records what became of every tenant and out of which it can list them.
package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/migrations"
)

// migrationsTable is where the catalog's own versions are recorded. It is not dbmate's default, so that a team can keep
// migrations of its own for the tables that it adds to the catalog.
const migrationsTable = "neon_tenants_schema_migrations"

// Catalog is a catalog database. No connection is kept between calls: runs are long, and its compute may sleep meanwhile.
type Catalog struct {
	target  postgres.Target
	options postgres.Options
}

// Open connects once and brings the catalog's tables to this version's, under a lock, so that any number of jobs may do so at
// once. A catalog that a newer version has migrated further is used as it is: migrations of the catalog only add.
func Open(ctx context.Context, t postgres.Target, o postgres.Options) (*Catalog, error) {
	c := &Catalog{t, o}
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	files, err := migration.LoadEmbedded(migrations.Catalog, "catalog")
	if err != nil {
		return nil, err
	}
	table, err := postgres.ParseTable(migrationsTable)
	if err != nil {
		return nil, err
	}
	_, err = migration.Migrate(ctx, conn, files, migration.Options{Table: table, LockTimeout: 30 * time.Second, StatementLockTimeout: 10 * time.Second})
	return c, explain(err)
}

func (c *Catalog) connect(ctx context.Context) (*postgres.Conn, error) {
	return postgres.Connect(ctx, c.target, c.options)
}

// explain says what to do about tables that could not be made. What it returns names no place in a file, because the file is
// this program's and not in the workspace.
func explain(err error) error {
	if err == nil {
		return nil
	}
	failed := fmt.Errorf("make the catalog's tables: %v", err) //nolint:errorlint // see above
	switch {
	case postgres.HasCode(err, "0A000"), postgres.HasCode(err, "58P01"):
		return fleet.WithRemedy(failed, "the catalog needs the extension citext, which this server does not have: install it (PostgreSQL's contrib package), or take a Neon project for the catalog")
	case postgres.HasCode(err, "42501"):
		return fleet.WithRemedy(failed, "let the role create in the catalog's database (grant create on database and on its schema public), or run create extension citext there once as a role that may")
	case postgres.HasCode(err, "42P07"):
		return fleet.WithRemedy(failed, "the database already has a table of that name that is not the catalog's: give the catalog a database of its own")
	}
	return fleet.WithRemedy(failed, fleet.Remedy(err))
}
