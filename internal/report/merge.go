package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// NamedFile is a report file with its path, as the user knows it.
type NamedFile struct {
	Path string
	File
}

// MergedRun is one of the runs that a merged report was made from.
type MergedRun struct {
	File      string          `json:"file"`
	Shard     string          `json:"shard"`
	StartedAt time.Time       `json:"started_at"`
	ElapsedMS int64           `json:"elapsed_ms"`
	Totals    Totals          `json:"totals"` // as that run counted, also where a later run's results have replaced some of its own
	Error     *FileError      `json:"error,omitempty"`
	Detail    json.RawMessage `json:"detail,omitempty"`
}

// Merge makes one run of the runs of sharded jobs, whose files have one mode and one source. A tenant that two of them have,
// as after a job was run again, has the result of the run that began last. A shard of which there is no file is the merged
// run's error: a job that died wrote none. An error of Merge itself means that the files do not belong together.
func Merge(files []NamedFile) (Run, error) {
	if len(files) == 0 {
		return Run{}, errors.New("there is no report file to merge")
	}
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b NamedFile) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.Path, b.Path))
	})
	count, err := agree(files)
	if err != nil {
		return Run{}, err
	}
	m := merger{files: files, owner: map[string]int{}, newest: map[string]int{}}
	m.assign()
	r := Run{Mode: files[0].Mode, Source: files[0].Source, DryRun: files[0].DryRun}
	m.span(&r)
	m.results(&r)
	m.words(&r, missingShards(files, count))
	return r, nil
}

// agree checks that the files are of one kind of run, and returns how many shards there are; 0 where none is sharded.
func agree(files []NamedFile) (shards int, err error) {
	first := files[0]
	sharded := first
	for _, f := range files {
		var what string
		switch {
		case f.Mode != first.Mode:
			what = fmt.Sprintf("%s is of mode %s and %s of mode %s", first.Path, first.Mode, f.Path, f.Mode)
		case f.Source != first.Source:
			what = fmt.Sprintf("%s is of tenant-source %s and %s of tenant-source %s", first.Path, first.Source, f.Path, f.Source)
		case f.DryRun != first.DryRun:
			what = fmt.Sprintf("one of %s and %s is of a dry run and the other is not", first.Path, f.Path)
		}
		if what != "" {
			return 0, fleet.WithRemedy(fmt.Errorf("the report files are not of one kind of run: %s", what),
				"let report-files match the files of one matrix of jobs only")
		}
		if f.Shard == "" {
			continue
		}
		shard, err := fleet.ParseShard(f.Shard)
		if err != nil {
			return 0, fmt.Errorf("read %s: shard: %w", f.Path, err)
		}
		if shards != 0 && shard.Count != shards {
			return 0, fleet.WithRemedy(fmt.Errorf("the report files are not of one split: %s is of shard %s and %s of shard %s", sharded.Path, sharded.Shard, f.Path, f.Shard),
				"let report-files match the files of one matrix of jobs only, and give all its jobs the same number of shards")
		}
		shards, sharded = shard.Count, f
	}
	return shards, nil
}

// missingShards are the shards that no file is of.
func missingShards(files []NamedFile, count int) []string {
	var missing []string
	for i := 1; i <= count; i++ {
		shard := fleet.Shard{Index: i, Count: count}
		if !slices.ContainsFunc(files, func(f NamedFile) bool { return sameShard(f.Shard, shard) }) {
			missing = append(missing, shard.String())
		}
	}
	return missing
}

func sameShard(text string, shard fleet.Shard) bool {
	s, err := fleet.ParseShard(text)
	return err == nil && s == shard
}

// merger is files in the order of their start, and which of them counts where.
type merger struct {
	files []NamedFile
	// owner is the file whose result of a tenant counts, by the tenant's id.
	owner map[string]int
	// newest is the last file of each shard.
	newest map[string]int
	// again counts the tenants that more than one file has.
	again int
}

func (m *merger) assign() {
	twice := map[string]bool{}
	for i, f := range m.files {
		m.newest[f.Shard] = i
		for _, t := range f.Tenants {
			if _, seen := m.owner[t.ID]; seen {
				twice[t.ID] = true
			}
			m.owner[t.ID] = i
		}
	}
	m.again = len(twice)
}

// superseded says whether a later run did the same shard over.
func (m *merger) superseded(i int) bool {
	return m.files[i].Shard != "" && m.newest[m.files[i].Shard] != i
}

// span reaches from the first start to the last end.
func (m *merger) span(r *Run) {
	var end time.Time
	r.Started = m.files[0].StartedAt
	for _, f := range m.files {
		if e := f.StartedAt.Add(time.Duration(f.ElapsedMS) * time.Millisecond); e.After(end) {
			end = e
		}
	}
	r.Elapsed = end.Sub(r.Started)
}

