package migration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Trace is what one file was seen to do to a database that others would be using meanwhile.
type Trace struct {
	Version, File string
	// Elapsed is from the first statement to the end of the commit, by the server's clock and without what watching took.
	Elapsed    time.Duration
	Statements []TracedStatement
	Locks      []TableLock
	Rewrites   []Rewrite
	Indexes    []IndexBuild
	// Sampled is true if a statement had to run alone, so that its locks could only be looked for from another session,
	// every [sampleEvery]: shorter ones are missing, and the others were held a little longer.
	Sampled bool
}

// TracedStatement is one statement of the file.
type TracedStatement struct {
	Line    int // of the file, from 1
	SQL     string
	Elapsed time.Duration
}

// TableLock is the strongest lock on a table (or view) that was there before, if it is stronger than SHARE UPDATE
// EXCLUSIVE, and so keeps others from writing or reading.
type TableLock struct {
	Table     string
	Mode      string        // "ACCESS EXCLUSIVE"
	Statement int           // that took it, an index
	Held      time.Duration // from that statement's beginning until the transaction's end
}

// Stops says what a lock keeps other sessions from.
func (l TableLock) Stops() string {
	switch l.Mode {
	case "ACCESS EXCLUSIVE":
		return "reads and writes"
	case "EXCLUSIVE":
		return "writes and select for update"
	}
	return "writes"
}

// Rewrite is a table that was written anew as a whole.
type Rewrite struct {
	Table     string
	Bytes     int64
	Statement int // an index
}

// IndexBuild is an index that was built, or built anew, on a table that was there before.
type IndexBuild struct {
	Index, Table string
	Bytes        int64
	Statement    int // an index
}

