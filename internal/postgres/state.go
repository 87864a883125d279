package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// SchemaVersion reads the highest version that a database records; empty where it records none. Nothing is changed.
func SchemaVersion(ctx context.Context, c *Conn, t Table) (string, error) {
	state, err := readState(ctx, c, MigrateOptions{Table: t, DryRun: true})
	if err != nil {
		return "", err
	}
	m, _ := state.compare(&Migrations{})
	return m.Before, nil
}

// dbState is what one message reads of a database.
type dbState struct {
	locked       bool
	table        Table // with its schema
	found        bool
	schemaExists bool
	versions     map[string]bool
}

// lockAndRead takes the database's lock and reads its versions, in one message that is sent again until the lock is free.
// Where everything is applied the lock is not waited for: whoever holds it can add nothing of ours.
func lockAndRead(ctx context.Context, c *Conn, files *Migrations, o MigrateOptions) (dbState, error) {
	began, pause := time.Now(), 100*time.Millisecond
	for {
		state, err := readState(ctx, c, o)
		if err != nil {
			return dbState{}, err
		}
		if _, pending := state.compare(files); state.locked || len(pending) == 0 {
			return state, nil
		}
		waited := time.Since(began)
		if waited >= o.LockTimeout {
			return dbState{}, &LockError{waited, lockHolder(ctx, c, o.Table)}
		}
		if pause < 200*time.Millisecond {
			c.log.Info("another run holds this tenant's lock, waiting for it", "at most", o.LockTimeout)
		}
		select {
		case <-ctx.Done():
			return dbState{}, fmt.Errorf("wait for another run's lock: %w", context.Cause(ctx))
		case <-time.After(min(pause, o.LockTimeout-waited)/2 + rand.N(min(pause, o.LockTimeout-waited)/2+1)):
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// lockKey is the expression of the advisory lock's key: one for each table that versions are recorded in. A session that has
// just begun looks every function up that it is asked for, so that this one and those below are chosen to be few.
func lockKey(t Table) string {
	name := fnv.New64a()
	_, _ = name.Write([]byte("neon-tenants-action " + t.name)) // a hash takes everything
	return fmt.Sprintf("hashnameextended(%s, %d)", t.target(), int64(name.Sum64()))
}

// target is the expression of the schema that the table is in or would be made in.
func (t Table) target() string {
	if t.schema == "" {
		return "current_schema()"
	}
	return quoteLiteral(t.schema)
}

// readState asks everything in one message: the lock, where the table would be made, and the versions in it. The versions
// come last, because the message ends there with an error where the table does not exist; the lock, being the session's,
// stays. Read committed, so that the versions are those of after the lock was taken whatever the role's default is.
func readState(ctx context.Context, c *Conn, o MigrateOptions) (dbState, error) {
	lock := "pg_try_advisory_lock(" + lockKey(o.Table) + ")"
	if o.DryRun {
		lock = "true"
	}
	path, schemaExists := "current_schemas(false)", "true" // current_schema() is one that exists
	if o.Table.schema != "" {
		path, schemaExists = "null", "to_regnamespace(quote_ident("+o.Table.target()+")) is not null"
	}
	sql := "set transaction isolation level read committed; " +
		"select " + lock + ", " + o.Table.target() + ", " + schemaExists + ", " + path + "; " +
		"select version from " + o.Table.quoted()
	answers, err := c.query(ctx, sql)
	if err != nil && (!isCode(err, "42P01") || len(answers) < 2) {
		return dbState{}, readError(err, o.Table)
	}
	row := answers[1][0]
	s := dbState{
		locked:       string(row[0]) == "t",
		table:        Table{string(row[1]), o.Table.name},
		schemaExists: string(row[2]) == "t",
		found:        err == nil,
		versions:     map[string]bool{},
	}
	if s.table.schema == "" {
		return dbState{}, &TableError{fmt.Sprintf("the role's search_path names no schema that exists, so there is no place for %s", o.Table.name),
			"set migrations-table: public." + o.Table.name + ", or give the role a search_path"}
	}
	// Of a path of several schemas the table may be in a later one than the one where new tables go.
	if several := row[3] != nil && string(row[3]) != "{"+s.table.schema+"}" && string(row[3]) != `{"`+s.table.schema+`"}`; s.found && several {
		if err := foundInTarget(ctx, c, s.table); err != nil {
			return dbState{}, err
		}
	}
	if s.found {
		for _, r := range answers[2] {
			s.versions[string(r[0])] = true
		}
	}
	return s, nil
}

// foundInTarget sees to it that the table which an unqualified name finds is the one in the schema where it would be made.
func foundInTarget(ctx context.Context, c *Conn, t Table) error {
	answers, err := c.query(ctx, "select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "+
		"where c.oid = to_regclass("+quoteLiteral(quoteIdentifier(t.name))+")")
	if err != nil {
		return fmt.Errorf("find the schema of %s: %w", t.name, err)
	}
	if len(answers[0]) == 0 {
		return nil // dropped since: recording a version there will fail, and with it the migration
	}
	if at := string(answers[0][0][0]); at != t.schema {
		return &TableError{fmt.Sprintf("versions are recorded in %s.%s, but the role's search_path makes new tables in %s", at, t.name, t.schema),
			"set migrations-table: " + at + "." + t.name + " where that is this tenant's record, or correct the role's search_path"}
	}
	return nil
}

// TableError says why versions cannot be read or recorded.
type TableError struct{ Problem, Fix string }

func (e *TableError) Error() string { return e.Problem }

// Remedy tells what to change.
func (e *TableError) Remedy() string { return e.Fix }

func readError(err error, t Table) error {
	switch {
	case isCode(err, "42501"):
		return &TableError{fmt.Sprintf("the role may not read %s: %v", t.quoted(), err), "grant it select and insert there, or name the role that owns it with role-name"}
	case isCode(err, "42703"):
		return &TableError{fmt.Sprintf("%s has no column version, so it is not dbmate's: %v", t.quoted(), err), "name another table with migrations-table"}
	}
	return fmt.Errorf("read applied versions: %w", err)
}

// lockHolder describes the session that holds the lock.
func lockHolder(ctx context.Context, c *Conn, t Table) string {
	answers, err := c.query(ctx, "select a.pid, a.application_name, extract(epoch from now() - a.backend_start)::bigint "+
		"from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid) "+
		"where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.database = (select oid from pg_catalog.pg_database where datname = current_database()) "+
		"and (l.classid::bigint << 32 | l.objid::bigint) = "+lockKey(t))
	if err != nil || len(answers) == 0 || len(answers[0]) == 0 {
		return ""
	}
	r := answers[0][0]
	return fmt.Sprintf(" (server process %s, %s, connected for %s s)", r[0], r[1], r[2])
}

func isCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}

// compare sets what the database records against the files.
func (s dbState) compare(files *Migrations) (Migrated, []migration) {
	var m Migrated
	for v := range s.versions {
		m.Before = highest(m.Before, v)
	}
	m.After = m.Before
	known := map[string]bool{}
	var pending []migration
	for _, f := range files.ordered {
		known[f.version] = true
		if s.versions[f.version] {
			continue
		}
		pending = append(pending, f)
		m.Pending = append(m.Pending, f.file)
		if m.Before != "" && highest(m.Before, f.version) != f.version {
			m.OutOfOrder = append(m.OutOfOrder, f.file)
		}
	}
	for v := range s.versions {
		if !known[v] {
			m.Unknown = append(m.Unknown, v)
		}
	}
	slices.Sort(m.Unknown)
	return m, pending
}

// highest returns the higher of two versions. They count as numbers, so that a longer one is the higher one.
func highest(a, b string) string {
	x, y := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if a == "" || len(x) < len(y) || (len(x) == len(y) && x < y) {
		return b
	}
	return a
}