// results takes every tenant once, in the order in which an unsharded run has them.
func (m *merger) results(r *Run) {
	for i, f := range m.files {
		for _, res := range f.Run().Results {
			if m.owner[res.Tenant.ID] == i {
				r.Results = append(r.Results, res)
			}
		}
	}
	slices.SortStableFunc(r.Results, func(a, b fleet.Result) int {
		return cmp.Or(cmp.Compare(a.Tenant.Key, b.Tenant.Key), cmp.Compare(a.Tenant.ID, b.Tenant.ID))
	})
}

// words joins what the runs say of themselves.
func (m *merger) words(r *Run, missing []string) {
	var errs sayings
	if len(missing) > 0 {
		remedy := "look at the jobs of these shards, which wrote no report before they ended, and run them again; or let report-files match all the files"
		noun := "shard"
		if len(missing) > 1 {
			noun = "shards"
		}
		errs.add(fmt.Sprintf("there is no report of %s %s", noun, strings.Join(missing, ", ")), remedy, "")
	}
	if m.again > 0 {
		r.Notices = append(r.Notices, fmt.Sprintf("%s in more than one report file: the run that began last counts", stand(m.again)))
	}
	all := m.commonSections()
	listing := Section{Title: "Merged reports"}
	for _, i := range m.inShards() {
		f := m.files[i]
		r.Merged = append(r.Merged, MergedRun{
			File: f.Path, Shard: f.Shard, StartedAt: f.StartedAt, ElapsedMS: f.ElapsedMS, Totals: f.Totals, Error: f.Error, Detail: f.Detail,
		})
		own := f.Run()
		line := cmp.Or(own.name(), f.Path) + ": " + verdict(own) + " in " + human(own.Elapsed)
		if m.superseded(i) {
			listing.Lines = append(listing.Lines, line+", done again later")
			continue // what it says of itself is no longer so
		}
		listing.Lines = append(listing.Lines, line)
		if f.Error != nil {
			errs.add(f.Error.Message, f.Error.Remedy, own.name())
		}
		r.Warnings = appendNew(r.Warnings, f.Warnings...)
		r.Notices = appendNew(r.Notices, f.Notices...)
		for _, s := range f.Sections {
			shown, common := all[s.Text()]
			switch {
			case shown:
				continue
			case common:
				all[s.Text()] = true
			case own.Shard != "":
				s.Title += " (" + own.name() + ")"
			}
			r.Sections = append(r.Sections, s)
		}
	}
	r.Sections = append(r.Sections, listing)
	r.Err = errs.err()
}

// inShards are the files in the order of their shards, those of one shard in the order of their start.
func (m *merger) inShards() []int {
	order := make([]int, len(m.files))
	for i := range order {
		order[i] = i
	}
	number := func(i int) int {
		s, _ := fleet.ParseShard(m.files[i].Shard) // zero where it is none: first
		return s.Index
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(number(a), number(b)) })
	return order
}

// commonSections are the texts of the sections that all runs have, which are shown once.
func (m *merger) commonSections() map[string]bool {
	count, runs := map[string]int{}, 0
	for i, f := range m.files {
		if m.superseded(i) {
			continue
		}
		runs++
		for _, s := range f.Sections {
			count[s.Text()]++
		}
	}
	common := map[string]bool{} // the value: shown already
	for text, n := range count {
		if n == runs {
			common[text] = false
		}
	}
	return common
}

// name tells a sharded run from the others.
func (r Run) name() string {
	if r.Shard == "" {
		return ""
	}
	return "shard " + r.Shard
}

func stand(n int) string {
	if n == 1 {
		return "one tenant stands"
	}
	return fmt.Sprintf("%d tenants stand", n)
}

func appendNew(to []string, texts ...string) []string {
	for _, text := range texts {
		if !slices.Contains(to, text) {
			to = append(to, text)
		}
	}
	return to
}

// sayings are errors of several runs, alike ones once.
type sayings struct {
	texts, remedies []string
	who             map[string][]string
}

func (s *sayings) add(text, remedy, who string) {
	if s.who == nil {
		s.who = map[string][]string{}
	}
	if s.texts = appendNew(s.texts, text); who != "" {
		s.who[text] = append(s.who[text], who)
	}
	if remedy != "" {
		s.remedies = appendNew(s.remedies, remedy)
	}
}

// err joins them; nil where there are none.
func (s *sayings) err() error {
	var all []error
	for _, text := range s.texts {
		if who := s.who[text]; len(who) > 0 {
			text = strings.Join(who, ", ") + ": " + text
		}
		all = append(all, errors.New(text))
	}
	return fleet.WithRemedy(errors.Join(all...), strings.Join(s.remedies, "; "))
}
