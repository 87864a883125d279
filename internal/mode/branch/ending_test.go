package branch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
)

func result(key string, state fleet.State, d any) fleet.Result {
	return fleet.Result{Tenant: fleet.Tenant{Name: key, Key: key}, State: state, Outcome: fleet.Outcome{Detail: d}}
}

func TestOutput(t *testing.T) {
	results := []fleet.Result{
		result("acme", fleet.Succeeded, Detail{Name: "dev", ID: "br-1", ParentID: "br-0", Change: created}),
		result("none", fleet.Unchanged, Detail{Name: "dev", Change: unchanged}),
		result("failed", fleet.Failed, Detail{Name: "dev", ID: "br-2", Change: reset}),
		result("skipped", fleet.Skipped, nil),
	}
	p := &previews{name: "dev"}
	want := map[string]string{"branches": `[{"tenant":"acme","key":"acme","name":"dev","id":"br-1","parent_id":"br-0",` +
		`"change":"created"}]`}
	if diff := cmp.Diff(want, p.output(results).Outputs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A dry run lists what it would create.
	p.env.DryRun = true
	got := p.output([]fleet.Result{result("acme", fleet.Succeeded, Detail{Name: "dev", Change: created})}).Outputs
	if want := `[{"tenant":"acme","key":"acme","name":"dev","change":"created"}]`; got["branches"] != want {
		t.Errorf("dry run: %s", got["branches"])
	}
}

// A list that no later step could be given is not set: a part of it would be taken for the whole.
func TestAnOutputThatIsTooLong(t *testing.T) {
	var results []fleet.Result
	for i := range 2000 {
		results = append(results, result(fmt.Sprint("tenant-", i), fleet.Succeeded,
			Detail{Name: "preview/pr-7", ID: "br-quiet-river-a1234567", ParentID: "br-quiet-lake-a1234567", Change: created}))
	}
	e := (&previews{}).output(results)
	if len(e.Outputs) > 0 || len(e.Warnings) != 1 || !strings.Contains(e.Warnings[0], "2000 branches take ") {
		t.Errorf("%d outputs, %q", len(e.Outputs), e.Warnings)
	}
	if e := (&previews{}).output(results[:500]); len(e.Outputs["branches"]) == 0 {
		t.Errorf("500 are too many: %q", e.Warnings)
	}
}

func TestLines(t *testing.T) {
	of := func(changes ...change) (all []fleet.Result) {
		for _, c := range changes {
			all = append(all, result("x", fleet.Succeeded, Detail{Name: "dev", ID: "br-1", Change: c}))
		}
		return all
	}
	for name, c := range map[string]struct {
		results   []fleet.Result
		variables []string
		dryRun    bool
		want      []string
	}{
		"all": {results: of(created, unchanged, created), variables: []string{"A", "B"}, want: []string{
			`branch "dev": 2 created, 1 unchanged`, cost, "without branch-expires-in, they stay until mode delete-branches " +
				"deletes them", "connection strings for later steps of this job: A, B"}},
		"dry run": {results: of(created, reset, unchanged), dryRun: true, want: []string{
			`branch "dev": 1 would be created, 1 would be reset, 1 unchanged`}},
		"deleted": {results: of(deleted), want: []string{`branch "dev": 1 deleted`}},
		"failed": {results: []fleet.Result{result("x", fleet.Failed, Detail{Change: created})},
			want: []string{`branch "dev": nothing was done`}},
	} {
		p := &previews{name: "dev", env: mode.Env{DryRun: c.dryRun}}
		if diff := cmp.Diff(c.want, p.lines(c.results, c.variables)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What costs something ends with the first branch that expires, not with the run or the last one.
func TestExpiry(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var results []fleet.Result
	for i, what := range []change{unchanged, created, created} {
		end := at.Add(time.Duration(i) * time.Hour)
		results = append(results, result("x", fleet.Succeeded, Detail{Change: what, ExpiresAt: &end}))
	}
	if got := expiry(results); got != "they expire from 2026-03-01 10:00 UTC on, unless a later run renews them" {
		t.Error(got)
	}
}

// Later steps would not start with more than fits into their environment.
func TestTooManyExports(t *testing.T) {
	tenants := make([]fleet.Tenant, maxExported+1)
	for i := range tenants {
		tenants[i].Key = fmt.Sprint("t", i)
	}
	if err := new(exports).assign(tenants); err == nil || !strings.Contains(fleet.Remedy(err), "sync-secrets") {
		t.Errorf("%v", err)
	}
	if err := new(exports).assign(tenants[1:]); err != nil {
		t.Error(err)
	}
}

// Two tenants of one variable end the run before anything is done.
func TestExportsOfOneName(t *testing.T) {
	err := new(exports).assign([]fleet.Tenant{{Key: "a-b"}, {Key: "a_b"}})
	if err == nil || !strings.Contains(err.Error(), "would share") || fleet.Remedy(err) == "" {
		t.Errorf("%v", err)
	}
}
