package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Status is what a database records of its migrations.
type Status struct {
	// Locked is true where the lock was asked for and this session holds it now.
	Locked bool
	// Table is where versions are or would be recorded, with its schema.
	Table Table
	// Found is true where the table exists.
	Found bool
	// SchemaExists is true where the table's schema exists.
	SchemaExists bool
	// Versions are the recorded ones.
	Versions map[string]bool
}

// Highest is the highest recorded version, empty where none is.
func (s Status) Highest() string {
	highest := ""
	for v := range s.Versions {
		highest = HigherVersion(highest, v)
	}
	return highest
}

// HigherVersion returns the higher of two versions. They are compared as numbers, so a longer one is higher.
func HigherVersion(a, b string) string {
	x, y := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if a == "" || len(x) < len(y) || (len(x) == len(y) && x < y) {
		return b
	}
	return a
}

// ReadStatus reads what a database records of its migrations in one round trip, and with lock tries once, in the same
// message, to take the table's lock for the session. Errors: [*TableError].
//
// The versions come last, because the message ends with an error where the table does not exist; the lock, being the
// session's, stays. Read committed, so that the versions are those of after the lock was taken whatever the role's
// default is.
func ReadStatus(ctx context.Context, c *Conn, t Table, lock bool) (Status, error) {
	tryLock := "true"
	if lock {
		tryLock = "pg_try_advisory_lock(" + lockKey(t) + ")"
	}
	path, schemaExists := "current_schemas(false)", "true" // current_schema() is one that exists
	if t.Schema != "" {
		path, schemaExists = "null", "to_regnamespace(quote_ident("+t.target()+")) is not null"
	}
	sql := "set transaction isolation level read committed; " +
		"select " + tryLock + ", " + t.target() + ", " + schemaExists + ", " + path + "; " +
		"select version from " + t.Quoted()
	answers, err := c.Results(ctx, sql)
	if err != nil && (!HasCode(err, "42P01") || len(answers) < 2) {
		return Status{}, readError(err, t)
	}
	row := answers[1][0]
	s := Status{
		Locked:       lock && string(row[0]) == "t",
		Table:        Table{string(row[1]), t.Name},
		SchemaExists: string(row[2]) == "t",
		Found:        err == nil,
		Versions:     map[string]bool{},
	}
	if s.Table.Schema == "" {
		return Status{}, &TableError{fmt.Sprintf("the role's search_path names no schema that exists, so there is no place for %s", t.Name),
			"set migrations-table: public." + t.Name + ", or give the role a search_path"}
	}
	// In a path of several schemas the table may be in a later one than the one where new tables go.
	if several := row[3] != nil && string(row[3]) != "{"+s.Table.Schema+"}" && string(row[3]) != `{"`+s.Table.Schema+`"}`; s.Found && several {
		if err := foundInTarget(ctx, c, s.Table); err != nil {
			return Status{}, err
		}
	}
	if s.Found {
		for _, r := range answers[2] {
			s.Versions[string(r[0])] = true
		}
	}
	return s, nil
}

// lockKey is the expression of the advisory lock's key: one for each table that versions are recorded in. A new session
// looks up every function it is asked for, so this expression and those of ReadStatus use few.
func lockKey(t Table) string {
	name := fnv.New64a()
	_, _ = name.Write([]byte("neon-tenants-action " + t.Name)) // a hash takes everything
	return fmt.Sprintf("hashnameextended(%s, %d)", t.target(), int64(name.Sum64()))
}

// LockHolder describes the session that holds the table's lock; empty where it cannot be told.
func LockHolder(ctx context.Context, c *Conn, t Table) string {
	answers, err := c.Results(ctx, "select a.pid, a.application_name, extract(epoch from now() - a.backend_start)::bigint "+
		"from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid) "+
		"where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.database = (select oid from pg_catalog.pg_database where datname = current_database()) "+
		"and (l.classid::bigint << 32 | l.objid::bigint) = "+lockKey(t))
	if err != nil || len(answers) == 0 || len(answers[0]) == 0 {
		return ""
	}
	r := answers[0][0]
	return fmt.Sprintf(" (server process %s, %s, connected for %s s)", r[0], r[1], r[2])
}

// foundInTarget sees to it that the table which an unqualified name finds is the one in the schema where it would be made.
func foundInTarget(ctx context.Context, c *Conn, t Table) error {
	answers, err := c.Results(ctx, "select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "+
		"where c.oid = to_regclass("+sqltext.QuoteLiteral(sqltext.QuoteIdentifier(t.Name))+")")
	if err != nil {
		return fmt.Errorf("find the schema of %s: %w", t.Name, err)
	}
	if len(answers[0]) == 0 {
		return nil // dropped since: recording a version there will fail, and with it the migration
	}
	if at := string(answers[0][0][0]); at != t.Schema {
		return &TableError{fmt.Sprintf("versions are recorded in %s.%s, but the role's search_path makes new tables in %s", at, t.Name, t.Schema),
			"set migrations-table: " + at + "." + t.Name + " where that is this tenant's record, or correct the role's search_path"}
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
	case HasCode(err, "42501"):
		return &TableError{fmt.Sprintf("the role may not read %s: %v", t.Quoted(), err), "grant it select and insert there, or name the role that owns it with role-name"}
	case HasCode(err, "42703"):
		return &TableError{fmt.Sprintf("%s has no column version, so it is not dbmate's: %v", t.Quoted(), err), "name another table with migrations-table"}
	}
	return fmt.Errorf("read applied versions: %w", err)
}

// HasCode reports whether err is the server's, with that SQLSTATE.
func HasCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}
