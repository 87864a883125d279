package health

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestDriftAmendments(t *testing.T) {
	observed := seen("a x", "b x", "c y", "d y")
	observed[3].result = -1 // a reference that is none of the run's tenants
	results := []fleet.Result{
		{Tenant: fleet.Tenant{ID: "id-a"}, Outcome: fleet.Outcome{Note: "healthy",
			Detail: Detail{Problems: []string{}}}},
		{Tenant: fleet.Tenant{ID: "id-b"}, Outcome: fleet.Outcome{Note: "1 pending",
			Detail: Detail{Problems: []string{onPending}}}},
		{Tenant: fleet.Tenant{ID: "id-c"}, Outcome: fleet.Outcome{Note: "healthy", Detail: Detail{}}},
	}
	sets := compareSchemas(observed, "id-d")
	differences := map[schemaPair][]string{{"y", "x"}: {
		"~ function f()", "  - return 1", "  + return 2", "+ table t", "- index i", "+ table u",
	}}
	const text = "the schema differs from that of 2 others: ~ function f(); + table t; - index i; and 1 more"

	fails := driftAmendments(results, sets, differences, []string{onDrift})
	warns := driftAmendments(results, sets, differences, nil)
	for i, want := range []struct {
		id, note string
		checks   []string
	}{
		{"id-a", "drift", []string{onDrift}},
		{"id-b", "1 pending, drift", []string{onPending, onDrift}},
	} {
		for _, a := range []fleet.Amendment{fails[i], warns[i]} {
			d, _ := a.Detail.(Detail)
			if diff := cmp.Diff(want.checks, d.Problems); diff != "" || a.ID != want.id || a.Note != want.note {
				t.Errorf("got %+v\n%s", a, diff)
			}
		}
		if err := fails[i].Err; err == nil || err.Error() != text || fleet.Remedy(err) == "" ||
			fails[i].Warnings != nil {
			t.Errorf("fail-on: drift gives %+v", fails[i])
		}
		if diff := cmp.Diff([]string{text}, warns[i].Warnings); diff != "" || warns[i].Err != nil {
			t.Errorf("fail-on: none gives %+v", warns[i])
		}
	}
	if len(fails) != 2 || len(warns) != 2 {
		t.Errorf("%d and %d amendments, want 2", len(fails), len(warns))
	}
	if d := results[1].Outcome.Detail.(Detail); len(d.Problems) != 1 {
		t.Errorf("an announced result was changed: %+v", d)
	}
}

func TestDriftOfOneNorm(t *testing.T) {
	norm := schemaGroup{"x", seen("acme x")}
	if p := drift(norm, nil); p.text != "the schema differs from that of acme" || p.note != "drift" ||
		p.check != onDrift {
		t.Errorf("got %+v", p)
	}
}
