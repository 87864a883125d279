package migration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// failure turns the server's error into the current migration's. tags are those of the message's completed statements.
func (a *applier) failure(err error, msg message, tags []string) error {
	m := a.pending[0]
	if pgconn.SafeToRetry(err) && a.ctx.Err() != nil {
		return fmt.Errorf("%s was not started: %w", m.path, context.Cause(a.ctx))
	}
	if errors.As(err, new(*watchError)) {
		return err
	}
	e := &Error{Version: m.version, Versions: m.versions(), File: m.path, Err: err, outside: !m.transaction,
		elsewhere: a.schema != ""}
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, errIndexInvalid), errors.Is(err, errOpenTransaction):
		return e
	case !errors.As(err, &pg):
		e.lost = true
		return e
	}
	if pg.Detail != "" { // it may quote a row, so it goes to the connection's log and not into the error
		a.conn.Log().Error(pg.Message, "detail", pg.Detail)
	}
	e.partial = m.transaction && m.endedBy(tags) != ""
	e.context = describe(a.find(e, pg, msg, tags))
	return e
}

// find sets the place of the server's error, or says which statement after the migration's own it is about. It returns
// the functions that the place does not say.
func (a *applier) find(e *Error, pg *pgconn.PgError, msg message, tags []string) []frame {
	m, frames := a.pending[0], framesOf(pg.Where)
	parsing := len(tags) == 0 && pg.Position > 0
	list := sqltext.Statements(m.up)
	switch i := len(tags) - len(msg.prefix); {
	case i < len(list) && (i >= 0 || parsing && len(list) > 0):
		at := m.place(failed{pg, list[max(i, 0)], utf8.RuneCountInString(msg.head()), parsing})
		e.locate(m, at.offset)
		if last := len(frames) - 1; at.inBody && last >= 0 && !frames[last].compiling {
			return frames[:last]
		}
	case i < 0: // before them
		if len(tags) > 0 && slices.Contains(a.setup, msg.prefix[len(tags)]) {
			what := "created"
			if !strings.HasPrefix(msg.prefix[len(tags)], "create") {
				what = "upgraded"
			}
			e.Err = fmt.Errorf("the table of versions, %s, could not be %s: %w", a.table.Quoted(), what, e.Err)
		}
	case len(msg.suffix) == 0: // all of them completed and nothing else was sent
	default:
		e.Err = a.unproven(m, msg.suffix[min(i-len(list), len(msg.suffix)-1)], e.Err)
		if errors.Is(e.Err, errIndexInvalid) {
			e.Invalid = a.passedOver(m)
		}
	}
	return frames
}

// unproven is the error of a statement after the migration's own.
func (a *applier) unproven(m migration, statement string, err error) error {
	for _, p := range a.proofs(m) {
		if statement == p.sql {
			return p.err
		}
	}
	if statement == a.kept(m).sql {
		err = errNotKept
	}
	if statement == "commit" { // a deferred constraint or trigger
		return fmt.Errorf("its transaction could not be committed: %w", err)
	}
	return fmt.Errorf("its version could not be recorded in %s: %w", a.table.Quoted(), err)
}

// locate sets the place of the failing statement, an offset into the migration's SQL.
func (e *Error) locate(m migration, offset int) {
	if offset < 0 {
		return
	}
	one, offset := m.at(offset)
	line, column := sqltext.LineColumn(one.up, offset)
	e.Version, e.File = one.version, one.path
	e.Line, e.Column = one.line+line-1, column
	e.snippet = snippet(cmp.Or(one.text, one.up), line, column, e.Line)
}
