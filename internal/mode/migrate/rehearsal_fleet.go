package migrate

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
)

const (
	muchLonger  = 3           // times
	worthSaying = time.Second // a difference that is shorter is nobody's concern
)

// FleetRehearsal is what the rehearsals showed over all tenants: the output rehearsal, and a part of the report file.
type FleetRehearsal struct {
	Passed    bool   `json:"passed"`
	Sentence  string `json:"sentence"` // the one to read if there is time for one only
	Tenants   int    `json:"tenants"`  // of the run
	Rehearsed int    `json:"rehearsed"`
	Unchanged int    `json:"unchanged"` // had nothing pending
	Missing   int    `json:"missing"`   // do not exist yet
	Failed    int    `json:"failed"`

	MedianMS   int64  `json:"median_ms"`
	LongestMS  int64  `json:"longest_ms"`
	Longest    string `json:"longest,omitempty"` // a tenant's name
	EstimateMS int64  `json:"estimate_ms"`       // of the run itself, at its concurrency

	Files   []FleetFile    `json:"files"`
	Public  []FleetFile    `json:"public_files,omitempty"` // of the schema public, which run once
	Changes []SchemaChange `json:"schema_changes,omitempty"`
	Cost    Cost           `json:"cost"`
}

// FleetFile is what one file did, over all tenants.
type FleetFile struct {
	Version   string     `json:"version"`
	File      string     `json:"file"`
	Tenants   int        `json:"tenants"`
	MedianMS  int64      `json:"median_ms"`
	LongestMS int64      `json:"longest_ms"`
	Longest   string     `json:"longest"`
	TotalMS   int64      `json:"total_ms"`
	Locks     []FleetUse `json:"locks,omitempty"`
	Rewrites  []FleetUse `json:"rewrites,omitempty"`
	Indexes   []FleetUse `json:"indexes,omitempty"`
	Hints     []FileHint `json:"hints,omitempty"`
}

// FleetUse is a lock, a rewrite or an index, over all tenants in which it was seen.
type FleetUse struct {
	Table   string `json:"table"`
	Index   string `json:"index,omitempty"`
	Lock    string `json:"lock,omitempty"`
	Stops   string `json:"stops,omitempty"`
	Tenants int    `json:"tenants"`
	MostMS  int64  `json:"most_ms"`              // for which the lock was held, or the statement took
	Bytes   int64  `json:"most_bytes,omitempty"` // that were written
	Most    string `json:"most"`                 // the tenant in which it was the most
}

// FileHint is a safer form of a statement.
type FileHint struct {
	ID    string `json:"id"`
	File  string `json:"file,omitempty"` // if several are committed together
	Line  int    `json:"line"`
	Why   string `json:"why"`
	Safer string `json:"safer,omitempty"` // SQL
}

// SchemaChange is a way in which schemas changed.
type SchemaChange struct {
	Lines   []string `json:"lines"`
	Tenants []string `json:"tenants"` // names, the first hundred
	Count   int      `json:"count"`
}

// Cost is what the rehearsals took.
type Cost struct {
	Branches       int   `json:"branches"`
	ComputeSeconds int64 `json:"compute_seconds"` // for which the branches' computes ran, all together
	compute        time.Duration
	APICalls       int64 `json:"api_calls"`    // of Neon's
	Copies         int   `json:"copies"`       // databases on the tenants' own servers
	WithoutData    int   `json:"without_data"` // of them
}

// summarize joins the tenants' rehearsals and that of the schema public, which may be nil. all are in the run's order,
// tenants is how many the run has.
func summarize(all []*rehearsed, public *rehearsed, tenants, concurrency int) FleetRehearsal {
	f := FleetRehearsal{Tenants: tenants, Passed: true}
	var ran []*rehearsed
	var times []time.Duration
	for _, r := range all {
		f.Cost.add(r)
		f.count(r)
		if len(r.traces) > 0 {
			ran = append(ran, r)
		}
		times = append(times, r.elapsed())
	}
	if len(ran) > 0 {
		byTime := slices.SortedStableFunc(slices.Values(ran), func(a, b *rehearsed) int {
			return cmp.Compare(b.elapsed(), a.elapsed())
		})
		median := byTime[len(byTime)/2].elapsed()
		f.MedianMS, f.LongestMS = median.Milliseconds(), byTime[0].elapsed().Milliseconds()
		f.Longest = byTime[0].tenant.Name
		for len(times) < tenants { // those that were not rehearsed
			times = append(times, median)
		}
	}
	total := estimate(times, concurrency)
	if public != nil {
		f.Cost.add(public)
		f.Public = joinFiles([]*rehearsed{public})
		total += public.elapsed()
	}
	f.EstimateMS = total.Milliseconds()
	f.Files, f.Changes = joinFiles(ran), joinChanges(ran)
	f.Sentence = f.sentence()
	return f
}

