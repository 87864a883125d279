package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Lock says how a session asks for the lock on a table of versions.
type Lock int

// The ways to ask for it. Sessions that share it keep away those that want it exclusively, and the other way round.
const (
	NoLock Lock = iota
	SharedLock
	ExclusiveLock
)

// Status is what a database records of its migrations.
type Status struct {
	// Locked is true if the lock was requested and this session now holds it.
	Locked bool
	// Table is where versions are, or would be, recorded, with its schema.
	Table Ledger
	// Found is true if the table exists.
	Found bool
	// SchemaExists is true if the table's schema exists.
	SchemaExists bool
	// Versions are the recorded ones; those of drizzle's rows are their names, or else their times.
	Versions map[string]bool
	// Rows are drizzle's, and Named is true if they have a column for names.
	Rows  []Row
	Named bool
	// At is when they began to be read, by the server's clock.
	At time.Time
	// Clock is when the server answered, by this machine's clock.
	Clock time.Time
}

// Highest is the highest recorded version, "" if there is none.
func (s Status) Highest() string {
	highest := ""
	for v := range s.Versions {
		highest = HigherVersion(highest, v)
	}
	return highest
}

// HigherVersion returns the higher of two versions. The numbers that they begin with are compared as such, so that a
// longer one is higher; what follows, as in the names of drizzle's folders, only if these are equal.
func HigherVersion(a, b string) string {
	x, afterX := number(a)
	y, afterY := number(b)
	if a == "" || len(x) < len(y) || len(x) == len(y) && (x < y || x == y && afterX < afterY) {
		return b
	}
	return a
}

// number splits a version into the number that it begins with, without leading zeros, and the rest.
func number(version string) (digits, rest string) {
	rest = strings.TrimLeft(version, "0123456789")
	return strings.TrimLeft(version[:len(version)-len(rest)], "0"), rest
}

// ReadStatus reads what a database records of its migrations in one round trip. It also tries, once and in the same
// message, to take the table's lock for the session, if one is asked for. A table that is not as its tool makes it
// costs another round trip. Settings that are due are made too; without the table, or where the session is not known to
// be the connection's own, they cost more. Errors: [*TableError], [*SearchPathError], [*TransactionPoolerError], the
// server's.
func ReadStatus(ctx context.Context, c *Conn, t Ledger, lock Lock) (Status, error) {
	var answers []Rows
	owned, settings := c.owned, c.due // as the message is sent
	_, err := c.send(ctx, c.statusQuery(t.Table, lock), func(r *pgconn.ResultReader) error {
		var answer Rows
		for _, f := range r.FieldDescriptions() {
			answer.Columns = append(answer.Columns, f.Name)
		}
		read := r.Read()
		answer.Values = read.Rows
		if read.Err == nil {
			answers = append(answers, answer)
		}
		return read.Err
	})
	const session, versions = 3, 4 // answers of statusQuery
	if err != nil && (!HasCode(err, "42P01") || len(answers) < versions) {
		return Status{}, versionsError(err, t.Table)
	}
	found := err == nil
	row := answers[session].Values[0]
	c.backend.Store(string(row[6]))
	if settings && string(row[8]) == "t" {
		c.due = !found // an error rolls them back
	} else if err := c.set(ctx); err != nil {
		return Status{}, err
	}
	// Without a schema there is no key for a lock either, and nothing to find out.
	if lock != NoLock && row[0] == nil && row[1] != nil && !owned {
		if !c.owned { // setting has not found it out
			if err := c.findSession(ctx); err != nil {
				return Status{}, err
			}
		}
		return ReadStatus(ctx, c, t, lock)
	}
	s := Status{
		Locked:       lock != NoLock && string(row[0]) == "t",
		Table:        t.In(string(row[1])),
		SchemaExists: string(row[2]) == "t",
		Found:        found,
		Versions:     map[string]bool{},
		Clock:        time.Now(),
	}
	if s.At, err = parseTime(row[7]); err != nil {
		return Status{}, err
	}
	if s.Table.Schema == "" {
		return Status{}, &TableError{NoSchema, t.Table,
			fmt.Sprintf("the role's search_path names no schema that exists, so there is no place for %s", t.Name)}
	}
	if missing := missingFromPath(string(row[4]), string(row[5])); missing != "" && row[5] != nil {
		return Status{}, &SearchPathError{Missing: missing, Instead: string(row[5])}
	}
	if s.Found && t.Schema == "" && pathHasOthers(row[3], s.Table.Schema) {
		if err := checkSchema(ctx, c, s.Table.Table); err != nil {
			return Status{}, err
		}
	}
	if !s.Found {
		return s, nil
	}
	err = s.read(ctx, c, answers[versions])
	return s, err
}

// checkColumns refuses a table of versions with another column than the tool's that an insert must fill: another tool
// records something else in it.
func checkColumns(ctx context.Context, c *Conn, t Ledger, known ...string) error {
	answers, err := c.Results(ctx, "select attname from pg_catalog.pg_attribute where attrelid = "+
		sqltext.QuoteLiteral(t.Quoted())+"::pg_catalog.regclass and attnum > 0 and not attisdropped "+
		"and attnotnull and not atthasdef and attidentity = '' and attname not in ("+
		sqltext.QuoteLiterals(known)+") order by attnum")
	if err != nil {
		return fmt.Errorf("look at the columns of %s: %w", t.Quoted(), err)
	}
	if len(answers[0]) == 0 {
		return nil
	}
	return &TableError{VersionsNotOurs, t.Table, fmt.Sprintf("%s has a column %s, which must be filled and which %s "+
		"does not know, so it is another tool's", t.Quoted(), sqltext.QuoteIdentifier(string(answers[0][0][0])), t.Format)}
}

