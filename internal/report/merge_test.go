package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// shardFile is the report file of a run that started so many minutes after the first, written and read back.
func shardFile(t *testing.T, shard string, minutes int, results ...fleet.Result) NamedFile {
	t.Helper()
	return stored(t, Run{Mode: "migrate", Source: "neon", Shard: shard,
		Started: began.Add(time.Duration(minutes) * time.Minute), Elapsed: 30 * time.Second, Results: results})
}

func stored(t *testing.T, r Run) NamedFile {
	t.Helper()
	data, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return NamedFile{Path: fmt.Sprintf("reports/%s-%s.json", strings.ReplaceAll(r.Shard, "/", "-of-"),
		r.Started.Format("1504")), File: f}
}

func TestMerge(t *testing.T) {
	const second = time.Second
	one := shardFile(t, "1/3", 0, succeeded(tenantNo(3), "3 applied", second),
		failed(tenantNo(0), missingRelation(tenantNo(0)), second))
	two := stored(t, Run{
		Mode: "migrate", Source: "neon", Shard: "2/3", Started: began.Add(time.Minute), Elapsed: 2 * time.Minute,
		Made:     Made{Branches: 2, Copies: 1},
		Results:  []fleet.Result{unchanged(tenantNo(1), second)},
		Warnings: []string{"a pattern matches nothing"}, Notices: []string{"pooled hosts"},
		Sections: []Section{{Title: "Drift", Lines: []string{"one differs"}}},
		Err:      fleet.WithRemedy(errors.New("one project could not be read"), "run again"),
	})
	three := stored(t, Run{
		Mode: "migrate", Source: "neon", Shard: "3/3", Started: began.Add(time.Second), Elapsed: second,
		Made:     Made{Branches: 3},
		Results:  []fleet.Result{skipped(tenantNo(2), "cancelled")},
		Warnings: []string{"a pattern matches nothing"}, Notices: []string{"pooled hosts"},
		Err: fleet.WithRemedy(errors.New("one project could not be read"), "run again"),
	})
	r, err := Merge([]NamedFile{three, one, two})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Totals(), (Totals{4, 1, 1, 1, 1}); got != want {
		t.Errorf("totals %+v", got)
	}
	if want := (Made{Branches: 5, Copies: 1}); r.Made != want {
		t.Errorf("made %+v", r.Made)
	}
	var order []string
	for _, res := range r.Results {
		order = append(order, res.Tenant.Key)
	}
	if diff := cmp.Diff([]string{"acme-corp", "globex", "initech", "umbrella"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if !r.Started.Equal(began) || r.Elapsed != 3*time.Minute {
		t.Errorf("from %s, for %s", r.Started, r.Elapsed)
	}
	if r.Err == nil || r.Err.Error() != "shard 2/3, shard 3/3: one project could not be read" ||
		fleet.Remedy(r.Err) != "run again" {
		t.Errorf("error %v, remedy %q", r.Err, fleet.Remedy(r.Err))
	}
	if len(r.Warnings) != 1 || len(r.Notices) != 1 || !r.Failed() {
		t.Errorf("%v %v", r.Warnings, r.Notices)
	}
	want := []Section{
		{Title: "Drift (shard 2/3)", Lines: []string{"one differs"}},
		{Title: "Merged reports", Lines: []string{
			"shard 1/3: 1 of 2 tenants failed in 30s",
			"shard 2/3: the run failed, though no tenant did in 2m",
			"shard 3/3: the run failed, 1 tenant skipped in 1s",
		}},
	}
	if diff := cmp.Diff(want, r.Sections); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	if f, line := fleet.Location(r.Results[0].Err); f == "" || line != 12 || fleet.Remedy(r.Results[0].Err) == "" {
		t.Errorf("the tenant's error came as %s:%d", f, line)
	}
	back := stored(t, r).Run()
	if diff := cmp.Diff(Summary(r), Summary(back)); diff != "" || len(back.Merged) != 3 ||
		back.Merged[1].File != "reports/2-of-3-0927.json" {
		t.Errorf("what came back of the merged report (-first +second):\n%s\n%+v", diff, back.Merged)
	}
	golden(t, "summary-merged.md", Summary(r))
}

func TestMergeOfAShardThatWasRunAgain(t *testing.T) {
	broken := stored(t, Run{Mode: "migrate", Source: "neon", Shard: "1/2", Started: began, Elapsed: time.Second,
		Warnings: []string{"of the first time"}, Err: errors.New("cancelled"),
		Results: []fleet.Result{failed(tenantNo(0), errors.New("cancelled"), time.Second),
			skipped(tenantNo(1), "cancelled"), succeeded(tenantNo(5), "gone since", time.Second)}})
	again := shardFile(t, "1/2", 60, succeeded(tenantNo(0), "1 applied", time.Second),
		succeeded(tenantNo(1), "1 applied", time.Second))
	other := shardFile(t, "2/2", 1, unchanged(tenantNo(2), time.Second))
	for _, files := range [][]NamedFile{{broken, again, other}, {again, other, broken}} {
		r, err := Merge(files)
		if err != nil || r.Err != nil || r.Failed() {
			t.Fatalf("%v %v", err, r.Err)
		}
		if got, want := r.Totals(), (Totals{4, 3, 1, 0, 0}); got != want {
			t.Errorf("totals %+v", got)
		}
		if diff := cmp.Diff([]string{"2 tenants appear in more than one report file: the run that started last counts"},
			r.Notices); diff != "" || len(r.Warnings) != 0 {
			t.Errorf("notices (-want +got):\n%s\n%v", diff, r.Warnings)
		}
		if line := r.Sections[0].Lines[0]; !strings.HasSuffix(line, "superseded by a later run") {
			t.Errorf("the listing says %q", line)
		}
	}
}

func TestMergeSections(t *testing.T) {
	same, own := Section{Title: "Same", Lines: []string{"a"}}, Section{Title: "Own", Lines: []string{"b"}}
	file := func(shard string, minutes int, s ...Section) NamedFile {
		return stored(t, Run{Mode: "x", Source: "neon", Shard: shard,
			Started: began.Add(time.Duration(minutes) * time.Minute), Sections: s})
	}
	r, err := Merge([]NamedFile{file("1/2", 0, own), file("1/2", 1, same, own), file("2/2", 2, same)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Section{same, {Title: "Own (shard 1/2)", Lines: []string{"b"}}},
		r.Sections[:len(r.Sections)-1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMergeFindsWhatIsMissingOrDoesNotBelong(t *testing.T) {
	a := shardFile(t, "1/4", 0, unchanged(tenantNo(0), time.Second))
	b := shardFile(t, "3/4", 0, unchanged(tenantNo(1), time.Second))
	whole := shardFile(t, "", 0, unchanged(tenantNo(1), time.Second))
	with := func(f NamedFile, change func(*File)) NamedFile {
		f.Path = "other.json"
		change(&f.File)
		return f
	}
	r, err := Merge([]NamedFile{b, a, whole})
	if err != nil || r.Err == nil || r.Err.Error() != "there is no report for shards 2/4, 4/4" ||
		fleet.Remedy(r.Err) == "" || !r.Failed() {
		t.Errorf("%v, %v", err, r.Err)
	}
	for want, files := range map[string][]NamedFile{
		"there is no report file": nil,
		"other.json is from mode backup and reports/3-of-4-0926.json from mode migrate": {
			b, with(a, func(f *File) { f.Mode = "backup" }),
		},
		"other.json is from tenant-source catalog and reports/3-of-4-0926.json from tenant-source neon": {
			b, with(a, func(f *File) { f.Source = "catalog" }),
		},
		"only one of other.json and reports/3-of-4-0926.json is from a dry run": {
			b, with(a, func(f *File) { f.DryRun = true }),
		},
		"other.json is from shard 1/8 and reports/3-of-4-0926.json from shard 3/4": {
			b, with(a, func(f *File) { f.Shard = "1/8" }),
		},
		`read other.json: shard: "9/8" is not a shard`: {with(a, func(f *File) { f.Shard = "9/8" })},
	} {
		if _, err := Merge(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestMergeOfOneFileIsThatRun(t *testing.T) {
	for name, run := range fixtures() {
		if name == "hostile" {
			continue // bytes that are not UTF-8 do not come back
		}
		run = sample(run)
		run.Shard = ""
		r, err := Merge([]NamedFile{stored(t, run)})
		if err != nil || r.Totals() != run.Totals() || (r.Err == nil) != (run.Err == nil) || r.Elapsed != run.Elapsed {
			t.Errorf("%s: %v, %+v", name, err, r.Totals())
		}
	}
}

// The shards of one workflow run have its id; runs from shells have one each.
func TestMergeKeepsTheRunsID(t *testing.T) {
	for ids, want := range map[[2]string]string{{"7", "7"}: "7", {"7", "8"}: "", {"7", ""}: "", {"", ""}: ""} {
		var files []NamedFile
		for i, id := range ids {
			shard := fmt.Sprintf("%d/2", i+1)
			files = append(files, stored(t, Run{ID: id, Mode: "migrate", Shard: shard, Started: began}))
		}
		if run, err := Merge(files); err != nil || run.ID != want {
			t.Errorf("%q: %q, %v", ids, run.ID, err)
		}
	}
}

// The errors of a run count until later ones have gone on with every tenant that it left.
func TestMergeOfARetry(t *testing.T) {
	broken := stored(t, Run{Mode: "migrate", Source: "neon", Started: began, Elapsed: time.Second,
		Err: errors.New("cancelled"), Results: []fleet.Result{succeeded(tenantNo(0), "1 applied", time.Second),
			failed(tenantNo(1), errors.New("cancelled"), time.Second), skipped(tenantNo(2), "cancelled")}})
	part := shardFile(t, "", 10, succeeded(tenantNo(1), "1 applied", time.Second))
	rest := shardFile(t, "1/2", 20, succeeded(tenantNo(2), "1 applied", time.Second))
	other := shardFile(t, "2/2", 20)
	r, err := Merge([]NamedFile{part, broken})
	if err != nil || r.Err == nil || r.Totals() != (Totals{3, 2, 0, 0, 1}) {
		t.Errorf("with one tenant left: %v, %v, %+v", err, r.Err, r.Totals())
	}
	r, err = Merge([]NamedFile{rest, other, part, broken})
	if err != nil || r.Err != nil || r.Failed() || r.Totals() != (Totals{3, 3, 0, 0, 0}) {
		t.Errorf("with none left: %v, %v, %+v", err, r.Err, r.Totals())
	}
}
