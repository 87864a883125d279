package health

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/report"
)

func TestFindReference(t *testing.T) {
	all := []fleet.Tenant{
		{Name: "Acme", ID: "p-1", Key: "acme"}, {Name: "acme", ID: "p-2", Key: "acme-2"}, {Name: "twin", ID: "p-3"},
		{Name: "twin", ID: "p-4"},
	}
	for name, want := range map[string]string{"Acme": "p-1", "p-2": "p-2", "acme-2": "p-2", "acme": "", "twin": "",
		"nobody": ""} {
		got, err := findReference(all, name)
		if got.ID != want || (err == nil) != (want != "") || err != nil && fleet.Remedy(err) == "" {
			t.Errorf("%q: got %+v, %v", name, got, err)
		}
	}
}

// The reference is looked at by itself only if it is none of the run's tenants, which the tests of package action
// cover.
func TestAddReference(t *testing.T) {
	reference := &fleet.Tenant{ID: "id-b"}
	results := []fleet.Result{{Tenant: fleet.Tenant{ID: "id-a"}}, {Tenant: fleet.Tenant{ID: "id-b"}}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx       context.Context
		reference *fleet.Tenant
		observed  []observation
		fails     bool
	}{
		"no reference":             {ctx: t.Context(), observed: seen("a x")},
		"nothing to compare":       {ctx: t.Context(), reference: reference},
		"it was checked":           {ctx: t.Context(), reference: reference, observed: seen("a x", "b y")},
		"it could not be checked":  {ctx: t.Context(), reference: reference, observed: seen("a x"), fails: true},
		"the run has been stopped": {ctx: ended, reference: reference, observed: seen("a x")},
	} {
		h := &checker{reference: c.reference}
		got, err := h.addReference(c.ctx, c.observed, results)
		if len(got) != len(c.observed) || (err != nil) != c.fails {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestChoosePairs(t *testing.T) {
	observed := seen("a x", "b x", "c y", "d z")
	observed[3].result = -1 // nobody asks how it differs
	pairs, chosen := choosePairs(compareSchemas(observed, ""), false)
	if len(pairs) != 1 || pairs[0] != (schemaPair{"x", "y"}) || chosen["x"].Name != "a" || chosen["y"].Name != "c" ||
		len(chosen) != 2 {
		t.Errorf("got %v, %v", pairs, chosen)
	}
	var many []observation
	for i := range 2 * shownDifferences {
		many = append(many, observation{result: i, hash: string(rune('A' + i)),
			tenant: fleet.Tenant{Key: string(rune('A' + i))}})
	}
	if pairs, _ = choosePairs(compareSchemas(many, ""), false); len(pairs) != shownDifferences {
		t.Errorf("%d pairs, want %d", len(pairs), shownDifferences)
	}
}

func TestDifference(t *testing.T) {
	table := fingerprint.Object{Kind: "table", Name: "users"}
	with, without := description{objects: []fingerprint.Object{table}}, description{}
	for name, c := range map[string]struct {
		norm, other description
		want        []string
	}{
		"different":    {with, without, []string{"- table users"}},
		"equal by now": {with, with, nil},
		"one is not there": {with, description{err: errors.New("gone")},
			[]string{"the difference could not be read: gone"}},
	} {
		if diff := cmp.Diff(c.want, difference(c.norm, c.other)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSummarize(t *testing.T) {
	detail := func(problems ...string) fleet.Result {
		return fleet.Result{Outcome: fleet.Outcome{Detail: Detail{Problems: problems}}}
	}
	results := []fleet.Result{detail(), detail(onPending), detail(onPending, onDrift), {}}
	sets := compareSchemas(seen("a x", "b x", "c y"), "")
	want := Report{
		Healthy:  1,
		Problems: map[string]int{onPending: 2, onDrift: 1},
		FailOn:   []string{},
		Schemas: []Schema{
			{Fingerprint: "x", Tenants: []string{"a", "b"}},
			{Fingerprint: "y", Tenants: []string{"c"}, Norm: "x", Difference: []string{"+ table t"}},
		},
	}
	if diff := cmp.Diff(want,
		summarize(results, sets, map[schemaPair][]string{{"x", "y"}: {"+ table t"}})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatusSection(t *testing.T) {
	result := fleet.Result{Outcome: fleet.Outcome{Detail: Detail{Problems: []string{onDrift, onTables}}}}
	s := statusSection(Report{Healthy: 2, Problems: map[string]int{onDrift: 1, onTables: 1}},
		[]fleet.Result{{}, {}, result})
	if s.Title != "Health: 2 of 3 tenants healthy" {
		t.Errorf("title: %s", s.Title)
	}
	if diff := cmp.Diff([]string{"required tables missing: 1 tenant", "schema drift: 1 tenant"}, s.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	counts := map[string]int{}
	for _, slice := range s.Pie {
		if slice.Count > 0 {
			counts[slice.Label] = slice.Count
		}
	}
	if diff := cmp.Diff(map[string]int{"healthy": 2, "required tables missing": 1}, counts); diff != "" {
		t.Errorf("pie (-want +got):\n%s", diff)
	}
}

func TestDriftSection(t *testing.T) {
	differences := map[schemaPair][]string{{"x", "y"}: {"+ table t"}}
	const compared = "compared in 2 sets, each of tenants with the same pending migrations on the same major version " +
		"of PostgreSQL"
	const nobody = "no other tenant has the same pending migrations on the same major version of PostgreSQL as "
	for name, c := range map[string]struct {
		observed []observation
		want     report.Section
	}{
		"nothing was read": {},
		"all match":        {seen("a x", "b x"), report.Section{Title: "Schemas: 2 tenants match"}},
		"one differs": {seen("a x", "b x", "c y"), report.Section{
			Title: "Schemas: 2 tenants match; 1 group differs",
			Blocks: []report.Block{{Title: "1 tenant differs from 2 others", Names: []string{"c"},
				Diff: []string{"+ table t"}}},
		}},
		"one is alone": {seen("a x", "b x", "c y 1 behind"), report.Section{
			Title: "Schemas: 2 tenants match; 1 tenant was compared with nobody",
			Lines: []string{compared, nobody + "c"},
		}},
		"all are alone": {seen("a x"), report.Section{
			Title: "Schemas: 1 tenant was compared with nobody", Lines: []string{nobody + "a"},
		}},
		"a tie": {seen("a x 1", "b x 1", "c y 2", "d y 1"), report.Section{
			Title: "Schemas: 2 tenants match; 1 group differs",
			Lines: []string{"2 groups of 2 tenants each are the largest: the norm is that of c, " +
				"which has the highest version; name a reference-tenant to choose another"},
			Blocks: []report.Block{{Title: "2 tenants differ from 2 others", Names: []string{"a", "b"}}},
		}},
		"a tie of keys": {seen("a x", "c y"), report.Section{
			Title: "Schemas: 1 tenant matches; 1 group differs",
			Lines: []string{"2 groups of 1 tenant each are the largest: the norm is that of a, " +
				"whose key comes first; name a reference-tenant to choose another"},
			Blocks: []report.Block{{Title: "1 tenant differs from a", Names: []string{"c"},
				Diff: []string{"+ table t"}}},
		}},
	} {
		s, ok := driftSection(compareSchemas(c.observed, ""), differences)
		if diff := cmp.Diff(c.want, s); diff != "" || ok != (c.observed != nil) {
			t.Errorf("%s: %t (-want +got):\n%s", name, ok, diff)
		}
	}
}

func TestOrphanError(t *testing.T) {
	if err := orphanError(nil, nil); err != nil {
		t.Errorf("none: %v", err)
	}
	err := orphanError([]string{"schema old", "schema test"}, nil)
	if err == nil || err.Error() != "2 orphans belong to no tenant: schema old, schema test" ||
		fleet.Remedy(err) == "" {
		t.Errorf("two: %v", err)
	}
	failed := errors.New("connection refused")
	if err := orphanError(nil, failed); !errors.Is(err, failed) ||
		err.Error() != "look for orphans: connection refused" {
		t.Errorf("failed: %v", err)
	}
}

func TestBeyondReference(t *testing.T) {
	observed := seen("a x", "b y", "c z 1 behind", "d x", "e x")
	for i, major := range []int{17, 17, 17, 16, 16} {
		observed[i].peers.major = major
	}
	want := []string{
		"1 tenant with other migrations pending than the reference-tenant: there the norm is the largest group",
		"2 tenants on PostgreSQL 16, and the reference-tenant is on 17: there the norm is the largest group",
	}
	if diff := cmp.Diff(want, beyondReference(compareSchemas(observed, "id-a"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
