package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/report"
)

// stored is a tenant's result as it comes back from a report file.
func stored(t *testing.T, name string, d Detail, err error, warnings ...string) fleet.Result {
	t.Helper()
	text, failed := json.Marshal(d)
	if failed != nil {
		t.Fatal(failed)
	}
	r := fleet.Result{Tenant: fleet.Tenant{Name: name, ID: "id-" + name, Key: name}, State: fleet.Succeeded, Err: err,
		Outcome: fleet.Outcome{Note: "healthy", Warnings: warnings, Detail: json.RawMessage(text)}}
	if err != nil {
		r.State = fleet.Failed
	}
	return r
}

// What a shard took for drift is taken back, and nothing else that is wrong with a tenant.
func TestTakeBack(t *testing.T) {
	const drift = "the schema differs from that of b: + table t"
	for name, c := range map[string]struct {
		problems []string
		note     string
		err      string // empty: none
		warnings []string
		want     string // state: note: error: warnings
	}{
		"only drift": {[]string{onDrift}, "drift", drift, nil, "succeeded: healthy: : []"},
		"as a warning": {[]string{onPending, onDrift}, "1 pending, drift", "", []string{"one is pending", drift},
			"succeeded: 1 pending: : [one is pending]"},
		"beside another": {[]string{onPending, onDrift}, "1 pending, drift", "one is pending; " + drift, nil,
			"failed: 1 pending: one is pending: []"},
	} {
		r := fleet.Result{State: fleet.Succeeded, Outcome: fleet.Outcome{Note: c.note, Warnings: c.warnings}}
		if c.err != "" {
			r.State, r.Err = fleet.Failed, fleet.WithRemedy(errors.New(c.err), "migrate; "+driftRemedy)
		}
		d := Detail{Problems: c.problems, Drift: drift}
		takeBack(&r, &d)
		message := ""
		if r.Err != nil {
			message = r.Err.Error()
			if fleet.Remedy(r.Err) != "migrate" {
				t.Errorf("%s: remedy %q", name, fleet.Remedy(r.Err))
			}
		}
		got := string(r.State) + ": " + r.Outcome.Note + ": " + message + ": " + fmt.Sprint(r.Outcome.Warnings)
		if got != c.want || d.Drift != "" || slices.Contains(d.Problems, onDrift) {
			t.Errorf("%s: got %s, want %s; %+v", name, got, c.want, d)
		}
	}
}

// Runs that hold no descriptions are compared all the same, and other forms of fingerprints with nobody.
func TestMergeWithoutDescriptions(t *testing.T) {
	of := func(hash string, form int) Detail {
		return Detail{Problems: []string{}, Fingerprint: hash, PostgresMajor: 17, FingerprintVersion: form}
	}
	const form = fingerprint.Version
	detail := json.RawMessage(`{"healthy":1,"fail_on":["drift"],"migrations_compared":true,"schemas":[]}`)
	r, err := Merge(report.Run{
		Mode:   "health-check",
		Merged: []report.MergedRun{{File: "1.json", Detail: detail}, {File: "2.json"}},
		Results: []fleet.Result{
			stored(t, "a", of("x", form), nil), stored(t, "b", of("x", form), nil), stored(t, "c", of("y", form), nil),
			stored(t, "d", of("z", form-1), nil), {Tenant: fleet.Tenant{ID: "id-e"}, State: fleet.Skipped},
		},
		Sections: []report.Section{{Title: "Health: 1 of 1"}, {Title: "Schemas: 1 (shard 1/2)"}, {Title: "Orphans"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Results[2]; c.State != fleet.Failed || c.Err.Error() != "the schema differs from that of 2 others" {
		t.Errorf("got %+v", c)
	}
	if len(r.Warnings) != 1 || !strings.HasSuffix(r.Warnings[0], "cannot be compared with these: d") {
		t.Errorf("warnings: %q", r.Warnings)
	}
	var titles []string
	for _, s := range r.Sections {
		titles = append(titles, s.Title)
	}
	want := []string{"Health: 3 of 5 tenants healthy", "Schemas: 2 tenants match; 1 group differs", "Orphans"}
	if diff := cmp.Diff(want, titles); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	if diff := r.Sections[1].Blocks[0].Diff; len(diff) != 1 || !strings.Contains(diff[0], "do not hold both") {
		t.Errorf("the difference is %q", diff)
	}
}

// What a health check cannot have written is an error that names the file.
func TestMergeOfWhatIsNoHealthCheck(t *testing.T) {
	_, err := Merge(report.Run{Merged: []report.MergedRun{{File: "x.json", Detail: json.RawMessage(`{"schemas":1}`)}}})
	if err == nil || !strings.HasPrefix(err.Error(), "x.json cannot be read") || fleet.Remedy(err) == "" {
		t.Errorf("got %v", err)
	}
}
