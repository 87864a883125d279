package migrate

import (
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/words"
)

// TenantRehearsal is what the report file says about one tenant's rehearsal.
type TenantRehearsal struct {
	On        copyKind        `json:"on"` // branch, copy (with the data) or schema (without it)
	ElapsedMS int64           `json:"elapsed_ms"`
	Files     []RehearsedFile `json:"files"`
	Change    []string        `json:"schema_change,omitempty"` // lines of a difference
}

// RehearsedFile is what one file was seen to do.
type RehearsedFile struct {
	Version   string         `json:"version"`
	File      string         `json:"file"`
	ElapsedMS int64          `json:"elapsed_ms"`
	Locks     []RehearsedUse `json:"locks,omitempty"`
	Rewrites  []RehearsedUse `json:"rewrites,omitempty"`
	Indexes   []RehearsedUse `json:"indexes,omitempty"`
	Hints     []string       `json:"hints,omitempty"`   // ids
	Sampled   bool           `json:"sampled,omitempty"` // locks shorter than some 10 ms may be missing
}

// RehearsedUse is a lock, a table that was rewritten, or an index that was built.
type RehearsedUse struct {
	Table     string `json:"table"`
	Index     string `json:"index,omitempty"`
	Lock      string `json:"lock,omitempty"`  // "ACCESS EXCLUSIVE"
	Stops     string `json:"stops,omitempty"` // "reads and writes"
	HeldMS    int64  `json:"held_ms,omitempty"`
	Bytes     int64  `json:"bytes,omitempty"`
	ElapsedMS int64  `json:"elapsed_ms,omitempty"` // of the statement
	File      string `json:"file,omitempty"`       // if several are committed together
	Line      int    `json:"line"`                 // of the file
}

// detail is what the report file says; nil if nothing ran.
func (r *rehearsed) detail() *TenantRehearsal {
	if r == nil || len(r.traces) == 0 {
		return nil
	}
	d := &TenantRehearsal{On: r.copy, ElapsedMS: r.elapsed().Milliseconds(), Change: r.change}
	for _, t := range r.traces {
		d.Files = append(d.Files, fileDetail(t))
	}
	return d
}

func fileDetail(t migration.Trace) RehearsedFile {
	f := RehearsedFile{Version: t.Version, File: t.File, ElapsedMS: t.Elapsed.Milliseconds(), Sampled: t.Sampled}
	for _, l := range t.Locks {
		s := t.Statements[l.Statement]
		f.Locks = append(f.Locks, RehearsedUse{Table: l.Table, Lock: l.Mode, Stops: l.Stops(),
			HeldMS: l.Held.Milliseconds(), File: fileOf(t, s), Line: s.Line})
	}
	for _, w := range t.Rewrites {
		s := t.Statements[w.Statement]
		f.Rewrites = append(f.Rewrites, RehearsedUse{Table: w.Table, Bytes: w.Bytes, File: fileOf(t, s), Line: s.Line,
			ElapsedMS: s.Elapsed.Milliseconds()})
	}
	for _, i := range t.Indexes {
		s := t.Statements[i.Statement]
		f.Indexes = append(f.Indexes, RehearsedUse{Table: i.Table, Index: i.Index, Bytes: i.Bytes,
			File: fileOf(t, s), Line: s.Line, ElapsedMS: s.Elapsed.Milliseconds()})
	}
	for _, h := range t.Hints() {
		f.Hints = append(f.Hints, h.ID)
	}
	return f
}

// fileOf is the file of a statement, empty if the trace is of that file alone.
func fileOf(t migration.Trace, s migration.TracedStatement) string {
	if s.File == t.File {
		return ""
	}
	return s.File
}

// slowerThanRehearsed names the files that took far longer than on the tenant's copy, "" if none did. On a copy without
// data every file is fast.
func (r *rehearsed) slowerThanRehearsed(applied []migration.Applied) string {
	if r == nil || r.copy == onSchema {
		return ""
	}
	traced := map[string]migration.Trace{}
	for _, t := range r.traces {
		traced[t.Version] = t // of files that are committed together, and have one time, that of the first
	}
	var slow []string
	for _, a := range applied {
		t, known := traced[a.Version]
		if known && a.Elapsed > muchLonger*t.Elapsed && a.Elapsed-t.Elapsed > worthSaying {
			slow = append(slow, fmt.Sprintf("%s took %s, and %s in its rehearsal", t.File, words.Duration(a.Elapsed),
				words.Duration(t.Elapsed)))
		}
	}
	if len(slow) == 0 {
		return ""
	}
	return words.List(slow, 3) + ": other sessions may have held it up, or the server was busier"
}

// add adds to a tenant's outcome what its rehearsal showed, and a warning if the real run was far from it.
func (r *rehearsal) add(o *fleet.Outcome, t fleet.Tenant, m migration.Result) {
	if r == nil {
		return
	}
	one := r.done[t.ID]
	if d, ok := o.Detail.(Detail); ok {
		d.Rehearsal = one.detail()
		o.Detail = d
	}
	if text := one.slowerThanRehearsed(m.Applied); text != "" {
		o.Warnings = append(o.Warnings, text)
	}
}

// refused is the outcome of a tenant that was not touched.
func (r *rehearsal) refused(t fleet.Tenant) fleet.Outcome {
	if d := r.done[t.ID].detail(); d != nil {
		return fleet.Outcome{Detail: Detail{Applied: []Applied{}, Rehearsal: d}}
	}
	return fleet.Outcome{}
}

// note says in a line of progress what the rehearsal showed.
func (r *rehearsed) note() string {
	text := fmt.Sprintf("%s in %s", words.Count(len(r.traces), "file", "files"), words.Duration(r.elapsed()))
	var rewrites []string
	var longest migration.TableLock
	for _, t := range r.traces {
		for _, w := range t.Rewrites {
			rewrites = append(rewrites, w.Table)
		}
		for _, l := range t.Locks {
			if l.Held > longest.Held {
				longest = l
			}
		}
	}
	if len(rewrites) > 0 {
		text += "; rewrites " + words.List(slices.Compact(rewrites), 3)
	}
	if longest.Held > 0 {
		text += fmt.Sprintf("; holds %s on %s for %s", longest.Mode, longest.Table, words.Duration(longest.Held))
	}
	return text
}
