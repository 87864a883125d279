// Package migration migrates one database to the newest of a directory's dbmate files: dbmate's engine over one pgx
// connection, a session lock that is held while versions are compared and migrations applied, and errors that name the
// place in the file. It knows neither tenants nor inputs: its errors carry facts.
package migration

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// Options say how to migrate one database.
type Options struct {
	// Table is where versions are recorded, in Schema if it names none.
	Table postgres.Ledger
	// Schema is the schema in which the migrations work and in which Table is, if several schemas of one database are
	// migrated separately. Names without a schema then mean this schema and never another. The connection must have
	// been made with [postgres.Options].NoSearchPath; it is left as it was found, without a lock, for the next schema.
	// Empty: the whole database is migrated, and the connection must be closed afterwards.
	Schema string
	// CreateSchema creates a missing schema, which is otherwise a [*postgres.MissingSchemaError].
	CreateSchema bool
	// Beginning refuses a database whose recorded versions are not the first ones of the files.
	Beginning bool
	// Strict refuses a pending version that is lower than the highest recorded one.
	Strict bool
	// LockTimeout is how long to wait for another run's lock on this database.
	LockTimeout time.Duration
	// StatementLockTimeout is PostgreSQL's lock_timeout for the migrations' own statements.
	StatementLockTimeout time.Duration
	// Alone is called when a migration was rolled back because of another session's locks; failed is the error. If they
	// are those of other workers of this run, it waits until none of them is on the server, keeps them away until the
	// connection is released, and returns true. Nil: there are no others.
	Alone func(ctx context.Context, failed error) (bool, error)
	// Baseline is given to a database that records no versions. Nil: all files are run there.
	Baseline *Baseline
	// Before is called once while the lock is held, before the first file is run or recorded, with what is recorded until
	// then. If it fails, nothing is changed. Nil: there is nothing to do first.
	Before func(ctx context.Context, c *postgres.Conn, s postgres.Status) error
	// Watch follows what each file does to the tables: see [Trace]. It needs a database that nobody else uses.
	Watch bool
	// DryRun reads what is pending, takes no lock and changes nothing.
	DryRun bool
}

// Result is what was found in and done to one database.
type Result struct {
	Before, After string   // highest recorded version, "" if there is none
	Recorded      []string // files recorded for the baseline and not run; in a dry run, those that would be
	// RecordedVersions are the versions of Recorded.
	RecordedVersions []string
	Applied          []Applied // in the order in which they ran
	Pending          []string  // files that are not applied: those of a dry run, or those left after a failure
	OutOfOrder       []string  // pending files whose version is lower than Before
	Skipped          []string  // files of drizzle's journal that are not applied and never will be
	Unknown          []string  // recorded versions that have no file
	Traces           []Trace   // of the files that ran, if they were watched; the last may be of one that failed
	Creates          bool      // the schema did not exist: it was created, or would be in a dry run
	// At is a time, by the server's clock, at which the database was as the result says, and Clock the same by this
	// machine's.
	At, Clock time.Time
	Warnings  []string

	// Edited are digests that the database records of files whose contents are others now, by their versions.
	Edited map[string]string
}

// Applied is one file that was run and recorded.
type Applied struct {
	Version, File string
	Elapsed       time.Duration
}

// Migrate migrates one database to the files' latest version with dbmate's engine over an open connection. Its lock on
// the database ends with the connection. It costs one round trip if nothing is pending, and one more for each
// migration. Even if it fails, it returns what was done. Errors: [*Error], [*LockError], [*OrderError],
// [*BeginningError], [*postgres.MissingSchemaError], [*postgres.TableError], those of [Baseline].Check and
// [Options].Before, the server's, the cause of ctx.
func Migrate(ctx context.Context, c *postgres.Conn, files *Files, o Options) (Result, error) {
	if o.Schema != "" && o.Table.Bare() {
		o.Table = o.Table.In(o.Schema)
	}
	clean := o.Schema == "" || o.DryRun
	defer func() {
		if !clean {
			c.Reset(ctx)
		}
	}()
	status, recorded, err := lockAndAdopt(ctx, c, files, o)
	if err != nil {
		return Result{}, err
	}
	result, pending, err := plan(status, files, o)
	result = result.withBaseline(recorded, files)
	result.At, result.Clock = status.At, status.Clock
	if err != nil {
		return result, err
	}
	if len(pending) == 0 || o.DryRun {
		clean = clean || !status.Locked
		if len(recorded) > 0 && !o.DryRun {
			result = result.asOfNow()
		}
		return result, nil
	}
	if len(recorded) == 0 { // adopt has called it otherwise
		if err := o.before(ctx, c, status); err != nil {
			return result, err
		}
	}
	a := newApplier(ctx, c, status, files, pending, o)
	if o.Watch {
		if err := a.startWatching(); err != nil {
			return result, err
		}
	}
	err = a.apply(files)
	clean = clean || err == nil // the last message has reset the session
	result = result.asOfNow()
	result.Creates = o.missing(status) && len(a.setup) == 0
	return result.after(a), err
}

