package migration

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Migrations with transaction:false. Their SQL is sent as one message, as dbmate sends it, and the record of the
// version in another, because statements such as CREATE INDEX CONCURRENTLY must be sent alone. To the server, several
// statements in a message are still one transaction, unless the file begins and ends its own.

var errOpenTransaction = errors.New("it begins a transaction that it does not end, and that was rolled back")

// afterwards is how long a cancelled run still has to check for invalid indexes and to record the version.
const afterwards = time.Second

// runOutside runs a migration outside a transaction, and fails if it leaves an invalid index.
func (a *applier) runOutside(m migration) error {
	before, err := a.prepare(m)
	if err != nil {
		return err
	}
	tags, err := a.execOutside(m)
	if a.conn.Closed() {
		return a.outsideFailure(err, m, tags, nil)
	}
	late, cancel := grace.Context(a.ctx, afterwards)
	defer cancel()
	if !a.conn.Idle() { // the file's own transaction: open, or aborted by the error
		_, _ = a.conn.Exec(late, "rollback") // if it fails, the session ends, and the transaction with it
		if err == nil {
			err = errOpenTransaction
		}
	}
	// What the file has set for its session must neither hide an index from the look nor keep the record from being
	// written: a role, a timeout, read-only transactions.
	look := append(a.conn.ResetSettings(), postgres.InvalidIndexesSQL(a.schema))
	answers, looked := a.after(late, strings.Join(look, "; "))
	if err == nil && looked != nil {
		return a.notRecorded(m, looked)
	}
	var left []postgres.InvalidIndex
	if looked == nil {
		left = m.leftInvalid(before, postgres.InvalidIndexes(answers[len(answers)-1]))
	}
	if err == nil && len(left) == 0 {
		return nil
	}
	return a.outsideFailure(err, m, tags, left)
}

// execOutside sends a migration that runs outside a transaction, as it is.
func (a *applier) execOutside(m migration) (tags []string, err error) {
	switch {
	case a.watch == nil:
		return a.conn.Exec(a.ctx, m.up)
	case len(m.statements) == 1:
		return a.sendAlone(m)
	}
	return a.send(m, message{up: m.up})
}

// rebuilt is what REINDEX CONCURRENTLY adds to the name of an index for the new one, and later for the old one.
var rebuilt = regexp.MustCompile(`_cc(new|old)\d*$`)

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
		named := names[i.Table] || names[i.Name] || names[rebuilt.ReplaceAllString(i.Name, "")]
		if everything || named || !slices.Contains(before, i) {
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

// prepare readies the session for a migration outside a transaction, and makes sure that its version can be recorded:
// it tries, and takes that back. It returns the indexes that are invalid already.
func (a *applier) prepare(m migration) ([]postgres.InvalidIndex, error) {
	first := slices.Concat([]string{"begin"}, a.setup, a.settings(m), []string{"commit"})
	trial := []string{"begin", a.insert(m), a.kept(m).sql, "rollback"}
	sql := slices.Concat(first, trial, []string{postgres.InvalidIndexesSQL(a.schema)})
	answers, err := a.conn.Results(a.ctx, strings.Join(sql, "; "))
	tried := len(answers) > len(first) && len(answers) < len(first)+len(trial)
	switch {
	case err == nil:
		a.setup = nil
		return postgres.InvalidIndexes(answers[len(answers)-1]), nil
	case tried && a.ctx.Err() == nil && !a.conn.Closed():
		if postgres.HasCode(err, "22012") {
			err = errNotKept
		}
		return nil, fmt.Errorf("%s was not run: %w", m.path, postgres.NotRecordable(err, a.table.Table, m.version))
	}
	return nil, fmt.Errorf("prepare for %s: %w", m.path, err)
}

// after sends what follows a migration that ran outside a transaction: once more if a cancel that was meant for the
// migration hits it.
func (a *applier) after(ctx context.Context, sql string) ([][][][]byte, error) {
	answers, err := a.conn.Results(ctx, sql)
	if postgres.HasCode(err, "57014") {
		answers, err = a.conn.Results(ctx, sql)
	}
	return answers, err
}

// recordOutside records the version of a migration that has taken effect, also if the run was cancelled meanwhile.
func (a *applier) recordOutside(m migration) error {
	late, cancel := grace.Context(a.ctx, afterwards)
	defer cancel()
	sql := slices.Concat([]string{a.insert(m), "select " + postgres.HoldsLock(a.table.Table)}, a.cleanup())
	answers, err := a.after(late, strings.Join(sql, "; "))
	switch {
	case err != nil && a.conn.Closed():
		return a.recordUnknown(m, err)
	case err != nil:
		return a.notRecorded(m, err)
	}
	a.finish(m)
	if held := string(answers[1][0][0]) == "t"; !held {
		return &Error{Version: m.version, Versions: m.versions(), File: m.path, Err: errLockReleased, released: true}
	}
	return nil
}

func (a *applier) notRecorded(m migration, err error) error {
	return &Error{
		Version: m.version, Versions: m.versions(), File: m.path, Table: a.table.Quoted(), notRecorded: true,
		Err: fmt.Errorf("it was run, but not recorded as applied: %w", err),
	}
}

// recordUnknown is the error of a migration whose record the server may have written before the connection broke.
func (a *applier) recordUnknown(m migration, err error) error {
	return &Error{
		Version: m.version, Versions: m.versions(), File: m.path, Table: a.table.Quoted(), recordUnknown: true,
		Err: fmt.Errorf("it was run, and it is not known whether it was recorded: %w", err),
	}
}
