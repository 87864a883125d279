package migration

import (
	"cmp"
	"maps"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Trace is what one file was seen to do to a database that others would be using meanwhile.
type Trace struct {
	Version, File string // of files that are committed together the first version, and all names
	Path          string // as [Error].File has it: two directories may have files of one version
	// Elapsed is from the first statement to the end of the commit, without what watching took: by the server's clock, or
	// by this machine's if the statement ran alone.
	Elapsed    time.Duration
	Statements []TracedStatement
	Locks      []TableLock
	Rewrites   []Rewrite
	Indexes    []IndexBuild
	// Sampled is true if a statement had to run alone, so that its locks could only be looked for from another session,
	// every [sampleEvery]: shorter ones are missing, and the others were held a little longer.
	Sampled bool

	facts facts // for the hints
}

// TracedStatement is one statement of the file.
type TracedStatement struct {
	File    string // that it is in, one of those that are committed together
	Line    int    // of the file, from 1
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

// Rewrite is a table that was rewritten as a whole.
type Rewrite struct {
	Table     string
	Bytes     int64
	Statement int // an index
}

// IndexBuild is an index that was built or rebuilt on a table that was there before.
type IndexBuild struct {
	Index, Table string
	Bytes        int64
	Statement    int // an index
}

// watch follows the files of one run.
type watch struct {
	home      string              // the schema of names without one; "": public
	relations map[uint32]relation // that were there before the run
	traces    []Trace
}

// known are the relations as they are known now, to restore them if what is seen next is rolled back.
func (w *watch) known() map[uint32]relation {
	if w == nil {
		return nil
	}
	return maps.Clone(w.relations)
}

func (w *watch) restore(known map[uint32]relation) {
	if w != nil {
		w.relations = maps.Clone(known)
	}
}

// trace makes a file's trace of the looks after its statements, the first of which is only the time before them, and
// the time at which it had been committed.
func (w *watch) trace(m migration, looks []look, committed time.Duration) Trace {
	t := Trace{Version: m.version, File: m.file, Path: m.path, facts: facts{home: w.home}}
	end := looks[len(looks)-1]
	for _, s := range sqltext.Statements(m.up)[:end.next] {
		one, offset := m.at(s.Start)
		line, _ := sqltext.LineColumn(one.up, offset)
		t.Statements = append(t.Statements, TracedStatement{
			File: one.file, Line: one.line + line - 1, SQL: m.up[s.Start:s.End]})
	}
	for i, l := range looks[1:] {
		took := l.began - looks[i].ended
		t.Statements[l.statement].Elapsed = took
		t.Elapsed += took
		w.compare(&t, l.statement, l)
	}
	last := max(0, committed-end.ended)
	t.Elapsed += last
	t.Locks = w.locks(t.Statements, looks[1:], last)
	return t
}

// compare adds to a trace what a statement rewrote and which indexes it built.
func (w *watch) compare(t *Trace, statement int, l look) {
	for _, h := range l.locks {
		r, known := w.relations[h.relation]
		if known {
			t.facts.add(r)
		}
		if !known || r.filenode == h.filenode || h.filenode == 0 {
			continue
		}
		r.filenode = h.filenode
		w.relations[h.relation] = r
		w.rewritten(t, statement, r, h.bytes)
	}
	for _, c := range l.notNull {
		if r, known := w.relations[c.table]; known {
			f := t.facts.add(r)
			f.notNull[statement] = append(f.notNull[statement], c.name)
		}
	}
	for _, i := range l.indexes {
		table, known := w.relations[i.table]
		if _, before := w.relations[i.index]; known && !before {
			name := i.name
			if table.schema != cmp.Or(w.home, postgres.PublicSchema) {
				name = i.schema + "." + name
			}
			w.relations[i.index] = relation{name: name, kind: "i", table: i.table, filenode: l.filenode(i.index)}
			t.Indexes = append(t.Indexes, IndexBuild{name, table.name, i.bytes, statement})
		}
	}
}

// rewritten adds to a trace that a table or an index has a new file. TRUNCATE and REFRESH … WITH NO DATA make one too,
// and write nothing.
func (w *watch) rewritten(t *Trace, statement int, r relation, bytes int64) {
	tokens, _ := tokensOf(t.Statements[statement].SQL)
	if sqltext.Begins(tokens, "truncate") ||
		sqltext.Begins(tokens, "refresh") && sqltext.Begins(tokens[len(tokens)-2:], "no", "data") {
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

// locks returns the strongest lock on each table, and the longest time for which it was held if it was taken several
// times. last is how long the commit took.
func (w *watch) locks(statements []TracedStatement, looks []look, last time.Duration) []TableLock {
	strongest := map[uint32]int{} // modes
	var locks []TableLock
	at := map[uint32]int{} // in locks
	for i, l := range looks {
		for _, h := range l.locks {
			r, known := w.relations[h.relation]
			mode, seen := strongest[h.relation]
			if !known || r.kind == "i" || r.kind == "I" || seen && mode > h.mode || i > 0 && looks[i-1].holds(h) {
				continue
			}
			one := TableLock{r.name, modeNames[h.mode], l.statement, held(statements, looks[i:], h, last)}
			switch {
			case !seen:
				at[h.relation] = len(locks)
				locks = append(locks, one)
			case mode < h.mode, one.Held > locks[at[h.relation]].Held:
				locks[at[h.relation]] = one
			}
			strongest[h.relation] = h.mode
		}
	}
	return locks
}

// held is how long a lock was held that was taken before the first of these looks: until the end, or until the first
// look that does not find it.
func held(statements []TracedStatement, looks []look, h heldLock, last time.Duration) (held time.Duration) {
	for _, l := range looks {
		held += statements[l.statement].Elapsed
		if !l.holds(h) {
			return held
		}
	}
	return held + last
}