// lockModes are those that keep others from writing or reading, the weakest first, as pg_locks has them.
var lockModes = []string{"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}

// modeNames are the same as SQL has them.
var modeNames = []string{"SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"}

// relation is a table, view, index and so on that was there before the run.
type relation struct {
	name     string
	kind     string // relkind
	table    uint32 // of an index
	filenode int64
}

// snapshotQuery returns everything that can be locked or rewritten.
const snapshotQuery = `select pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::bigint, n.nspname,
	pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname), c.relkind,
	coalesce(i.indrelid::bigint, 0), coalesce(pg_catalog.pg_relation_filenode(c.oid)::bigint, 0)))
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_index i on i.indexrelid = c.oid
where c.oid >= 16384 and c.relkind in ('r', 'p', 'm', 'v', 'f', 'i', 'I')`

// lookQuery returns the session's own strong locks with the files and sizes of what they are on, the indexes of these
// tables, and the time, because looking takes some.
var lookQuery = `with l as materialized (select relation, mode from pg_catalog.pg_locks where
	pid = pg_catalog.pg_backend_pid() and locktype = 'relation' and granted and mode in ('` +
	strings.Join(lockModes, "', '") + `') and database = (
	select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
select (select pg_catalog.json_agg(pg_catalog.json_build_array(l.relation::bigint, l.mode,
	coalesce(pg_catalog.pg_relation_filenode(l.relation)::bigint, 0),
	case when l.relation in (select relation from l where mode = 'AccessExclusiveLock')
	then coalesce(pg_catalog.pg_table_size(l.relation), 0) else 0 end)) from l),
(select pg_catalog.json_agg(pg_catalog.json_build_array(i.indexrelid::bigint, i.indrelid::bigint,
	pg_catalog.quote_ident(c.relname),
	pg_catalog.pg_relation_size(i.indexrelid)))
	from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
	where i.indrelid in (select relation from l)), ` + microseconds

const microseconds = `(extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::bigint`

// look is an answer to lookQuery.
type look struct {
	began, ended time.Duration // by the server's clock, since 1970; began is that of a query before it
	locks        []heldLock
	indexes      []indexOf
}

type heldLock struct {
	relation        uint32
	mode            int // an index into lockModes
	filenode, bytes int64
}

type indexOf struct {
	index, table uint32
	name         string
	bytes        int64
}

// parseTime reads a time in microseconds.
func parseTime(text []byte) (time.Duration, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	return time.Duration(n) * time.Microsecond, err
}

// parseLook reads the one row of lookQuery.
func parseLook(rows [][][]byte) (l look, err error) {
	row := rows[0]
	if l.ended, err = parseTime(row[2]); err != nil {
		return l, err
	}
	err = eachArray(row[0], func(values []json.RawMessage) error {
		var h heldLock
		var mode string
		if err := decodeAll(values, &h.relation, &mode, &h.filenode, &h.bytes); err != nil {
			return err
		}
		h.mode = slices.Index(lockModes, mode)
		l.locks = append(l.locks, h)
		return nil
	})
	if err != nil {
		return l, err
	}
	return l, eachArray(row[1], func(values []json.RawMessage) error {
		var i indexOf
		err := decodeAll(values, &i.index, &i.table, &i.name, &i.bytes)
		l.indexes = append(l.indexes, i)
		return err
	})
}

// eachArray calls read with each array in a JSON array of arrays. Nil is an empty one.
func eachArray(text []byte, read func([]json.RawMessage) error) error {
	var all [][]json.RawMessage
	if text == nil {
		return nil
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, one := range all {
		if err := read(one); err != nil {
			return err
		}
	}
	return nil
}

func decodeAll(values []json.RawMessage, into ...any) error {
	if len(values) != len(into) {
		return fmt.Errorf("the server answers %d values, not %d", len(values), len(into))
	}
	for i, v := range values {
		if err := json.Unmarshal(v, into[i]); err != nil {
			return err
		}
	}
	return nil
}

// watch follows the files of one run.
type watch struct {
	relations map[uint32]relation // that were there before the run
	traces    []Trace
}

// parseSnapshot reads the row of snapshotQuery. Names are without the schema if that is home, or public if home is
// empty.
func parseSnapshot(rows [][][]byte, home string) (map[uint32]relation, error) {
	all := map[uint32]relation{}
	return all, eachArray(rows[0][0], func(values []json.RawMessage) error {
		var oid uint32
		var schema, quoted string
		var r relation
		if err := decodeAll(values, &oid, &schema, &quoted, &r.name, &r.kind, &r.table, &r.filenode); err != nil {
			return err
		}
		if schema != cmp.Or(home, publicSchema) {
			r.name = quoted + "." + r.name
		}
		all[oid] = r
		return nil
	})
}

// trace makes a file's trace of the looks before, between and after its statements, and the time at which it had been
// committed.
func (w *watch) trace(m migration, looks []look, committed time.Duration) Trace {
	t := Trace{Version: m.version, File: m.file}
	statements := sqltext.Statements(m.up)
	for i := range looks[1:] {
		s := statements[i]
		line, _ := sqltext.LineColumn(m.up, s.Start)
		t.Statements = append(t.Statements, TracedStatement{Line: m.line + line - 1, SQL: m.up[s.Start:s.End],
			Elapsed: looks[i+1].began - looks[i].ended})
		t.Elapsed += t.Statements[i].Elapsed
		w.compare(&t, i, looks[i+1])
	}
	last := max(0, committed-looks[len(looks)-1].ended)
	t.Elapsed += last
	t.Locks = w.locks(t.Statements, looks, last)
	return t
}

// compare adds to a trace what a statement rewrote and which indexes it built.
func (w *watch) compare(t *Trace, statement int, l look) {
	for _, h := range l.locks {
		r, known := w.relations[h.relation]
		if !known || r.filenode == h.filenode || h.filenode == 0 {
			continue
		}
		r.filenode = h.filenode
		w.relations[h.relation] = r
		w.rewritten(t, statement, r, h.bytes)
	}
	for _, i := range l.indexes {
		table, known := w.relations[i.table]
		if _, before := w.relations[i.index]; known && !before {
			w.relations[i.index] = relation{name: i.name, kind: "i", table: i.table}
			t.Indexes = append(t.Indexes, IndexBuild{i.name, table.name, i.bytes, statement})
		}
	}
}

// rewritten adds to a trace that a table or an index has a new file. TRUNCATE makes one too, and writes nothing.
func (w *watch) rewritten(t *Trace, statement int, r relation, bytes int64) {
	sql := t.Statements[statement].SQL
	if sqltext.Begins(sqltext.Leading(sql, sqltext.Statement{End: len(sql)}, 1), "truncate") {
		return
	}
	switch r.kind {
	case "r", "m":
		t.Rewrites = append(t.Rewrites, Rewrite{r.name, bytes, statement})
	case "i":
		if table, known := w.relations[r.table]; known {
			t.Indexes = append(t.Indexes, IndexBuild{r.name, table.name, bytes, statement})
		}
	}
}

// locks returns the strongest lock on each table. last is how long the commit took.
func (w *watch) locks(statements []TracedStatement, looks []look, last time.Duration) []TableLock {
	strongest := map[uint32]heldLock{}
	var locks []TableLock
	at := map[uint32]int{} // in locks
	for i, l := range looks[1:] {
		for _, h := range l.locks {
			r, known := w.relations[h.relation]
			before, seen := strongest[h.relation]
			if !known || r.kind == "i" || r.kind == "I" || seen && before.mode >= h.mode {
				continue
			}
			strongest[h.relation] = h
			one := TableLock{r.name, modeNames[h.mode], i, held(statements, looks, i, h, last)}
			if seen {
				locks[at[h.relation]] = one
				continue
			}
			at[h.relation] = len(locks)
			locks = append(locks, one)
		}
	}
	return locks
}

// held is how long a lock was held that a statement took: until the end, or until the first look that does not find it.
func held(
	statements []TracedStatement, looks []look, statement int, h heldLock, last time.Duration,
) (held time.Duration) {
	for i := statement; i < len(statements); i++ {
		held += statements[i].Elapsed
		gone := !slices.ContainsFunc(looks[i+1].locks, func(l heldLock) bool {
			return l.relation == h.relation && l.mode == h.mode
		})
		if gone {
			return held
		}
	}
	return held + last
}