// parseTime reads a time that the server printed in the ISO style.
func parseTime(text []byte) (time.Time, error) {
	var t pgtype.Timestamptz
	if err := t.Scan(string(text)); err != nil {
		return time.Time{}, fmt.Errorf("read the server's clock: %w", err)
	}
	return t.Time.UTC(), nil
}

// ParseMicros reads a time that the server gave in microseconds since 1970.
func ParseMicros(text []byte) (time.Time, error) {
	micros, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the server's clock: %w", err)
	}
	return time.UnixMicro(micros).UTC(), nil
}

// statusQuery asks for the lock, the table's schema, whether that exists, and the search_path, then for the versions.
// These come last, because the message ends with an error if the table does not exist; the lock belongs to the session
// and stays. Read committed makes the versions those of after the lock was taken, whatever the role's default. Without
// row_security, hidden versions are an error. The table's columns come with its rows: asking the catalog takes longer.
// In a session that may not be the connection's own, the lock is not tried and the answer is null. The time is asked
// for as it is: to make a number of it, a new session would have to look up four functions. If the session's settings
// are due, they are made, after whether it is: for the transaction alone if it may be another's.
func (c *Conn) statusQuery(t Table, lock Lock) string {
	own, tryLock, access, settings := c.ownSession(), "true", "", ""
	if c.due {
		if c.options.ReadOnly {
			access = ", read only"
		}
		settings = ", " + strings.Join(append([]string{own}, c.options.settings("("+own+") is not true")...), ", ")
	}
	switch key := lockKey(t); lock {
	case SharedLock:
		tryLock = "case when " + own + " then pg_try_advisory_lock_shared(" + key + ") end"
	case ExclusiveLock:
		twice := "pg_try_advisory_lock(" + key + ") and pg_try_advisory_lock(" + key + ")" // see HoldsLock
		tryLock = "case when " + own + " then " + twice + " end"
	}
	schemaExists := "true" // current_schema() is one that exists
	if t.Schema != "" {
		schemaExists = "to_regnamespace(quote_ident(" + t.schemaExpression() + ")) is not null"
	}
	return "set transaction isolation level read committed" + access + "; " +
		"set local row_security = off; set local DateStyle = ISO; " +
		"select " + tryLock + ", " + t.schemaExpression() + ", " + schemaExists + ", current_schemas(false), " +
		"current_setting('search_path'), current_schema(), pg_backend_pid(), now()" + settings + "; " +
		"select * from " + t.Quoted()
}

// lockKey is SQL for the advisory lock's key; every table of versions has a key of its own. A new session looks up
// every function that it is asked for, so this expression and those of statusQuery use few.
func lockKey(t Table) string {
	name := fnv.New64a()
	_, _ = name.Write([]byte("neon-tenants-action " + t.Name)) // a hash never fails to write
	return fmt.Sprintf("pg_catalog.hashnameextended(%s, %d)", t.schemaExpression(), int64(name.Sum64()))
}

// HoldsLock is an SQL expression that is true while the session holds the lock on a table of versions that [ReadStatus]
// took; t is the Status's. The lock is held twice, so that releasing it once tells whether it is held and leaves no
// moment without it. (Looking into pg_locks costs several times as much.)
func HoldsLock(t Table) string {
	key := lockKey(t)
	return "pg_catalog.pg_advisory_unlock(" + key + ") and pg_catalog.pg_try_advisory_lock(" + key + ")"
}

// pathHasOthers reports whether a search_path, as an array's text, has schemas beside the one in which new tables are
// created. The table may then be in a later one.
func pathHasOthers(path []byte, schema string) bool {
	return path != nil && string(path) != "{"+schema+"}" && string(path) != `{"`+schema+`"}`
}

// checkSchema makes sure that the table which an unqualified name finds is the one in the schema where it would be
// created.
func checkSchema(ctx context.Context, c *Conn, t Table) error {
	answers, err := c.Results(ctx, "select n.nspname from pg_catalog.pg_class c "+
		"join pg_catalog.pg_namespace n on n.oid = c.relnamespace "+
		"where c.oid = to_regclass("+sqltext.QuoteLiteral(sqltext.QuoteIdentifier(t.Name))+")")
	if err != nil {
		return fmt.Errorf("find the schema of %s: %w", t.Name, err)
	}
	if len(answers[0]) == 0 {
		return nil // dropped since: recording a version fails, and with it the migration
	}
	if found := string(answers[0][0][0]); found != t.Schema {
		return &TableError{OtherSchema, t.In(found),
			fmt.Sprintf("versions are recorded in %s.%s, but the role's search_path makes new tables in %s",
				found, t.Name, t.Schema)}
	}
	return nil
}

// LockHolder describes the session that holds the table's lock, or the oldest of those that share it: "server process
// 42, neon-tenants-action, connected for 7 s". It is "" if that cannot be found out.
func LockHolder(ctx context.Context, c *Conn, t Table) (session string, shared bool) {
	answers, err := c.Results(ctx,
		"select a.pid, a.application_name, extract(epoch from now() - a.backend_start)::bigint, l.mode = 'ShareLock' "+
			"from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid) "+
			"where l.locktype = 'advisory' and l.granted and l.objsubid = 1 "+
			"and l.database = (select oid from pg_catalog.pg_database where datname = current_database()) "+
			"and (l.classid::bigint << 32 | l.objid::bigint) = "+lockKey(t)+
			" order by a.backend_start limit 1")
	if err != nil || len(answers) == 0 || len(answers[0]) == 0 {
		return "", false
	}
	r := answers[0][0]
	return fmt.Sprintf("server process %s, %s, connected for %s s", r[0], r[1], r[2]), string(r[3]) == "t"
}