// count adds how a tenant's rehearsal ended.
func (f *FleetRehearsal) count(r *rehearsed) {
	switch {
	case r.err != nil:
		f.Failed++
		f.Passed = false
	case r.missing:
		f.Missing++
	case r.copy == "":
		f.Unchanged++
	default:
		f.Rehearsed++
	}
}

// looked is how many tenants were looked at.
func (f FleetRehearsal) looked() int { return f.Rehearsed + f.Unchanged + f.Missing + f.Failed }

func (c *Cost) add(r *rehearsed) {
	switch r.copy {
	case onBranch:
		c.Branches++
		c.compute += r.compute
		c.ComputeSeconds = int64((c.compute + time.Second - 1) / time.Second) // a second that began is used
	case onCopy:
		c.Copies++
	case onSchema:
		c.Copies++
		c.WithoutData++
	}
}

// joinFiles joins what each file did in the tenants, in the files' order.
func joinFiles(ran []*rehearsed) []FleetFile {
	type seen struct {
		r *rehearsed
		t migration.Trace
	}
	byFile := map[string][]seen{}
	for _, r := range ran {
		for _, t := range r.traces {
			byFile[t.File] = append(byFile[t.File], seen{r, t})
		}
	}
	files := []FleetFile{}
	for _, file := range slices.Sorted(maps.Keys(byFile)) { // their numbers are of one length
		all := byFile[file]
		f := FleetFile{Version: all[0].t.Version, File: file, Tenants: len(all)}
		var times []time.Duration
		for _, one := range all {
			times = append(times, one.t.Elapsed)
			f.TotalMS += one.t.Elapsed.Milliseconds()
			if ms := one.t.Elapsed.Milliseconds(); f.Longest == "" || ms > f.LongestMS {
				f.LongestMS, f.Longest = ms, one.r.tenant.Name
			}
			f.join(fileDetail(one.t), one.r.tenant.Name)
			f.addHints(one.t)
		}
		slices.Sort(times)
		f.MedianMS = times[(len(times)-1)/2].Milliseconds()
		slices.SortStableFunc(f.Hints, func(a, b FileHint) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
		})
		files = append(files, f)
	}
	return files
}

// addHints adds the hints that no other tenant gave.
func (f *FleetFile) addHints(t migration.Trace) {
	for _, h := range t.Hints() {
		s := t.Statements[h.Statement]
		hint := FileHint{h.ID, fileOf(t, s), s.Line, h.Why, h.Safer}
		if !slices.Contains(f.Hints, hint) {
			f.Hints = append(f.Hints, hint)
		}
	}
}

// join adds what the file did in one tenant.
func (f *FleetFile) join(d RehearsedFile, tenant string) {
	f.Locks = joinUses(f.Locks, d.Locks, tenant, func(u RehearsedUse) int64 { return u.HeldMS })
	f.Rewrites = joinUses(f.Rewrites, d.Rewrites, tenant, func(u RehearsedUse) int64 { return u.ElapsedMS })
	f.Indexes = joinUses(f.Indexes, d.Indexes, tenant, func(u RehearsedUse) int64 { return u.ElapsedMS })
}

// joinUses adds one tenant's uses, of which several may be of one table.
func joinUses(all []FleetUse, more []RehearsedUse, tenant string, took func(RehearsedUse) int64) []FleetUse {
	type total struct{ ms, bytes int64 }
	totals := map[int]total{} // by the index in all
	for _, u := range more {
		i := slices.IndexFunc(all, func(f FleetUse) bool {
			return f.Table == u.Table && f.Index == u.Index && f.Lock == u.Lock
		})
		if i < 0 {
			all = append(all, FleetUse{Table: u.Table, Index: u.Index, Lock: u.Lock, Stops: u.Stops, MostMS: -1})
			i = len(all) - 1
		}
		t := totals[i]
		totals[i] = total{t.ms + took(u), t.bytes + u.Bytes}
	}
	for i, t := range totals {
		f := &all[i]
		f.Tenants++
		if t.ms > f.MostMS || t.ms == f.MostMS && t.bytes > f.Bytes {
			f.MostMS, f.Most = t.ms, tenant
		}
		f.Bytes = max(f.Bytes, t.bytes)
	}
	return all
}

// joinChanges groups the tenants by how their schemas changed, the largest group first.
func joinChanges(ran []*rehearsed) []SchemaChange {
	const named = 100
	byText := map[string]int{}
	var all []SchemaChange
	for _, r := range ran {
		if len(r.change) == 0 {
			continue
		}
		text := strings.Join(r.change, "\n")
		i, seen := byText[text]
		if !seen {
			i = len(all)
			byText[text] = i
			all = append(all, SchemaChange{Lines: r.change})
		}
		if all[i].Count++; all[i].Count <= named {
			all[i].Tenants = append(all[i].Tenants, r.tenant.Name)
		}
	}
	slices.SortStableFunc(all, func(a, b SchemaChange) int { return cmp.Compare(b.Count, a.Count) })
	return all
}
