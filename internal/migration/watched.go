package migration

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
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
	a.watch = &watch{relations: relations}
	return nil
}

// script is a message whose statements are followed by looks.
type script struct {
	sql     strings.Builder
	starts  []int // of each statement in the message, in characters from 0
	looks   []int // which statements begin a look
	entries []int // of each statement: its index in the message without looks, -1 for one of a look
	length  int   // of the message, in characters
}

func (s *script) add(sql string, entry int) {
	s.starts = append(s.starts, s.length)
	s.entries = append(s.entries, entry)
	sql += "\n;" // the line break ends a comment in which the statement may end
	s.length += utf8.RuneCountInString(sql)
	s.sql.WriteString(sql)
}

// stamp asks for the time alone, which takes the server less than planning a look.
func (s *script) stamp() {
	s.looks = append(s.looks, len(s.starts))
	s.add("select "+microseconds, -1)
}

func (s *script) look() {
	s.stamp()
	s.add(lookQuery, -1)
}

// watched writes a message with looks: one before the file's first statement, one after each of them, and the time at
// the end of the transaction, or of the message.
func watched(m migration, msg message) *script {
	s := &script{}
	entry := 0
	next := func(sql string) {
		s.add(sql, entry)
		entry++
	}
	for _, sql := range msg.prefix {
		next(sql)
	}
	s.look()
	for _, part := range sqltext.Statements(m.up) {
		next(m.up[part.Start:part.End])
		s.look()
	}
	for _, sql := range msg.suffix {
		next(sql)
		if sql == "commit" {
			s.stamp()
		}
	}
	return s
}

// send sends a message with looks and adds the file's trace to the watch. An error is as it would be without looks, and
// so are the tags, of which only the number is right.
func (a *applier) send(m migration, msg message) (tags []string, err error) {
	s := watched(m, msg)
	answers, err := a.conn.SomeResults(a.ctx, s.sql.String(), func(i int) bool { return s.entries[i] < 0 })
	if watching := a.follow(m, s, answers); watching != nil && err == nil {
		err = watching
	}
	for _, entry := range s.entries[:len(answers)] {
		if entry >= 0 {
			tags = append(tags, "")
		}
	}
	return tags, s.replace(err, m, msg)
}

// follow adds the trace of a file that was run, or of its part before an error.
func (a *applier) follow(m migration, s *script, answers [][][][]byte) error {
	var looks []look
	var committed time.Duration
	for _, at := range s.looks {
		if at >= len(answers) {
			break
		}
		began, err := parseTime(answers[at][0][0])
		if err != nil {
			return fmt.Errorf("look at the locks: %w", err)
		}
		if committed = began; at+1 == len(answers) {
			break
		}
		if s.entries[at+1] >= 0 { // the stamp after the commit
			break
		}
		l, err := parseLook(answers[at+1])
		if err != nil {
			return fmt.Errorf("look at the locks: %w", err)
		}
		l.began = began
		looks = append(looks, l)
	}
	if len(looks) == 0 {
		return nil
	}
	traces := a.watch.traces
	if n := len(traces); n > 0 && traces[n-1].Version == m.version { // of an attempt that was rolled back
		traces = traces[:n-1]
	}
	a.watch.traces = append(traces, a.watch.trace(m, looks, committed))
	return nil
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

// sendAlone sends a migration whose only statement has to be alone in its message.
func (a *applier) sendAlone(m migration) (tags []string, err error) {
	locks := &sampler{}
	if err := locks.start(a.ctx, a.conn); err != nil {
		return nil, fmt.Errorf("%s was not run: watch its locks: %w", m.path, err)
	}
	began := time.Now()
	tags, err = a.conn.Exec(a.ctx, m.up)
	elapsed := time.Since(began)
	seen := locks.stop()
	if a.conn.Closed() || !a.conn.Idle() {
		return tags, err
	}
	answers, looked := a.conn.Results(a.ctx, snapshotQuery+"; "+sizesQuery)
	if looked != nil {
		return tags, errors.Join(err, looked)
	}
	t, looked := a.watch.alone(m, answers, a.schema, elapsed, seen)
	a.watch.traces = append(a.watch.traces, t)
	return tags, errors.Join(err, looked)
}

// sizesQuery returns the sizes of all tables and indexes.
const sizesQuery = `select pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::bigint,
	pg_catalog.pg_table_size(c.oid))) from pg_catalog.pg_class c where c.oid >= 16384 and c.relkind in ('r', 'm', 'i')`

// alone makes the trace of a statement that ran alone.
func (w *watch) alone(
	m migration, answers [][][][]byte, home string, elapsed time.Duration, seen map[uint32]sample,
) (Trace, error) {
	s := sqltext.Statements(m.up)[0]
	line, _ := sqltext.LineColumn(m.up, s.Start)
	t := Trace{Version: m.version, File: m.file, Elapsed: elapsed, Sampled: true, Statements: []TracedStatement{
		{Line: m.line + line - 1, SQL: m.up[s.Start:s.End], Elapsed: elapsed}}}
	after, err := parseSnapshot(answers[0], home)
	if err != nil {
		return t, err
	}
	sizes := map[uint32]int64{}
	err = eachArray(answers[1][0][0], func(values []json.RawMessage) error {
		var oid uint32
		var bytes int64
		err := decodeAll(values, &oid, &bytes)
		sizes[oid] = bytes
		return err
	})
	for _, oid := range slices.Sorted(maps.Keys(after)) {
		r := after[oid]
		before, known := w.relations[oid]
		_, onTable := w.relations[r.table]
		switch {
		case known && before.filenode != r.filenode:
			w.relations[oid] = r
			w.rewritten(&t, 0, r, sizes[oid])
		case !known && r.kind == "i" && onTable:
			w.relations[oid] = r
			t.Indexes = append(t.Indexes, IndexBuild{r.name, w.relations[r.table].name, sizes[oid], 0})
		}
	}
	for _, oid := range slices.Sorted(maps.Keys(seen)) {
		if r, known := w.relations[oid]; known && r.kind != "i" && r.kind != "I" {
			t.Locks = append(t.Locks, TableLock{r.name, modeNames[seen[oid].mode], 0, seen[oid].last - seen[oid].first})
		}
	}
	return t, err
}
