package fleet

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// announced returns one result in each state, as a run announces them.
func announced() []Result {
	all := make([]Result, 4)
	for i, state := range []State{Succeeded, Unchanged, Failed, Skipped} {
		all[i] = Result{Tenant: Tenant{Name: string(state), ID: "id-" + string(state), Key: string(state)},
			State: state}
	}
	all[0].Outcome = Outcome{Note: "read", Warnings: []string{"slow"}, Detail: "old"}
	all[1].Outcome = Outcome{Unchanged: true, Note: "nothing pending"}
	all[2].Outcome = Outcome{Note: "1 applied"}
	all[2].Err = WithRemedy(&located{errors.New("broken")}, "fix it")
	all[3].Err = errors.New("not started: cancelled")
	for i := range all[:3] {
		all[i].Started, all[i].Elapsed = time.Unix(1, 0), time.Second
	}
	return all
}

// amendOne applies one amendment, which must be accepted, and returns the result that it amended.
func amendOne(t *testing.T, a Amendment) Result {
	t.Helper()
	results := announced()
	amended, err := Amend(results, []Amendment{a})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(results, func(r Result) bool { return r.Tenant.ID == a.ID })
	return amended[i]
}

// sameError compares errors by their text.
var sameError = cmp.Comparer(func(a, b error) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
})

func TestAmendmentThatFails(t *testing.T) {
	for _, state := range []State{Succeeded, Unchanged} {
		r := amendOne(t, Amendment{ID: "id-" + string(state), Err: WithRemedy(errors.New("drift"), "migrate it")})
		if r.State != Failed || r.Err.Error() != "drift" || Remedy(r.Err) != "migrate it" || r.Outcome.Unchanged {
			t.Errorf("%s became %s: %v (%s), %+v", state, r.State, r.Err, Remedy(r.Err), r.Outcome)
		}
		if r.Outcome.Note != "" {
			t.Errorf("%s became %s and is still noted as %q", state, r.State, r.Outcome.Note)
		}
	}
}

func TestAmendmentOfAFailureAddsAnError(t *testing.T) {
	r := amendOne(t, Amendment{ID: "id-failed", Err: WithRemedy(errors.New("drift"), "migrate it"),
		Note: "1 applied, drift"})
	if r.State != Failed || r.Err.Error() != "broken; drift" || Remedy(r.Err) != "fix it; migrate it" {
		t.Errorf("%s: %v (%s)", r.State, r.Err, Remedy(r.Err))
	}
	if file, line := Location(r.Err); file != "a.sql" || line != 7 {
		t.Errorf("the first error's location became %s:%d", file, line)
	}
	if r.Outcome.Note != "1 applied, drift" {
		t.Errorf("noted as %q", r.Outcome.Note)
	}
	again := amendOne(t, Amendment{ID: "id-failed", Err: WithRemedy(errors.New("drift"), "fix it")})
	if Remedy(again.Err) != "fix it" {
		t.Errorf("one remedy twice: %s", Remedy(again.Err))
	}
}

func TestAmendmentOfAnErrorOfSeveralLines(t *testing.T) {
	results := announced()
	results[2].Err = errors.New("syntax error\n  select 1,\n          ^")
	amended, err := Amend(results, []Amendment{{ID: "id-failed", Err: errors.New("drift")}})
	if err != nil || amended[2].Err.Error() != "syntax error\n  select 1,\n          ^\ndrift" {
		t.Errorf("%q, %v", amended[2].Err, err)
	}
}

func TestAmendmentToUnchanged(t *testing.T) {
	r := amendOne(t, Amendment{ID: "id-succeeded", Unchanged: true})
	if r.State != Unchanged || !r.Outcome.Unchanged || r.Outcome.Note != "" || r.Err != nil {
		t.Errorf("%s: %+v, %v", r.State, r.Outcome, r.Err)
	}
	r = amendOne(t, Amendment{ID: "id-unchanged", Unchanged: true})
	if r.State != Unchanged || r.Outcome.Note != "nothing pending" {
		t.Errorf("%s: %+v", r.State, r.Outcome)
	}
}