// lockAndAdopt takes the lock, reads the versions, and gives a database that records none its baseline.
func lockAndAdopt(
	ctx context.Context, c *postgres.Conn, files *Files, o Options,
) (status postgres.Status, recorded []string, err error) {
	for {
		status, err = lockAndRead(ctx, c, files, o)
		if postgres.OutOfLocks(err) && o.Alone != nil {
			if alone, ended := o.Alone(ctx, err); alone && ended == nil {
				status, err = lockAndRead(ctx, c, files, o)
			}
		}
		if err != nil {
			return status, nil, err
		}
		status, recorded, err = adopt(ctx, c, status, files, o)
		if !errors.Is(err, ErrNewSession) {
			return status, recorded, err
		}
	}
}

// apply applies all pending migrations: dbmate's files with dbmate's engine.
func (a *applier) apply(files *Files) error {
	if files.layout == dbmateFiles {
		return withEngine(files.files, a, func(db *dbmate.DB) error { return db.Migrate() })
	}
	for len(a.pending) > 0 {
		m := a.pending[0]
		a.begin()
		if err := a.run(m.up); err != nil {
			return err
		}
		if err := a.record(m.version); err != nil {
			return err
		}
		if err := a.commit(); err != nil {
			return err
		}
	}
	return nil
}

// before calls [Options].Before.
func (o Options) before(ctx context.Context, c *postgres.Conn, s postgres.Status) error {
	if o.Before == nil {
		return nil
	}
	return o.Before(ctx, c, s)
}

// asOfNow dates a result, which has the time of the look before, with the present.
func (r Result) asOfNow() Result {
	took := time.Since(r.Clock)
	r.At, r.Clock = r.At.Add(took), r.Clock.Add(took)
	return r
}

// after adds to a result what was applied.
func (r Result) after(a *applier) Result {
	r.Applied, r.Warnings = a.applied, append(r.Warnings, a.warnings...)
	for _, done := range a.applied {
		r.After = postgres.HigherVersion(r.After, done.Version)
	}
	r.Pending = r.Pending[len(a.applied):]
	if a.watch != nil {
		r.Traces = a.watch.traces
	}
	return r
}

// withBaseline adds to a result that files were recorded and not run, where nothing was recorded before.
func (r Result) withBaseline(recorded []string, files *Files) Result {
	if len(recorded) > 0 {
		r.Before, r.Recorded, r.RecordedVersions = "", recorded, files.versionsOf(recorded)
	}
	return r
}

// plan decides what there is to do, and refuses what must not be done.
func plan(s postgres.Status, files *Files, o Options) (Result, []migration, error) {
	if o.missing(s) {
		if !o.CreateSchema {
			return Result{}, nil, &postgres.MissingSchemaError{Schema: o.Schema}
		}
		if err := postgres.SchemaName(o.Schema); err != nil {
			return Result{}, nil, fmt.Errorf("the schema is missing and cannot be created: %q %w", o.Schema, err)
		}
	}
	m := files.match(s)
	r, pending := compare(m, files)
	r.Creates = o.DryRun && o.missing(s)
	r.Warnings = append(outsideWarnings(pending, o.Schema), r.skippedWarnings(files)...)
	late := slices.Concat(r.OutOfOrder, r.Skipped)
	switch {
	case len(m.strangers) > 0 && !s.Named:
		refused := &StrangersError{s.Table.Table, m.strangers}
		if !o.DryRun {
			return r, pending, refused
		}
		r.Warnings = append(r.Warnings, refused.Error())
	case o.Beginning && len(r.Unknown)+len(late) > 0:
		return r, pending, &BeginningError{s.Table.Table, r.Unknown, late}
	case o.Strict && len(r.OutOfOrder) > 0:
		return r, pending, &OrderError{File: r.OutOfOrder[0], Highest: r.Before}
	case o.Strict && len(r.Skipped) > 0:
		return r, pending, &SkippedError{r.Skipped[0], r.Before}
	}
	return r, pending, nil
}

// missing reports whether the schema that is migrated does not exist.
func (o Options) missing(s postgres.Status) bool {
	return o.Schema != "" && o.Schema == s.Table.Schema && !s.SchemaExists
}

// skippedWarnings says that files are never applied.
func (r Result) skippedWarnings(files *Files) []string {
	if len(r.Skipped) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("not applied, and skipped for good, because a file with a later time is applied (%s): "+
		"%s; give each a when above that, and move its entry to the end of %s, once it is repeatable (if not exists), "+
		"because it runs again where it is applied; if the schema has its work from other files, correct the record "+
		"instead", r.Before, words.List(r.Skipped, 5), path.Join(filepath.ToSlash(files.dir), journalFile))}
}

// outsideWarnings names what pending files create outside the schema that is migrated.
func outsideWarnings(pending []migration, schema string) (warnings []string) {
	if schema == "" || schema == postgres.PublicSchema {
		return nil
	}
	for _, m := range pending {
		if outside := m.outside(schema); len(outside) > 0 {
			warnings = append(warnings, fmt.Sprintf("%s puts something outside of the schema that is migrated: %s",
				m.path, words.List(outside, 5)))
		}
	}
	return warnings
}
