package migration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// sendAlone sends a migration whose only statement has to be alone in its message.
func (a *applier) sendAlone(m migration) (tags []string, err error) {
	locks := &sampler{}
	if err := locks.start(a.ctx, a.conn); err != nil {
		return nil, &watchError{fmt.Errorf("%s was not run: watch its locks: %w", m.path, err)}
	}
	began := time.Now()
	tags, err = a.conn.Exec(a.ctx, m.up)
	elapsed := time.Since(began)
	seen, blind := locks.stop()
	if a.conn.Closed() || !a.conn.Idle() {
		return tags, err
	}
	answers, looked := a.conn.Results(a.ctx, snapshotQuery+"; "+sizesQuery)
	if looked = cmp.Or(blind, looked); looked == nil {
		var t Trace
		t, looked = a.watch.alone(m, answers, a.schema, elapsed, seen)
		a.watch.traces = append(a.watch.traces, t)
	}
	if err == nil && looked != nil {
		err = &watchError{fmt.Errorf("watch the locks of %s: %w", m.path, looked)}
	}
	return tags, err
}

// watchError is trouble with watching, and not the migration's.
type watchError struct{ error }

func (e *watchError) Unwrap() error { return e.error }

// sizesQuery returns the sizes of all tables and indexes.
const sizesQuery = `select pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::bigint,
	pg_catalog.pg_table_size(c.oid))) from pg_catalog.pg_class c where c.oid >= 16384 and c.relkind in ('r', 'm', 'i')`

// alone makes the trace of a statement that ran alone.
func (w *watch) alone(
	m migration, answers [][][][]byte, home string, elapsed time.Duration, seen map[uint32]sample,
) (Trace, error) {
	s := sqltext.Statements(m.up)[0]
	line, _ := sqltext.LineColumn(m.up, s.Start)
	t := Trace{Version: m.version, File: m.file, Path: m.path, Elapsed: elapsed, Sampled: true,
		facts: facts{home: w.home}}
	t.Statements = []TracedStatement{{File: m.file, Line: m.line + line - 1, SQL: m.up[s.Start:s.End], Elapsed: elapsed}}
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
		r, known := w.relations[oid]
		if known {
			t.facts.add(r)
		}
		if known && r.kind != "i" && r.kind != "I" {
			t.Locks = append(t.Locks, TableLock{r.name, modeNames[seen[oid].mode], 0, seen[oid].last - seen[oid].first})
		}
	}
	return t, err
}
