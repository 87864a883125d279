package migration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// transactionTries is how often a migration is run at most while lock_timeout, a deadlock or a serialization failure
// rolls it back as a whole.
const transactionTries = 3

// applier applies one database's pending migrations: it turns dbmate's calls into messages to the server. A migration
// and the record of its version are one message and one transaction: one round trip, and no moment at which one of them
// is committed without the other.
type applier struct {
	ctx   context.Context // dbmate passes none on
	conn  *postgres.Conn
	table string   // of the recorded versions, quoted and with its schema
	setup []string // statements that create what the first record needs

	lockTimeout time.Duration // PostgreSQL's lock_timeout for the statements of migrations; 0: none
	schema      string        // where names without a schema lead; empty: where the session's search_path leads

	found    bool            // the table of recorded versions exists
	versions map[string]bool // the recorded ones
	pending  []migration     // in their order; the first is the current one

	inTransaction bool   // between dbmate's begin and its commit
	version       string // recorded since begin

	applied  []Applied
	warnings []string
	started  time.Time // when the current migration started
}

func newApplier(
	ctx context.Context, c *postgres.Conn, status postgres.Status, pending []migration, o Options,
) *applier {
	a := &applier{
		ctx: ctx, conn: c, table: status.Table.Quoted(), lockTimeout: o.StatementLockTimeout,
		schema: o.Schema, found: status.Found, versions: status.Versions, pending: pending,
	}
	if !status.Found {
		if !status.SchemaExists {
			a.setup = append(a.setup, "create schema if not exists "+sqltext.QuoteIdentifier(status.Table.Schema))
		}
		a.setup = append(a.setup, fmt.Sprintf("create table if not exists %s (version varchar primary key)", a.table))
	}
	return a
}

func (a *applier) begin() { a.inTransaction, a.version = true, "" }

func (a *applier) rollback() error {
	a.inTransaction = false // nothing has been sent: commit sends everything
	return nil
}

// run receives a migration's SQL from dbmate. Inside a transaction it waits for commit; outside it is sent at once and
// alone, because statements such as CREATE INDEX CONCURRENTLY must be sent alone.
func (a *applier) run(up string) error {
	if len(a.pending) == 0 || a.pending[0].up != up {
		return fmt.Errorf("internal error: dbmate runs a migration that was not expected")
	}
	a.started = time.Now()
	if a.inTransaction {
		return nil
	}
	if _, err := a.conn.Exec(a.ctx, strings.Join(append(a.setup, a.settings()...), "; ")); err != nil {
		return fmt.Errorf("prepare for %s: %w", a.pending[0].path, err)
	}
	a.setup = nil
	tags, err := a.conn.Exec(a.ctx, up)
	if err != nil {
		return a.failure(err, message{}, tags)
	}
	return nil
}

// record records a version as applied: with the transaction, or at once if there is none.
func (a *applier) record(version string) error {
	if a.inTransaction {
		a.version = version
		return nil
	}
	m := a.pending[0]
	sql := append([]string{a.insert(version)}, a.cleanup()...)
	if _, err := a.conn.Exec(a.ctx, strings.Join(sql, "; ")); err != nil {
		return &Error{
			Version: m.version, File: m.path, Table: a.table, notRecorded: true,
			Err: fmt.Errorf("it was run, but not recorded as applied: %w", err),
		}
	}
	a.finish(m)
	return nil
}

// message is a migration's SQL as it is sent.
type message struct {
	prefix []string
	up     string
	suffix []string
}

func (m message) head() string {
	if len(m.prefix) == 0 {
		return ""
	}
	return strings.Join(m.prefix, "; ") + ";\n"
}

// sql joins the parts. The line break before the suffix ends a comment in which the migration may end.
func (m message) sql() string {
	return m.head() + m.up + "\n;" + strings.Join(m.suffix, "; ")
}

