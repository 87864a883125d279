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

// A migration that runs into lock_timeout, a deadlock or a serialization failure was rolled back as a whole, and is run
// again up to this many times in all.
const transactionTries = 3

// session is one tenant's migration in progress: what was read from the database, what is left to do, and how dbmate's
// calls become messages. A migration goes out as one message, its transaction and its bookkeeping around it: one round
// trip, and no moment at which one is committed without the other.
type applier struct {
	ctx   context.Context // dbmate knows no context; the session has the tenant's
	conn  *postgres.Conn
	table string   // quoted, with its schema
	setup []string // what must be made before the first version can be recorded

	lockTimeout time.Duration // Postgres's lock_timeout for migration statements; 0 is none
	schema      string        // where unqualified names lead; empty: where the session's search_path leads

	found    bool            // the bookkeeping table is there
	versions map[string]bool // recorded in it
	pending  []migration     // in order; the first is the one in hand

	open    bool   // between dbmate's begin and its commit
	version string // recorded since begin

	applied  []Applied
	warnings []string
	started  time.Time // when the migration in hand began
}

func (s *applier) begin() { s.open, s.version = true, "" }

func (s *applier) rollback() error {
	s.open = false // nothing was sent: commit sends everything
	return nil
}

// run takes a migration's SQL from dbmate. Inside a transaction it waits for commit; outside it is run at once, alone,
// because statements such as CREATE INDEX CONCURRENTLY tolerate no company in their message.
func (s *applier) run(up string) error {
	if len(s.pending) == 0 || s.pending[0].up != up {
		return fmt.Errorf("internal error: dbmate runs a migration that was not expected")
	}
	s.started = time.Now()
	if s.open {
		return nil
	}
	if _, err := s.conn.Exec(s.ctx, strings.Join(append(s.setup, s.settings()...), "; ")); err != nil {
		return fmt.Errorf("prepare for %s: %w", s.pending[0].path, err)
	}
	s.setup = nil
	tags, err := s.conn.Exec(s.ctx, up)
	if err != nil {
		return s.fail(err, message{}, tags)
	}
	return nil
}

// record notes a version as applied: with the transaction, or at once where there is none.
func (s *applier) record(version string) error {
	if s.open {
		s.version = version
		return nil
	}
	m := s.pending[0]
	if _, err := s.conn.Exec(s.ctx, strings.Join(append([]string{s.insert(version)}, s.ending()...), "; ")); err != nil {
		return &Error{Version: m.version, File: m.path, Err: fmt.Errorf("it was run, but not recorded as applied: %w", err),
			Fix: fmt.Sprintf("the file says transaction:false, so its work stands: insert version %s into %s by hand, or undo the work, and run again", version, s.table)}
	}
	s.finish(m)
	return nil
}

// message is a migration's SQL as it goes over the wire.
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

// sql joins the parts. The line break before the suffix ends a comment that the migration may end in.
func (m message) sql() string {
	return m.head() + m.up + "\n;" + strings.Join(m.suffix, "; ")
}

// commit sends the migration in hand and everything around it.
func (s *applier) commit() error {
	s.open = false
	m := s.pending[0]
	msg := message{
		prefix: slices.Concat([]string{"begin"}, s.settings(), s.setup),
		up:     m.up,
		suffix: append([]string{s.insert(s.version), "commit"}, s.ending()...),
	}
	for try := 1; ; try++ {
		tags, err := s.conn.Exec(s.ctx, msg.sql())
		if err == nil {
			if own := endsTransaction(tags[len(msg.prefix) : len(tags)-len(msg.suffix)]); own != "" {
				s.warnings = append(s.warnings, fmt.Sprintf("%s contains a %s of its own: a later failure in it could not have been rolled back; use -- migrate:up transaction:false, or take it out", m.path, own))
			}
			s.setup = nil
			s.finish(m)
			return nil
		}
		if try == transactionTries || !neverRan(err) || endsTransaction(tags) != "" || s.conn.Closed() {
			return s.fail(err, msg, tags)
		}
		if _, err := s.conn.Exec(s.ctx, "rollback"); err != nil {
			return s.fail(err, msg, nil)
		}
		pause := time.Duration(try)*time.Second/2 + rand.N(500*time.Millisecond)
		s.conn.Log().Warn("the migration was rolled back and will be tried again", "file", m.file, "try", try+1, "of", transactionTries, "in", pause, "error", err)
		select {
		case <-s.ctx.Done():
			return s.fail(err, msg, tags)
		case <-time.After(pause):
		}
	}
}

// ending ends a migration. After the last one of a schema, the connection is left as the next schema has to find it, and its
// lock is released, in the same message.
func (s *applier) ending() []string {
	if s.schema != "" && len(s.pending) == 1 {
		return postgres.ResetSession()
	}
	return postgres.ResetSettings()
}

// settings are what a migration begins with: the schema where it works, and how long its statements wait for table locks.
// Not "set local", which would end with a COMMIT inside the migration; what follows a ROLLBACK inside of one is outside of
// every schema, as the connection's own search_path is empty then ([postgres.Options].NoSearchPath).
func (s *applier) settings() []string {
	all := []string{fmt.Sprintf("set lock_timeout = %d", s.lockTimeout.Milliseconds())}
	if s.schema != "" {
		all = append(all, "set search_path = "+sqltext.QuoteIdentifier(s.schema))
	}
	return all
}

func (s *applier) insert(version string) string {
	return fmt.Sprintf("insert into %s (version) values (%s)", s.table, sqltext.QuoteLiteral(version))
}

func (s *applier) finish(m migration) {
	done := Applied{Version: m.version, File: m.file, Elapsed: time.Since(s.started)}
	s.conn.Log().Info("applied", "file", m.file, "took", done.Elapsed)
	s.applied = append(s.applied, done)
	s.pending = s.pending[1:]
}

// endsTransaction returns the tag of a statement that ended the transaction it ran in, "" where there is none.
func endsTransaction(tags []string) string {
	for _, t := range tags {
		if slices.Contains([]string{"COMMIT", "ROLLBACK", "PREPARE TRANSACTION"}, t) {
			return t
		}
	}
	return ""
}

// neverRan reports whether the server says that the transaction had no effect and may be run again as it is.
func neverRan(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && slices.Contains([]string{
		"55P03", // lock_not_available
		"40001", // serialization_failure
		"40P01", // deadlock_detected
	}, pg.Code)
}

// fail makes the error of the migration in hand from what the server said. tags are those of the message's statements
// that completed.
func (s *applier) fail(err error, msg message, tags []string) error {
	m := s.pending[0]
	e := &Error{Version: m.version, File: m.path, Err: err, unrecorded: !m.transaction}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		e.lost = true
		return e
	}
	if pg.Detail != "" { // may hold a customer's data: for the tenant's log, not for the summary
		s.conn.Log().Error(pg.Message, "detail", pg.Detail)
	}
	offset := -1
	if pg.Position > 0 {
		offset = sqltext.RuneOffset(m.up, int(pg.Position)-1-len([]rune(msg.head())))
	} else if i := len(tags) - len(msg.prefix); i >= 0 {
		if list := sqltext.Statements(m.up); i < len(list) {
			offset = list[i].Start
		} else {
			e.Err = fmt.Errorf("its version could not be recorded in %s: %w", s.table, err)
		}
	}
	if offset >= 0 {
		line, column := sqltext.LineColumn(m.up, offset)
		e.Line, e.Column, e.snippet = m.line+line-1, column, snippet(m.up, line, column, m.line+line-1)
	}
	return e
}
