package migration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Files that are watched run as they would otherwise: the queries that look at locks and files stand between a
// message's statements and take no round trip. Only a statement that has to be alone in its message cannot be
// followed like this: a second session samples its locks, and the whole catalog is compared before and after.

// startWatching reads what is there before the first file.
func (a *applier) startWatching() error {
	answers, err := a.conn.Results(a.ctx, snapshotQuery)
	if err != nil {
		return fmt.Errorf("look at the tables before the migration: %w", err)
	}
	relations, err := parseSnapshot(answers[0], a.schema)
	if err != nil {
		return fmt.Errorf("look at the tables before the migration: %w", err)
	}
	a.watch = &watch{home: a.schema, relations: relations}
	return nil
}

// script is a message whose statements are followed by looks.
type script struct {
	sql     strings.Builder
	starts  []int // of each statement in the message, in characters from 0
	entries []int // of each statement: its index in the message without looks, -1 for one that watches
	length  int   // of the message, in characters

	began     int           // the stamp before the transaction, an index into starts, as those below
	body      int           // the file's first statement
	looks     []placeOfLook // after the file's statements
	committed int           // the stamp after the commit; 0: there is none
}

// placeOfLook is where a look stands: its stamp, which the look follows, and how many of the file's statements are
// before it.
type placeOfLook struct{ stamp, statements int }

func (s *script) add(sql string, entry int) {
	s.starts = append(s.starts, s.length)
	s.entries = append(s.entries, entry)
	sql += "\n;" // the line break ends a comment in which the statement may end
	s.length += utf8.RuneCountInString(sql)
	s.sql.WriteString(sql)
}

// stamp asks for the time alone, which takes the server less than planning a look. It returns its index.
func (s *script) stamp() int {
	s.add("select "+microseconds, -1)
	return len(s.starts) - 1
}

// watched writes a message with looks: one after each of the file's statements, and the time before the transaction and
// at its end. The first stamp has a transaction of its own, because a query must not come before SET TRANSACTION.
func watched(m migration, msg message) *script {
	s := &script{}
	entry := 0
	next := func(sql string) {
		s.add(sql, entry)
		entry++
	}
	s.add("begin", -1)
	s.began = s.stamp()
	s.add("commit", -1)
	for _, sql := range msg.prefix {
		next(sql)
	}
	s.body = len(s.starts)
	for i, part := range sqltext.Statements(m.up) {
		next(m.up[part.Start:part.End])
		if !bringsSetTransaction(m.statements[i+1:]) {
			s.looks = append(s.looks, placeOfLook{s.stamp(), i + 1})
			s.add(lookQuery, -1)
		}
	}
	for _, sql := range msg.suffix {
		next(sql)
		if sql == "commit" {
			s.committed = s.stamp()
		}
	}
	return s
}

// bringsSetTransaction reports whether statements come to one that sets a transaction's mode, which the server refuses
// after a query, without a query before it.
func bringsSetTransaction(statements []statement) bool {
	for _, s := range statements {
		if s.setsTransaction() {
			return true
		}
		if !slices.Contains(noQueries, s.tokens[0]) {
			return false
		}
	}
	return false
}

// noQueries are statements for which the server takes no snapshot, so that SET TRANSACTION may follow them
// (PlannedStmtRequiresSnapshot in its utility.c). Those that end a transaction do not matter: after a look before them,
// the next transaction still begins without a query.
var noQueries = []string{"begin", "start", "set", "reset", "show", "lock", "listen", "unlisten", "notify", "checkpoint"}

// setsTransaction reports whether a statement sets the mode of the transaction that it runs in.
func (s statement) setsTransaction() bool {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(s.tokens, w) })
	}
	switch s.tokens[0] {
	case "begin", "start":
		return has("isolation", "read", "deferrable")
	case "set":
		return has("transaction", "transaction_isolation", "transaction_read_only", "transaction_deferrable")
	}
	return false
}

// send sends a message with looks and adds the file's trace to the watch. An error and the tags are as they would be
// without looks.
func (a *applier) send(m migration, msg message) (tags []string, err error) {
	s := watched(m, msg)
	answers, all, err := a.conn.SomeResults(a.ctx, s.sql.String(), func(i int) bool { return s.entries[i] < 0 })
	if watching := a.follow(m, s, answers); watching != nil && err == nil {
		err = &watchError{watching}
	}
	for i, tag := range all {
		if s.entries[i] >= 0 {
			tags = append(tags, tag)
		}
	}
	return tags, s.replace(err, m, msg)
}

// follow adds the trace of a file that was run, or of its part before an error.
func (a *applier) follow(m migration, s *script, answers [][][][]byte) error {
	if len(answers) < s.body {
		return nil
	}
	began, err := parseTime(answers[s.began][0][0])
	looks := []look{{ended: began}}
	for _, place := range s.looks {
		if err != nil || place.stamp+1 >= len(answers) {
			break
		}
		var l look
		l, err = parseLook(answers[place.stamp][0][0], answers[place.stamp+1])
		l.statement, l.next = blamed(m, looks[len(looks)-1].next, place.statements), place.statements
		looks = append(looks, l)
	}
	committed := looks[len(looks)-1].ended
	if err == nil && s.committed > 0 && s.committed < len(answers) {
		committed, err = parseTime(answers[s.committed][0][0])
	}
	if err != nil {
		return fmt.Errorf("look at the locks: %w", err)
	}
	traces := a.watch.traces
	if n := len(traces); n > 0 && traces[n-1].Path == m.path { // of an attempt that was rolled back
		traces = traces[:n-1]
	}
	a.watch.traces = append(traces, a.watch.trace(m, looks, committed))
	return nil
}

// blamed is which of the statements between two looks did what the second one sees: LOCK, or else the last one.
func blamed(m migration, from, to int) int {
	for i := from; i < to; i++ {
		if m.statements[i].tokens[0] == "lock" {
			return i
		}
	}
	return to - 1
}

// replace gives an error the position that it would have in the message without looks.
func (s *script) replace(err error, m migration, msg message) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Position == 0 {
		return err
	}
	offset := int(pg.Position) - 1
	failed, found := slices.BinarySearch(s.starts, offset)
	if !found {
		failed--
	}
	moved := *pg
	moved.Position = 0
	parts := sqltext.Statements(m.up)
	if i := s.entries[failed] - len(msg.prefix); s.entries[failed] >= 0 && i >= 0 && i < len(parts) {
		before := utf8.RuneCountInString(msg.head()) + utf8.RuneCountInString(m.up[:parts[i].Start])
		moved.Position = int32(before + offset - s.starts[failed] + 1)
	}
	return &moved
}