// commit sends the current migration with everything around it, and retries it if the server says that it had no
// effect.
func (a *applier) commit() error {
	a.inTransaction = false
	m := a.pending[0]
	msg := message{
		prefix: slices.Concat([]string{"begin"}, a.settings(), a.setup),
		up:     m.up,
		suffix: append([]string{a.insert(a.version), "commit"}, a.cleanup()...),
	}
	for try := 1; ; try++ {
		tags, err := a.conn.Exec(a.ctx, msg.sql())
		if err == nil {
			a.warnOfEnd(m, tags[len(msg.prefix):len(tags)-len(msg.suffix)])
			a.setup = nil
			a.finish(m)
			return nil
		}
		if try == transactionTries || !hadNoEffect(err) || endsTransaction(tags) != "" || a.conn.Closed() {
			return a.failure(err, msg, tags)
		}
		if _, err := a.conn.Exec(a.ctx, "rollback"); err != nil {
			return a.failure(err, msg, nil)
		}
		pause := time.Duration(try)*time.Second/2 + rand.N(500*time.Millisecond)
		a.conn.Log().Warn("the migration was rolled back and will be tried again",
			"file", m.file, "try", try+1, "of", transactionTries, "in", pause, "error", err)
		select {
		case <-a.ctx.Done():
			return a.failure(err, msg, tags)
		case <-time.After(pause):
		}
	}
}

// cleanup are the statements after a migration. After the last one of a schema they also release its lock and leave the
// connection as the next schema must find it.
func (a *applier) cleanup() []string {
	if a.schema != "" && len(a.pending) == 1 {
		return postgres.ResetSession()
	}
	return postgres.ResetSettings()
}

// settings are the statements before a migration: the schema that it works in, and how long its statements wait for
// table locks. They are not "set local", which would end with a COMMIT inside the migration. After a ROLLBACK inside it
// the following statements are in no schema at all, because the connection's own search_path is empty
// ([postgres.Options].NoSearchPath).
func (a *applier) settings() []string {
	all := []string{fmt.Sprintf("set lock_timeout = %d", a.lockTimeout.Milliseconds())}
	if a.schema != "" {
		all = append(all, "set search_path = "+sqltext.QuoteIdentifier(a.schema))
	}
	return all
}

func (a *applier) insert(version string) string {
	return fmt.Sprintf("insert into %s (version) values (%s)", a.table, sqltext.QuoteLiteral(version))
}

// finish moves the current migration from the pending ones to the applied ones.
func (a *applier) finish(m migration) {
	done := Applied{Version: m.version, File: m.file, Elapsed: time.Since(a.started)}
	a.conn.Log().Info("applied", "file", m.file, "took", done.Elapsed)
	a.applied = append(a.applied, done)
	a.pending = a.pending[1:]
}

// warnOfEnd warns of a migration that ended its own transaction. tags are those of its statements.
func (a *applier) warnOfEnd(m migration, tags []string) {
	if tag := endsTransaction(tags); tag != "" {
		a.warnings = append(a.warnings, fmt.Sprintf("%s contains a %s of its own: a later failure in it could not "+
			"have "+
			"been rolled back; use -- migrate:up transaction:false, or take it out", m.path, tag))
	}
}

// endsTransaction returns the tag of a statement that ended the transaction it ran in, "" if there is none.
func endsTransaction(tags []string) string {
	for _, t := range tags {
		if slices.Contains([]string{"COMMIT", "ROLLBACK", "PREPARE TRANSACTION"}, t) {
			return t
		}
	}
	return ""
}

// hadNoEffect reports whether the server says that the transaction had no effect and may be run again as it is.
func hadNoEffect(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && slices.Contains([]string{
		"55P03", // lock_not_available
		"40001", // serialization_failure
		"40P01", // deadlock_detected
	}, pg.Code)
}

// failure turns the server's error into that of the current migration. tags are those of the message's statements that
// completed.
func (a *applier) failure(err error, msg message, tags []string) error {
	m := a.pending[0]
	e := &Error{Version: m.version, File: m.path, Err: err, outside: !m.transaction}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		e.lost = true
		return e
	}
	if pg.Detail != "" { // may contain a customer's data: for the tenant's log, not for the summary
		a.conn.Log().Error(pg.Message, "detail", pg.Detail)
	}
	offset := -1
	if pg.Position > 0 {
		offset = sqltext.RuneOffset(m.up, int(pg.Position)-1-len([]rune(msg.head())))
	} else if i := len(tags) - len(msg.prefix); i >= 0 {
		if list := sqltext.Statements(m.up); i < len(list) {
			offset = list[i].Start
		} else {
			e.Err = fmt.Errorf("its version could not be recorded in %s: %w", a.table, err)
		}
	}
	if offset >= 0 {
		line, column := sqltext.LineColumn(m.up, offset)
		e.Line, e.Column = m.line+line-1, column
		e.snippet = snippet(m.up, line, column, e.Line)
	}
	return e
}
