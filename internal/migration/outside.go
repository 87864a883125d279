package migration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Migrations with transaction:false. Their SQL is one message, as dbmate has it, because statements such as CREATE
// INDEX CONCURRENTLY must be sent alone. Several statements in it are one transaction to the server all the same,
// unless the file begins and ends some itself. The record of the version follows in a message of its own.

var errOpenTransaction = errors.New("it begins a transaction that it does not end, and that was rolled back")

// afterwards is how long a cancelled run still has to look at what a statement left, and to record it.
const afterwards = time.Second

// runOutside runs a migration outside a transaction, whose indexes must be valid afterwards.
func (a *applier) runOutside(m migration) error {
	sql := slices.Concat(a.setup, a.settings(m), []string{postgres.InvalidIndexesSQL(a.schema)})
	answers, err := a.conn.Results(a.ctx, strings.Join(sql, "; "))
	if err != nil {
		return fmt.Errorf("prepare for %s: %w", m.path, err)
	}
	a.setup = nil
	before := postgres.InvalidIndexes(answers[len(answers)-1])

	tags, err := a.conn.Exec(a.ctx, m.up)
	if a.conn.Closed() {
		return a.outsideFailure(err, m, tags, nil)
	}
	late, cancel := grace.Context(a.ctx, afterwards)
	defer cancel()
	if !a.conn.Idle() { // the file's own transaction: open, or aborted by the error
		if _, undone := a.conn.Exec(late, "rollback"); undone == nil && err == nil {
			err = errOpenTransaction
		}
	}
	after, looked := a.conn.InvalidIndexes(late, a.schema)
	if err == nil && looked != nil {
		return a.notRecorded(m, looked)
	}
	left := m.leftInvalid(before, after)
	if err == nil && len(left) == 0 {
		return nil
	}
	return a.outsideFailure(err, m, tags, left)
}

// leftInvalid returns the invalid indexes that the migration is answerable for: those that were not there or not
// invalid before, and those that its SQL names, or whose table it names. Such an index is that of an earlier attempt,
// over which IF NOT EXISTS passes.
func (m migration) leftInvalid(before, after []postgres.InvalidIndex) []postgres.InvalidIndex {
	names, everything := map[string]bool{}, false
	for _, s := range m.statements {
		for _, token := range s.tokens {
			if name, ok := sqltext.Unquote(token); ok {
				names[name] = true
			}
		}
		everything = everything || s.tokens[0] == "reindex" && s.standsAlone() &&
			slices.ContainsFunc(s.tokens, func(t string) bool { return t == "schema" || t == "database" })
	}
	var left []postgres.InvalidIndex
	for _, i := range after {
		if everything || !slices.Contains(before, i) || names[i.Name] || names[i.Table] {
			left = append(left, i)
		}
	}
	return left
}

// outsideFailure is the error of a migration that failed outside a transaction, or left invalid indexes, or both. err
// is nil if its statements succeeded.
func (a *applier) outsideFailure(err error, m migration, tags []string, left []postgres.InvalidIndex) error {
	if err == nil {
		err = errIndexInvalid
	}
	e := a.failure(err, message{up: m.up}, tags)
	var failed *Error
	if !errors.As(e, &failed) {
		return e
	}
	failed.Invalid = left
	switch clean := len(left) == 0 && !a.conn.Closed(); {
	case len(m.statements) > 1:
		failed.partial = slices.Contains(tags, "COMMIT") || slices.Contains(tags, "PREPARE TRANSACTION")
	case len(m.statements) == 1:
		s := m.statements[0]
		failed.partial = s.commits() && !(clean && s.concurrent() && s.tokens[0] == "create")
	}
	return failed
}

// recordOutside records the version of a migration that has taken effect: also if the run was cancelled meanwhile, and
// once more if that cancel hit the record instead of the migration.
func (a *applier) recordOutside(m migration, version string) error {
	late, cancel := grace.Context(a.ctx, afterwards)
	defer cancel()
	sql := slices.Concat([]string{a.insert(version), "select " + postgres.HoldsLock(a.table)}, a.cleanup())
	answers, err := a.conn.Results(late, strings.Join(sql, "; "))
	if postgres.HasCode(err, "57014") {
		answers, err = a.conn.Results(late, strings.Join(sql, "; "))
	}
	if err != nil {
		return a.notRecorded(m, err)
	}
	a.finish(m)
	if held := string(answers[1][0][0]) == "t"; !held {
		return &Error{Version: m.version, File: m.path, Err: errLockReleased, released: true}
	}
	return nil
}

func (a *applier) notRecorded(m migration, err error) error {
	return &Error{
		Version: m.version, File: m.path, Table: a.table.Quoted(), notRecorded: true,
		Err: fmt.Errorf("it was run, but not recorded as applied: %w", err),
	}
}
