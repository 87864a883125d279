// Package catalog reads and writes the catalog database: the control plane's own tables, created by migrations/catalog,
// in which the action records the state of every tenant and from which it can list them.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/migrations"
)

// migrationsTable records the versions of the catalog's own migrations. It is not dbmate's default, so that a team can
// have migrations of its own for tables that it adds to the catalog. Like the catalog's tables it is in the schema
// public, so that every role finds one and the same catalog, whatever its search_path.
var migrationsTable = postgres.Ledger{Table: postgres.Table{Schema: "public", Name: "neon_tenants_schema_migrations"}}

// Catalog is a catalog database. It keeps no connection between calls, so that the database's compute can be suspended
// during a long run.
type Catalog struct {
	target  postgres.Target
	options postgres.Options
}

// Open connects once and migrates the catalog's tables to this version of the program, under a lock, so that any number
// of jobs can open it at once. A catalog that a newer version has migrated further is used as it is, because migrations
// of the catalog only add. Errors are those of connecting, and of a migration, with a remedy.
func Open(ctx context.Context, t postgres.Target, o postgres.Options) (*Catalog, error) {
	c := &Catalog{t, o}
	o.FirstSchema = migrationsTable.Schema // the extension citext may be in one of the others
	conn, err := connect(ctx, t, o)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	files, err := migration.LoadEmbedded(migrations.Catalog, "catalog")
	if err != nil {
		return nil, err
	}
	_, err = migration.Migrate(ctx, conn, files, migration.Options{
		Table: migrationsTable, LockTimeout: 30 * time.Second, StatementLockTimeout: 10 * time.Second,
	})
	return c, explain(err)
}

func (c *Catalog) connect(ctx context.Context) (*postgres.Conn, error) {
	return connect(ctx, c.target, c.options)
}

func connect(ctx context.Context, t postgres.Target, o postgres.Options) (*postgres.Conn, error) {
	conn, err := postgres.Connect(ctx, t, o)
	return conn, remedies.Explain(err)
}

// explain adds a remedy to the error of a migration. The error that it returns has no location, because the file is
// part of this program and not in the workspace.
func explain(err error) error {
	if err == nil {
		return nil
	}
	failed := fmt.Errorf("create the catalog's tables: %v", err) //nolint:errorlint // see above
	var table *postgres.TableError
	var lock *migration.LockError
	switch {
	case errors.As(err, &table) && table.Cause == postgres.VersionsNotOurs:
		return fleet.WithRemedy(failed, "give the catalog a database of its own")
	case errors.As(err, &table):
		return fleet.WithRemedy(failed, "give the connection string of the role that owns the catalog's tables")
	case errors.As(err, &lock), postgres.HasCode(err, "55P03"):
		return fleet.WithRemedy(failed, "another session holds a lock that creating them needs: run again when it has ended")
	case postgres.HasCode(err, "0A000"), postgres.HasCode(err, "58P01"):
		return fleet.WithRemedy(failed, "the catalog needs the extension citext, which this server does not have: "+
			"install PostgreSQL's contrib package, or use a Neon project as the catalog")
	case postgres.HasCode(err, "42501"):
		return fleet.WithRemedy(failed, "grant the role create on the catalog's database and on its schema public, "+
			"or run create extension citext there once as a role that may")
	case postgres.HasCode(err, "42P07"):
		return fleet.WithRemedy(failed, "the database already has a table with that name that is not the catalog's: "+
			"give the catalog a database of its own")
	}
	return fleet.WithRemedy(failed, remedies.Of(err))
}