func TestAmendmentOfWords(t *testing.T) {
	a := Amendment{ID: "id-succeeded", Note: "created", Warnings: []string{"late"}, Detail: "new"}
	want := announced()[0]
	want.Outcome = Outcome{Note: "created", Warnings: []string{"slow", "late"}, Detail: "new"}
	if diff := cmp.Diff(want, amendOne(t, a), sameError); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(announced()[0], amendOne(t, Amendment{ID: "id-succeeded"}), sameError); diff != "" {
		t.Errorf("an empty amendment (-want +got):\n%s", diff)
	}
}

func TestAmendmentsAddUp(t *testing.T) {
	amended, err := Amend(announced(), []Amendment{
		{ID: "id-succeeded", Warnings: []string{"late"}},
		{ID: "id-succeeded", Err: errors.New("one")},
		{ID: "id-succeeded", Err: errors.New("two")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := amended[0]
	if r.State != Failed || r.Err.Error() != "one; two" || !slices.Equal(r.Outcome.Warnings, []string{"slow", "late"}) {
		t.Errorf("%s: %v, %+v", r.State, r.Err, r.Outcome)
	}
}

func TestAmendmentOfACreatedTenant(t *testing.T) {
	results := []Result{{Tenant: Tenant{Name: "acme"}, State: Succeeded}}
	created := Tenant{Name: "acme", ID: "late-frost-1", Key: "acme"}
	amended, err := Amend(results, []Amendment{{Created: created}, {ID: "late-frost-1", Note: "created"}})
	if err != nil || amended[0].Tenant != created || amended[0].Outcome.Note != "created" {
		t.Errorf("%+v, %v", amended, err)
	}
}

func TestRefusedAmendments(t *testing.T) {
	const bug = "internal error: the result of tenant "
	for _, test := range []struct {
		name      string
		amendment Amendment
		want      string
	}{
		{"of nobody", Amendment{ID: "id-gone", Note: "x"},
			bug + `"id-gone" cannot be amended: no tenant of this run has that id`},
		{"of no id", Amendment{Err: errors.New("x")}, bug + `"" cannot be amended: no tenant of this run has that id`},
		{
			"a failure is unchanged", Amendment{ID: "id-failed", Unchanged: true},
			bug + `"id-failed" cannot be amended: a tenant that failed is not unchanged`,
		},
		{
			"unchanged and failed", Amendment{ID: "id-unchanged", Unchanged: true, Err: errors.New("x")},
			bug + `"id-unchanged" cannot be amended: a tenant that failed is not unchanged`,
		},
		{
			"a skipped tenant is unchanged", Amendment{ID: "id-skipped", Unchanged: true},
			bug + `"id-skipped" cannot be amended: its job was never started`,
		},
		{
			"a skipped tenant fails", Amendment{ID: "id-skipped", Err: errors.New("x")},
			bug + `"id-skipped" cannot be amended: its job was never started`,
		},
		{
			"another id", Amendment{ID: "id-succeeded", Created: Tenant{Name: "x", ID: "y"}},
			bug + `"id-succeeded" cannot be amended: its id would change`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			amended, err := Amend(announced(), []Amendment{test.amendment, {ID: "id-succeeded", Note: "created"}})
			if err == nil || err.Error() != test.want || Remedy(err) == "" {
				t.Errorf("%v (%s), want %s", err, Remedy(err), test.want)
			}
			want := announced()
			want[0].Outcome.Note = "created" // the other amendment is applied all the same
			if diff := cmp.Diff(want, amended, sameError); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAmendLeavesWhatWasAnnounced(t *testing.T) {
	results := announced()
	results[0].Outcome.Warnings = append(make([]string, 0, 9), "slow") // an append would write to the spare capacity
	_, err := Amend(results, []Amendment{
		{ID: "id-succeeded", Err: errors.New("x"), Warnings: []string{"late"}, Detail: "new"},
		{ID: "id-failed", Err: errors.New("y"), Note: "z"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(announced(), results, sameError); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if spare := results[0].Outcome.Warnings[:2][1]; spare != "" {
		t.Errorf("the amendment wrote %q into the announced warnings", spare)
	}
}
