package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	File      string    `json:"file"`
	Shard     string    `json:"shard"`
	StartedAt time.Time `json:"started_at"`
	ElapsedMS int64     `json:"elapsed_ms"`
	// Totals are that run's own, even if a later run's results have replaced some of its own.
	Totals Totals          `json:"totals"`
	Error  *FileError      `json:"error,omitempty"`
	Detail json.RawMessage `json:"detail,omitempty"`
}

// Repeated reports whether a later one of the runs that the report was merged from had the same shard.
func (r Run) Repeated(i int) bool {
	return slices.ContainsFunc(r.Merged, func(m MergedRun) bool {
		return m.Shard != "" && m.Shard == r.Merged[i].Shard && m.StartedAt.After(r.Merged[i].StartedAt)
	})
}

// Merge joins the runs of sharded jobs into one. If several files have the same tenant, because a job was run again,
// the result of the run that started last counts. A shard without a file is an error of the merged run: the job that
// died wrote none. Merge itself returns an error, with a remedy, if the files do not belong together: if they differ in
// mode, source, dry run or number of shards.
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
	m := newMerger(files)
	r := Run{ID: commonRunID(files), Mode: files[0].Mode, Source: files[0].Source, DryRun: files[0].DryRun}
	for _, f := range files {
		r.Made.Branches += f.Made.Branches
		r.Made.Copies += f.Made.Copies
	}
	m.addBounds(&r)
	m.addResults(&r)
	m.addWaves(&r)
	m.addMessages(&r, missingShards(files, count))
	return r, nil
}

// commonRunID is the id of the run that all files are from, empty if there are several.
func commonRunID(files []NamedFile) string {
	if slices.ContainsFunc(files, func(f NamedFile) bool { return f.RunID != files[0].RunID }) {
		return ""
	}
	return files[0].RunID
}

// agree checks that the files are from one kind of run, and returns the number of shards; 0 if none is sharded.
func agree(files []NamedFile) (shards int, err error) {
	const remedy = "have the glob match only the files of one job matrix"
	first := files[0]
	sharded := first
	for _, f := range files {
		if difference := differ(first, f); difference != "" {
			return 0, fleet.WithRemedy(
				fmt.Errorf("the report files are from different kinds of runs: %s", difference), remedy)
		}
		if f.Shard == "" {
			continue
		}
		shard, err := fleet.ParseShard(f.Shard)
		if err != nil {
			return 0, fmt.Errorf("read %s: shard: %w", f.Path, err)
		}
		if shards != 0 && shard.Count != shards {
			return 0, fleet.WithRemedy(fmt.Errorf("the report files differ in the number of shards: "+
				"%s is from shard %s and %s from shard %s", sharded.Path, sharded.Shard, f.Path, f.Shard),
				remedy+", and give all its jobs the same number of shards")
		}
		shards, sharded = shard.Count, f
	}
	return shards, nil
}

// differ says in what two files differ that cannot be merged, or "".
func differ(a, b NamedFile) string {
	switch {
	case a.Mode != b.Mode:
		return fmt.Sprintf("%s is from mode %s and %s from mode %s", a.Path, a.Mode, b.Path, b.Mode)
	case a.Source != b.Source:
		return fmt.Sprintf("%s is from tenant-source %s and %s from tenant-source %s",
			a.Path, a.Source, b.Path, b.Source)
	case a.DryRun != b.DryRun:
		return fmt.Sprintf("only one of %s and %s is from a dry run", a.Path, b.Path)
	}
	return ""
}

// MissingShards lists the shards of one run that have no file. The error says in what the files differ if they are not
// of one kind of run.
func MissingShards(files []NamedFile) ([]string, error) {
	count, err := agree(files)
	if err != nil {
		return nil, err
	}
	return missingShards(files, count), nil
}

// missingShards lists the shards without a file.
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

// merger knows which of several files counts for what. The files are in the order of their start.
type merger struct {
	files []NamedFile
	// owner is the index of the file whose result of a tenant counts, by the tenant's id.
	owner map[string]int
	// newest is the index of each shard's last file.
	newest map[string]int
	// repeated is the number of tenants that more than one file has.
	repeated int
}

func newMerger(files []NamedFile) *merger {
	m := &merger{files: files, owner: map[string]int{}, newest: map[string]int{}}
	repeated := map[string]bool{}
	for i, f := range files {
		m.newest[f.Shard] = i
		for _, t := range f.Tenants {
			if _, seen := m.owner[t.ID]; seen {
				repeated[t.ID] = true
			}
			m.owner[t.ID] = i
		}
	}
	m.repeated = len(repeated)
	return m
}

// superseded reports whether a later run repeated the same shard, or went on with every tenant that this one left.
func (m *merger) superseded(i int) bool {
	if m.files[i].Shard != "" && m.newest[m.files[i].Shard] != i {
		return true
	}
	left := 0
	for _, t := range m.files[i].Tenants {
		if t.State != fleet.Failed && t.State != fleet.Skipped {
			continue
		}
		if left++; m.owner[t.ID] == i {
			return false
		}
	}
	return left > 0
}

// addBounds makes the merged run last from the first start to the last end.
func (m *merger) addBounds(r *Run) {
	var end time.Time
	r.Started = m.files[0].StartedAt
	for _, f := range m.files {
		if e := f.StartedAt.Add(time.Duration(f.ElapsedMS) * time.Millisecond); e.After(end) {
			end = e
		}
	}
	r.Elapsed = end.Sub(r.Started)
}

// addResults takes every tenant once, in the order of an unsharded run.
func (m *merger) addResults(r *Run) {
	r.Results = make([]fleet.Result, 0, len(m.owner))
	for i, f := range m.files {
		for _, e := range f.Tenants {
			if m.owner[e.ID] == i {
				r.Results = append(r.Results, e.result())
			}
		}
	}
	slices.SortStableFunc(r.Results, func(a, b fleet.Result) int {
		return cmp.Or(cmp.Compare(a.Tenant.Key, b.Tenant.Key), cmp.Compare(a.Tenant.ID, b.Tenant.ID))
	})
}

// byShard returns the indexes of the files in the order of their shards, and those of one shard in the order of their
// start.
func (m *merger) byShard() []int {
	order := make([]int, len(m.files))
	for i := range order {
		order[i] = i
	}
	number := func(i int) int {
		s, _ := fleet.ParseShard(m.files[i].Shard) // zero, and so the first, if there is none
		return s.Index
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(number(a), number(b)) })
	return order
}
