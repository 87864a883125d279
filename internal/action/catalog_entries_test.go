package action

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/report"
)

func TestCatalogEntries(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	all := []fleet.Tenant{
		{Name: "Acme", ID: "p-1", Key: "acme"}, {Name: "Globex", ID: "p-2", Key: "globex"},
		{Name: "Initech", ID: "p-3", Key: "initech"},
	}
	created, failed := fleet.Tenant{Name: "New", ID: "p-4", Key: "new"},
		fleet.Tenant{Name: "Half", ID: "p-5", Key: "half"}
	record := report.Run{Source: "neon", Started: began, Results: []fleet.Result{
		{Tenant: all[0], State: fleet.Succeeded}, {Tenant: all[1], State: fleet.Skipped},
		{Tenant: created, State: fleet.Succeeded}, {Tenant: failed, State: fleet.Failed},
	}}
	place := func(t fleet.Tenant) fleet.Place { return fleet.Place{NeonProjectID: t.ID} }
	facts := func(r fleet.Result) catalog.Facts { return catalog.Facts{Migration: string(r.State)} }
	entry := func(t fleet.Tenant, f catalog.Facts) catalog.Entry {
		return catalog.Entry{Name: t.Name, Key: t.Key, Source: "neon", ID: t.ID, NeonProjectID: t.ID, SeenAt: began,
			Facts: f}
	}
	succeeded := catalog.Facts{Migration: "succeeded"}
	want := []catalog.Entry{entry(all[0], succeeded), entry(all[1], catalog.Facts{}), entry(all[2], catalog.Facts{}),
		entry(created, succeeded)}
	if diff := cmp.Diff(want, catalogEntries(record, all, place, facts)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range want {
		want[i].Facts = catalog.Facts{}
	}
	if diff := cmp.Diff(want, catalogEntries(record, all, place, nil)); diff != "" {
		t.Errorf("of a mode without facts (-want +got):\n%s", diff)
	}
}

// somewhere is a source whose tenants all live in one place.
type somewhere struct {
	fleet.Source
	place fleet.Place
}

func (s somewhere) Place(fleet.Tenant) fleet.Place { return s.place }

func TestPlaceIn(t *testing.T) {
	database := fleet.Place{Server: "h:5432", Database: "acme"}
	for name, c := range map[string]struct {
		source fleet.Source
		server string
		want   fleet.Place
	}{
		"unknown": {source: struct{ fleet.Source }{}, server: "h:5432"},
		"a project": {source: somewhere{place: fleet.Place{NeonProjectID: "p-1"}},
			server: "h:5432", want: fleet.Place{NeonProjectID: "p-1"}},
		"on the catalog's server": {source: somewhere{place: database}, server: "h:5432", want: database},
		"of that name on another server": {source: somewhere{place: database}, server: "h:5433",
			want: fleet.Place{Server: "h:5432"}},
	} {
		if got := placeIn(c.source, c.server)(fleet.Tenant{ID: "1"}); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
