package source

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

func TestHomeOf(t *testing.T) {
	url := fleet.NewSecret("postgresql://u:p@h/d")
	for name, c := range map[string]struct {
		row  catalog.Row
		want home
		err  string
	}{
		"a connection string": {row: catalog.Row{URL: url}, want: atURL},
		"a database":          {row: catalog.Row{Database: "acme"}, want: atDatabase},
		"a project":           {row: catalog.Row{NeonProjectID: "p-1"}, want: atProject},
		"nothing":             {err: "does not say where to connect"},
		"two": {row: catalog.Row{URL: url, Database: "acme"},
			err: "sets url and database, but only one"},
		"all": {row: catalog.Row{URL: url, Database: "acme", NeonProjectID: "p-1"},
			err: "sets url and database and neon_project_id"},
	} {
		got, err := homeOf(c.row)
		if got != c.want || (err == nil) != (c.err == "") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), c.err) || fleet.Remedy(err) == "") {
			t.Errorf("%s: got %v, want %q and a remedy", name, err, c.err)
		}
	}
}

// catalogOf is a source that has listed these rows, and makes no call.
func catalogOf(t *testing.T, rows ...catalog.Row) *Catalog {
	t.Helper()
	target, err := postgres.ParseTarget("postgresql://u:p@localhost:5433/control", false)
	if err != nil {
		t.Fatal(err)
	}
	c := &Catalog{target: target, rows: map[string]catalog.Row{}}
	for _, r := range rows {
		c.rows[r.ID] = r
	}
	return c
}

func TestCatalogPlace(t *testing.T) {
	url := fleet.NewSecret("postgresql://u:p@h/d")
	for name, c := range map[string]struct {
		row  catalog.Row
		want fleet.Place
	}{
		"a connection string": {row: catalog.Row{URL: url}},
		"a database": {row: catalog.Row{Database: "acme"},
			want: fleet.Place{Server: "localhost:5433", Database: "acme"}},
		"the catalog's own":           {row: catalog.Row{Database: "control"}},
		"a name that no database has": {row: catalog.Row{Database: strings.Repeat("x", 64)}},
		"a project": {row: catalog.Row{NeonProjectID: "p-1"},
			want: fleet.Place{NeonProjectID: "p-1"}},
		"a database and a project":     {row: catalog.Row{Database: "acme", NeonProjectID: "p-1"}},
		"a connection string, and one": {row: catalog.Row{URL: url, NeonProjectID: "p-1"}},
		"nothing":                      {},
	} {
		c.row.ID = "1"
		if got := catalogOf(t, c.row).Place(fleet.Tenant{ID: "1"}); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestCatalogCreatesAndDropsItsOwnDatabases(t *testing.T) {
	c := catalogOf(t, catalog.Row{ID: "db", Database: "acme"}, catalog.Row{ID: "project", NeonProjectID: "p-1"},
		catalog.Row{ID: "own", Database: "control"}, catalog.Row{ID: "system", Database: "template1"})
	for id, allowed := range map[string]bool{"db": true, "project": false, "own": false, "system": false,
		"unlisted": false} {
		for what, err := range map[string]error{"create": c.CanCreate(fleet.Tenant{ID: id}),
			"drop": c.CheckDrop(fleet.Tenant{ID: id})} {
			if (err == nil) != allowed || err != nil && fleet.Remedy(err) == "" {
				t.Errorf("%s %s: %v", what, id, err)
			}
		}
	}
	c.query = "select name, database from schools"
	if err := c.CheckDrop(fleet.Tenant{ID: "db"}); err == nil || fleet.Remedy(err) == "" {
		t.Errorf("drop from a query's tables: %v", err)
	}
}

func TestNamedDatabases(t *testing.T) {
	own := catalogOf(t).target
	at := func(address string) fleet.Secret { return fleet.NewSecret("postgresql://u:p@" + address) }
	for name, c := range map[string]struct {
		rows  []catalog.Row
		named []string
	}{
		"none":    {named: []string{"control"}},
		"by name": {rows: []catalog.Row{{Database: "acme"}}, named: []string{"control", "acme"}},
		"by a connection string": {rows: []catalog.Row{{URL: at("localhost:5433/globex")}},
			named: []string{"control", "globex"}},
		"of another server": {rows: []catalog.Row{{URL: at("localhost:5432/globex")}},
			named: []string{"control"}},
		"a project":               {rows: []catalog.Row{{NeonProjectID: "p-1"}}, named: []string{"control"}},
		"not a connection string": {rows: []catalog.Row{{URL: fleet.NewSecret("none")}}, named: []string{"control"}},
	} {
		named := namedDatabases(own, c.rows)
		for _, database := range c.named {
			if !named[database] {
				t.Errorf("%s: %s is missing in %v", name, database, named)
			}
		}
		delete(named, "") // of rows that name none
		if len(named) != len(c.named) {
			t.Errorf("%s: got %v", name, named)
		}
	}
}
