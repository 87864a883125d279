// Package migration brings one database to the newest of a directory's dbmate files: dbmate's engine over one pgx
// connection, a session lock held over the check and the apply, and errors that name the place in the file. It knows
// neither tenants nor inputs.
package migration

import (
	"context"
	"fmt"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Options say how to migrate one database.
type Options struct {
	// Table is where versions are recorded.
	Table postgres.Table
	// Schema is where the migrations work and where Table is, for a tenant that is one schema of a database: names without a
	// schema are that schema's, and never another's. The connection must have been made with [postgres.Options].NoSearchPath; it is
	// left as it was found, without a lock, for the next schema. Empty: the tenant is the database, and the connection is to be closed.
	Schema string
	// CreateSchema makes the schema where it does not exist; otherwise that is a [*postgres.MissingSchemaError].
	CreateSchema bool
	// Strict refuses a pending version that is lower than the highest recorded one.
	Strict bool
	// LockTimeout is how long to wait for another run's lock on this database.
	LockTimeout time.Duration
	// StatementLockTimeout is PostgreSQL's lock_timeout for the migrations' own statements.
	StatementLockTimeout time.Duration
	// DryRun reads what is pending, takes no lock and changes nothing.
	DryRun bool
}

// Result is what became of one database.
type Result struct {
	Before, After string    // highest recorded version; empty where there is none
	Applied       []Applied // in the order in which they ran
	Pending       []string  // files not applied: those of a dry run, or those left after a failure
	OutOfOrder    []string  // pending files whose version is lower than Before
	Unknown       []string  // recorded versions for which there is no file
	Creates       bool      // the schema did not exist: it was made, or would be in a dry run
	Warnings      []string
}

// Applied is one file that was run and recorded.
type Applied struct {
	Version, File string
	Elapsed       time.Duration
}

// Migrate brings one database to the files' latest version with dbmate's engine over the open connection, whose lock on
// the database ends with the connection. With nothing pending it costs one round trip; each migration costs one more. It
// returns what was done also where it fails: a [*Error], a [*LockError], or an error of reading the versions.
func Migrate(ctx context.Context, c *postgres.Conn, files *Files, o Options) (Result, error) {
	if o.Schema != "" {
		o.Table = o.Table.In(o.Schema)
	}
	clean := o.Schema == "" || o.DryRun
	defer func() {
		if !clean {
			c.Reset(ctx)
		}
	}()
	status, err := lockAndRead(ctx, c, files, o)
	if err != nil {
		return Result{}, err
	}
	result, pending, err := plan(status, files, o)
	if err != nil {
		return result, err
	}
	if len(pending) == 0 || o.DryRun {
		clean = clean || !status.Locked
		return result, nil
	}
	s := &applier{
		ctx: ctx, conn: c, table: status.Table.Quoted(), lockTimeout: o.StatementLockTimeout,
		schema: o.Schema, found: status.Found, versions: status.Versions, pending: pending,
	}
	if !status.Found {
		if !status.SchemaExists {
			s.setup = append(s.setup, "create schema if not exists "+sqltext.QuoteIdentifier(status.Table.Schema))
		}
		s.setup = append(s.setup, fmt.Sprintf("create table if not exists %s (version varchar primary key)", s.table))
	}
	err = withEngine(files.files, s, func(db *dbmate.DB) error { return db.Migrate() })
	result.Applied, result.Warnings = s.applied, append(result.Warnings, s.warnings...)
	for _, a := range s.applied {
		result.After = postgres.HigherVersion(result.After, a.Version)
	}
	result.Pending = result.Pending[len(s.applied):]
	clean = clean || err == nil // the last message has reset the session
	return result, err
}

// plan decides what there is to do, and refuses what must not be done.
func plan(s postgres.Status, files *Files, o Options) (Result, []migration, error) {
	if o.Schema != "" && !s.SchemaExists {
		if !o.CreateSchema {
			return Result{}, nil, &postgres.MissingSchemaError{Schema: o.Schema}
		}
		if err := postgres.SchemaName(o.Schema); err != nil {
			return Result{}, nil, fmt.Errorf("the schema is missing and cannot be made: %q %w", o.Schema, err)
		}
	}
	m, pending := compare(s, files)
	m.Creates = o.Schema != "" && !s.SchemaExists
	if o.Strict && len(m.OutOfOrder) > 0 {
		return m, pending, &OrderError{File: m.OutOfOrder[0], Highest: m.Before}
	}
	return m, pending, nil
}

// OrderError is a pending migration that strict-order refuses.
type OrderError struct{ File, Highest string }

func (e *OrderError) Error() string {
	return fmt.Sprintf("%s is pending, but the higher version %s is applied already, and strict-order is on", e.File, e.Highest)
}

// Remedy tells the two ways out.
func (e *OrderError) Remedy() string {
	return "give the file a version above " + e.Highest + ", or set strict-order: false to apply it out of order; nothing was applied"
}

// LockError is another run's lock that was not released in time.
type LockError struct {
	Waited time.Duration
	Holder string // what the server tells of the session that holds it; may be empty
}

func (e *LockError) Error() string {
	return fmt.Sprintf("another run holds this tenant's migration lock%s; waited %s for it", e.Holder, e.Waited.Round(time.Second))
}

// Remedy says how to keep runs apart.
func (e *LockError) Remedy() string {
	return "let the other run finish and run again; give the workflow a concurrency group so that runs do not overlap, or raise lock-timeout"
}
