package secretsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// read is the result of a job that read a connection string for a bundle.
func read(key, change string) fleet.Result {
	r := fleet.Result{
		Tenant: fleet.Tenant{Name: key, ID: "id-" + key, Key: key}, State: fleet.Succeeded,
		Outcome: fleet.Outcome{Note: "read", Detail: reading{Detail{Change: change}, fleet.NewSecret("postgresql://" + key)}},
	}
	if change == unchanged {
		r.State, r.Outcome.Unchanged, r.Outcome.Note = fleet.Unchanged, true, ""
	}
	return r
}

func TestAmendments(t *testing.T) {
	locked, failed, none := errors.New("locked"), errors.New("failed"), errors.New("no bundle was written")
	written := bundled{bundlePlan: bundlePlan{
		place: map[string]int{"acme": 1, "globex": 2, "initech": 3, "umbrella": 4},
		steps: []bundleStep{
			{bundle: 1, action: writeBundle}, {bundle: 2, action: writeBundle}, {bundle: 4, action: keepBundle},
		},
		locked: map[int]error{3: locked},
	}, failed: map[int]error{2: failed}}
	for what, c := range map[string]struct {
		bundles bundled
		result  fleet.Result
		state   fleet.State
		note    string
		detail  any
		err     error
	}{
		"written":     {written, read("acme", updated), fleet.Succeeded, "was updated", Detail{bundle1, updated}, nil},
		"not written": {written, read("globex", updated), fleet.Failed, "", Detail{Secret: bundle2}, failed},
		"locked":      {written, read("initech", created), fleet.Failed, "", Detail{Secret: bundle3}, locked},
		"held it already": {
			written, read("umbrella", updated), fleet.Unchanged, "", Detail{"NEON_TENANTS_BUNDLE_4", unchanged}, nil,
		},
		"unchanged":         {written, read("acme", unchanged), fleet.Unchanged, "", Detail{bundle1, unchanged}, nil},
		"unchanged, locked": {written, read("initech", unchanged), fleet.Unchanged, "", Detail{bundle3, unchanged}, nil},
		"no bundle written": {bundled{err: none}, read("acme", created), fleet.Failed, "", Detail{}, none},
		"unchanged, no plan": {
			bundled{err: none}, read("acme", unchanged), fleet.Unchanged, "", Detail{Change: unchanged}, nil,
		},
	} {
		t.Run(what, func(t *testing.T) {
			results := []fleet.Result{c.result}
			amendments := c.bundles.amendments(results, func(change string) string { return "was " + change })
			amended, err := fleet.Amend(results, amendments)
			if err != nil {
				t.Fatal(err)
			}
			want := fleet.Result{Tenant: c.result.Tenant, State: c.state, Err: c.err, Outcome: fleet.Outcome{
				Unchanged: c.state == fleet.Unchanged, Note: c.note, Detail: c.detail,
			}}
			if diff := cmp.Diff(want, amended[0], cmpopts.EquateErrors()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A tenant that failed by itself, one that was not started, and one with a secret of its own have had their last word.
func TestNoAmendmentIsNeeded(t *testing.T) {
	skipped := fleet.Result{State: fleet.Skipped, Err: errors.New("not started")}
	own := fleet.Result{State: fleet.Succeeded, Outcome: fleet.Outcome{Detail: Detail{"ACME_DATABASE_URL", created}}}
	late := read("late", created) // its job returned with an error
	late.State, late.Err = fleet.Failed, errors.New("timeout")
	results := []fleet.Result{{State: fleet.Failed, Err: errors.New("no such host")}, skipped, own, late}
	equal(t, "amendments", bundled{err: errors.New("x")}.amendments(results, strings.ToUpper), nil)
	equal(t, "connection strings", valuesRead(append(results, read("acme", updated))),
		map[string]string{"acme": "postgresql://acme"})
}

// Between job and amendment a connection string is in the results, and still in no text.
func TestAReadingShowsNoSecret(t *testing.T) {
	detail := read("acme", updated).Outcome.Detail
	text, err := json.Marshal(detail)
	equal(t, "JSON", string(text), `{"change":"updated"}`)
	all := fmt.Sprintf("%s %v %+v %#v", detail, detail, detail, detail)
	if err != nil || strings.Contains(all, "postgresql") {
		t.Errorf("%v; %s", err, all)
	}
}
