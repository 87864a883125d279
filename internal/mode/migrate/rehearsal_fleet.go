package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/words"
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
	Failed    int    `json:"failed"`

	MedianMS   int64  `json:"median_ms"`
	LongestMS  int64  `json:"longest_ms"`
	Longest    string `json:"longest,omitempty"` // a tenant's name
	EstimateMS int64  `json:"estimate_ms"`       // of the run itself, at its concurrency

	Files   []FleetFile    `json:"files"`
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
	Copies         int `json:"copies"`       // databases on the tenants' own servers
	WithoutData    int `json:"without_data"` // of them
}

// summarize joins the tenants' rehearsals. all are in the run's order, tenants is how many the run has.
func summarize(all []*rehearsed, tenants, concurrency int) FleetRehearsal {
	f := FleetRehearsal{Tenants: tenants, Passed: true, Files: []FleetFile{}}
	var ran []*rehearsed
	var times []time.Duration
	for _, r := range all {
		f.Cost.add(r)
		switch {
		case r.err != nil:
			f.Failed++
			f.Passed = false
		case len(r.traces) == 0:
			f.Unchanged++
			times = append(times, 0)
			continue
		default:
			f.Rehearsed++
		}
		if len(r.traces) > 0 {
			ran = append(ran, r)
			times = append(times, r.elapsed())
		}
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
		f.EstimateMS = estimate(times, concurrency).Milliseconds()
	}
	f.Files, f.Changes = joinFiles(ran), joinChanges(ran)
	f.Sentence = f.sentence()
	return f
}

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
	byVersion := map[string][]seen{}
	var versions []string
	for _, r := range ran {
		for _, t := range r.traces {
			if byVersion[t.Version] == nil {
				versions = append(versions, t.Version)
			}
			byVersion[t.Version] = append(byVersion[t.Version], seen{r, t})
		}
	}
	slices.Sort(versions)
	files := []FleetFile{}
	for _, v := range versions {
		all := byVersion[v]
		f := FleetFile{Version: v, File: all[0].t.File, Tenants: len(all)}
		var times []time.Duration
		hints := map[string]bool{}
		for _, one := range all {
			times = append(times, one.t.Elapsed)
			f.TotalMS += one.t.Elapsed.Milliseconds()
			if ms := one.t.Elapsed.Milliseconds(); f.Longest == "" || ms > f.LongestMS {
				f.LongestMS, f.Longest = ms, one.r.tenant.Name
			}
			f.join(fileDetail(one.t), one.r.tenant.Name)
			for _, h := range one.t.Hints() {
				line := one.t.Statements[h.Statement].Line
				if key := fmt.Sprint(line, h.ID, h.Safer); !hints[key] {
					hints[key] = true
					f.Hints = append(f.Hints, FileHint{h.ID, line, h.Why, h.Safer})
				}
			}
		}
		slices.Sort(times)
		f.MedianMS = times[(len(times)-1)/2].Milliseconds()
		slices.SortStableFunc(f.Hints, func(a, b FileHint) int { return cmp.Compare(a.Line, b.Line) })
		files = append(files, f)
	}
	return files
}

// join adds what the file did in one tenant.
func (f *FleetFile) join(d RehearsedFile, tenant string) {
	f.Locks = joinUses(f.Locks, d.Locks, tenant, func(u RehearsedUse) int64 { return u.HeldMS })
	f.Rewrites = joinUses(f.Rewrites, d.Rewrites, tenant, func(u RehearsedUse) int64 { return u.ElapsedMS })
	f.Indexes = joinUses(f.Indexes, d.Indexes, tenant, func(u RehearsedUse) int64 { return u.ElapsedMS })
}

func joinUses(all []FleetUse, more []RehearsedUse, tenant string, took func(RehearsedUse) int64) []FleetUse {
	for _, u := range more {
		i := slices.IndexFunc(all, func(f FleetUse) bool {
			return f.Table == u.Table && f.Index == u.Index && f.Lock == u.Lock
		})
		if i < 0 {
			all = append(all, FleetUse{Table: u.Table, Index: u.Index, Lock: u.Lock, Stops: u.Stops, MostMS: -1})
			i = len(all) - 1
		}
		f := &all[i]
		f.Tenants++
		if ms := took(u); ms > f.MostMS || ms == f.MostMS && u.Bytes > f.Bytes {
			f.MostMS, f.Most = ms, tenant
		}
		f.Bytes = max(f.Bytes, u.Bytes)
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

// sentence says the most important thing.
func (f FleetRehearsal) sentence() string {
	if f.Failed > 0 {
		text := fmt.Sprintf("%d of %s failed", f.Failed, words.Count(f.Rehearsed+f.Failed, "rehearsal", "rehearsals"))
		if shown := f.finding(); shown != "" {
			text += "; " + shown
		}
		return text
	}
	if f.Rehearsed == 0 {
		return "nothing is pending in any of " + words.Count(f.Tenants, "tenant", "tenants")
	}
	return f.finding()
}

// finding is what the files were seen to do; "" if none ran.
func (f FleetRehearsal) finding() string {
	var worst FleetUse
	rewrites := map[string]FleetUse{}
	for _, file := range f.Files {
		for _, w := range file.Rewrites {
			rewrites[w.Table] = w
			if w.MostMS > worst.MostMS || worst.Table == "" {
				worst = w
			}
		}
	}
	if worst.Table != "" {
		text := fmt.Sprintf("%d of %s write %s anew", worst.Tenants, words.Count(f.Tenants, "tenant", "tenants"), worst.Table)
		if worst.Tenants == 1 {
			text = fmt.Sprintf("1 of %s writes %s anew", words.Count(f.Tenants, "tenant", "tenants"), worst.Table)
		}
		if l, ok := f.lockOn(worst.Table); ok {
			text += fmt.Sprintf("; the longest, %s, holds %s on it for %s", l.Most, l.Lock,
				ms(l.MostMS))
		}
		return text
	}
	if f.Longest == "" {
		return ""
	}
	return fmt.Sprintf("no table is written anew; the longest tenant, %s, takes %s", f.Longest, ms(f.LongestMS))
}

// lockOn returns the lock on a table that was held longest.
func (f FleetRehearsal) lockOn(table string) (longest FleetUse, found bool) {
	for _, file := range f.Files {
		for _, l := range file.Locks {
			if l.Table == table && (!found || l.MostMS > longest.MostMS) {
				longest, found = l, true
			}
		}
	}
	return longest, found
}
