package tenant

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/records"
)

func TestCreateOutcome(t *testing.T) {
	applied, nothing := fleet.Outcome{Note: "3 applied"}, fleet.Outcome{Unchanged: true}
	for name, c := range map[string]struct {
		d         CreateDetail
		migrated  fleet.Outcome
		listed    bool
		note      string
		unchanged bool
	}{
		"created": {d: CreateDetail{Created: true, Registered: true}, migrated: applied,
			note: "created, 3 applied"},
		"created, not migrated": {d: CreateDetail{Created: true}, migrated: fleet.Outcome{Note: "1 applied, 2 not"},
			note: "created, 1 applied, 2 not"},
		"completed":       {d: CreateDetail{Registered: true}, migrated: applied, note: "3 applied, registered"},
		"only registered": {d: CreateDetail{Registered: true}, migrated: nothing, note: "registered"},
		"only migrated": {d: CreateDetail{Registered: true}, migrated: applied, listed: true,
			note: "3 applied"},
		"complete before": {d: CreateDetail{Registered: true}, migrated: nothing, listed: true, unchanged: true},
	} {
		o := c.d.outcome(c.migrated, c.listed)
		if diff := cmp.Diff(c.d, o.Detail); diff != "" || o.Note != c.note || o.Unchanged != c.unchanged {
			t.Errorf("%s: got %+v\n%s", name, o, diff)
		}
	}
}

func TestKeptOnError(t *testing.T) {
	if err := keptOnError(nil, false); err != nil {
		t.Error(err)
	}
	failed := errors.New("division by zero")
	for name, c := range map[string]struct {
		err          error
		listed       bool
		text, remedy string
	}{
		"new": {err: failed, text: "division by zero; the tenant was created and is kept, but is not registered yet",
			remedy: "run again with the same tenant-name to continue"},
		"listed": {err: fleet.WithRemedy(failed, "correct the file"), listed: true,
			text:   "division by zero; the tenant is kept as it is",
			remedy: "correct the file; then run again with the same tenant-name to continue"},
	} {
		err := keptOnError(c.err, c.listed)
		if err.Error() != c.text || fleet.Remedy(err) != c.remedy || !errors.Is(err, failed) {
			t.Errorf("%s: got %v (%s)", name, err, fleet.Remedy(err))
		}
	}
}

func TestCreatedID(t *testing.T) {
	result := func(t fleet.Tenant, d any) fleet.Result {
		return fleet.Result{Tenant: t, Outcome: fleet.Outcome{Detail: d}}
	}
	for name, c := range map[string]struct {
		results []fleet.Result
		want    mode.Ending
	}{
		"none":      {},
		"no detail": {results: []fleet.Result{result(fleet.Tenant{Name: "acme"}, nil)}},
		"a dry run": {results: []fleet.Result{result(fleet.Tenant{Name: "acme", Key: "acme"}, CreateDetail{})}},
		"new, keyed by name": {
			results: []fleet.Result{result(fleet.Tenant{Name: "acme", Key: "acme"}, CreateDetail{ID: "p-1"})},
			want: mode.Ending{
				Amendments: []fleet.Amendment{{Created: fleet.Tenant{Name: "acme", ID: "p-1", Key: "acme"}}},
				Outputs:    map[string]string{"tenant-id": "p-1"},
			},
		},
		"new, keyed by id": {
			results: []fleet.Result{result(fleet.Tenant{Name: "acme"}, CreateDetail{ID: "P_1"})},
			want: mode.Ending{
				Amendments: []fleet.Amendment{{Created: fleet.Tenant{Name: "acme", ID: "P_1", Key: "p-1-d1641bdc"}}},
				Outputs:    map[string]string{"tenant-id": "P_1"},
			},
		},
		"listed before": {
			results: []fleet.Result{result(fleet.Tenant{Name: "acme", ID: "p-1", Key: "acme"},
				CreateDetail{ID: "p-1"})},
			want: mode.Ending{
				Amendments: []fleet.Amendment{{ID: "p-1", Created: fleet.Tenant{Name: "acme", ID: "p-1", Key: "acme"}}},
				Outputs:    map[string]string{"tenant-id": "p-1"},
			},
		},
	} {
		got := createdID(c.results)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCreateFacts(t *testing.T) {
	for name, c := range map[string]struct {
		detail any
		want   catalog.Facts
	}{
		"no detail":    {want: catalog.Facts{Record: &records.Record{}}},
		"not migrated": {detail: CreateDetail{ID: "p-1"}, want: catalog.Facts{Record: &records.Record{}}},
		"migrated": {detail: CreateDetail{ID: "p-1", Migration: &migrate.Detail{After: "2"}},
			want: catalog.Facts{SchemaVersion: "2", Migration: "succeeded"}},
	} {
		got := createFacts(fleet.Result{State: fleet.Succeeded, Outcome: fleet.Outcome{Detail: c.detail}})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
