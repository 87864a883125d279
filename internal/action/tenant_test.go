package action

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/org/neon-tenants-action/internal/mode/tenant"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// projectsNamed lists the organisation's projects of a name, as a fresh client sees them.
func (f *organisation) projectsNamed(t *testing.T, name string) []neon.Project {
	t.Helper()
	projects, err := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey}).ProjectsNamed(t.Context(), "", name)
	if err != nil {
		t.Fatal(err)
	}
	return projects
}

func create(name string, more ...string) []string {
	return append([]string{"mode=create-tenant", "tenant-name=" + name}, more...)
}

func TestATenantIsCreatedAndThenUnchanged(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	o := f.run(t, t.Context(), create("ACME Corp", "dry-run=true")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "ACME Corp  would be created and migrated")
	if got := f.projectsNamed(t, "ACME Corp"); len(got) != 0 || o.outputs["tenant-id"] != "" {
		t.Fatalf("a dry run made %v", got)
	}

	o = f.run(t, t.Context(), create("ACME Corp", "neon-region=aws-eu-central-1")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "found 0 tenants", "ACME Corp  created, 3 applied")
	made := f.projectsNamed(t, "ACME Corp")
	if len(made) != 1 || made[0].RegionID != "aws-eu-central-1" || made[0].PgVersion != 16 ||
		o.outputs["tenant-id"] != made[0].ID {
		t.Fatalf("made %+v, tenant-id %q", made, o.outputs["tenant-id"])
	}
	if e := o.report.Tenants[0]; e.ID != made[0].ID || e.Key != "acme-corp" {
		t.Errorf("reported as %+v", e)
	}
	if d := detail[tenant.CreateDetail](t, o, "ACME Corp"); !d.Created || !d.Registered ||
		d.Migration.After != "20250101090200" {
		t.Errorf("detail %+v", d)
	}
	again := f.run(t, t.Context(), create("ACME Corp")...)
	again.counts(t, 0, 1, 0, 0)
	if again.outputs["tenant-id"] != made[0].ID || len(f.projectsNamed(t, "ACME Corp")) != 1 {
		t.Errorf("tenant-id %q", again.outputs["tenant-id"])
	}
	f.run(t, t.Context(), create("ACME Corp", "dry-run=true")...).counts(t, 0, 1, 0, 0)
}

func TestWhatIsNotCreated(t *testing.T) {
	t.Parallel()
	f := newFleet(t, neontest.Spec{Name: "ACME Corp"}, neontest.Spec{Name: "twin"}, neontest.Spec{Name: "twin"},
		neontest.Spec{Name: "x", ID: "quiet-river-12345678"})
	for _, c := range []struct {
		name, says string
		more       []string
	}{
		{"acme/corp", `a tenant "ACME Corp" exists, whose key would be the same`, nil},
		{"acmé corp", "choose another name", nil},
		{"twin", "is the name or the id of 2 tenants", nil},
		{"quiet-river-12345678", `is the id of the tenant "x"`, nil},
		{strings.Repeat("x", 257), "has 257 characters, and Neon allows 256", nil},
		{"a\x07b", "control character", nil},
		{"", "tenant-name: is required here", nil},
		{"new", "tenants: has no meaning in mode create-tenant", []string{"tenants=a"}},
		{"new", "this source can neither create nor drop tenants; choose another mode, or use tenant-source: catalog, neon " +
			"or schemas", []string{"tenant-source=secrets", "tenant-secrets={}"}},
		{"new", `neon-region: "Frankfurt!" is not a Neon region`, []string{"neon-region=Frankfurt!"}},
		{"new", "write for example neon-region: aws-eu-central-1", []string{"neon-region=eu-central-1"}},
		{"new", `neon-pg-version: "12" is not a whole number from 14 to 99`, []string{"neon-pg-version=12"}},
	} {
		f.ResetCalls()
		o := f.run(t, t.Context(), create(c.name, c.more...)...)
		o.says(t, c.says)
		if n := f.Calls().ByRoute["POST /projects"]; o.err == nil || n > 0 {
			t.Errorf("%q: %v after %d POSTs", c.name, o.err, n)
		}
	}
	f.run(t, t.Context(), create("new", "neon-region=aws-moon-1")...).says(t, "must be one of aws-",
		"what to do: set neon-region to one of these")
	// Names may be told apart by ids.
	f.run(t, t.Context(), create("acme/corp", "tenant-key=id")...).counts(t, 1, 0, 0, 0)
}

// A migration that fails takes nothing back: the next run goes on from there.
func TestAFailedMigrationDropsNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.write(t, "20250301000000_wrong.sql", "select 1/0;")
	o := f.run(t, t.Context(), create("new")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "division by zero", "the tenant was created and is kept", "run again with the same tenant-name")
	made := f.projectsNamed(t, "new")
	if len(made) != 1 || o.outputs["tenant-id"] != made[0].ID {
		t.Fatalf("made %v, tenant-id %q", made, o.outputs["tenant-id"])
	}
	f.write(t, "20250301000000_wrong.sql", "select 1;")
	o = f.run(t, t.Context(), create("new")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "new  1 applied")
	if got := f.projectsNamed(t, "new"); len(got) != 1 || got[0].ID != made[0].ID {
		t.Errorf("there are %v", got)
	}
}

// cut serves the organisation's API and ends a run at its nth call, before or after it was done.
type cut struct {
	sim  *neontest.Server
	at   int
	done bool // the call is done, and its answer lost

	mu     sync.Mutex
	n      int
	posts  int
	cancel context.CancelCauseFunc
}

func (c *cut) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.n++
	if r.Method == http.MethodPost {
		c.posts++
	}
	now := c.n == c.at
	c.mu.Unlock()
	if now && c.done {
		c.sim.ServeHTTP(httptest.NewRecorder(), r)
	}
	if now {
		c.cancel(errors.New("cut off"))
		panic(http.ErrAbortHandler)
	}
	c.sim.ServeHTTP(w, r)
}

// The run is cut off at each of its calls from the one that makes the project on, and there before and after Neon has
// done it; the next run completes it, and there is one project.
func TestCreationIsCompletedWhereverItWasCut(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	var group sync.WaitGroup
	defer group.Wait()
	const post = 4 // after the listing and two looks for the name
	for at := post; at <= post+4; at++ {
		for _, done := range []bool{false, true} {
			if done && at != post {
				continue // of a call that changes nothing it is the same
			}
			f := newFleet(t)
			group.Go(func() {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				c := &cut{sim: f.Server, at: at, done: done, cancel: cancel}
				front := httptest.NewServer(c)
				defer front.Close()
				first := f.run(t, ctx, create("new", "neon-api-url="+front.URL+neontest.BasePath)...)
				c.mu.Lock()
				reached, posts := c.n >= at, c.posts
				c.mu.Unlock()
				if !reached || posts != 1 || first.err == nil {
					t.Errorf("call %d, done %t: reached %t, %d POSTs, ended with %v", at, done, reached, posts, first.err)
				}
				f.run(t, t.Context(), create("new")...).counts(t, 1, 0, 0, 0)
				f.run(t, t.Context(), create("new")...).counts(t, 0, 1, 0, 0)
				if made := f.projectsNamed(t, "new"); len(made) != 1 {
					t.Errorf("call %d, done %t: there are %d projects", at, done, len(made))
				}
			})
		}
	}
}

// Concurrent runs for one name end with one project, whichever of them made it; one that meets two is told to run
// again.
func TestCreatedAtTheSameTime(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	const runs = 3
	ids := make([]string, runs)
	var group sync.WaitGroup
	for i := range runs {
		group.Go(func() {
			o := f.run(t, t.Context(), create("new")...)
			ids[i] = o.outputs["tenant-id"]
			if o.err != nil && !strings.Contains(o.log, "wait for that to end and run again") {
				t.Errorf("%v\n%s", o.err, o.log)
			}
		})
	}
	group.Wait()
	for i, id := range ids {
		if id == "" { // it found two, while the others were agreeing on one: its remedy helps
			ids[i] = f.run(t, t.Context(), create("new")...).outputs["tenant-id"]
		}
	}
	made := f.projectsNamed(t, "new")
	if len(made) != 1 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 1 || ids[0] != made[0].ID {
		t.Errorf("there are %d projects; the runs had %v", len(made), ids)
	}
}

// Nothing is inserted into a new tenant: it has the migrations' tables and rows, and no others.
func TestANewTenantHoldsTheMigrationsOnly(t *testing.T) {
	t.Parallel()
	f := newFleet(t, neontest.Spec{Name: "by hand"})
	f.run(t, t.Context(), "tenants=by hand").counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), create("new")...).counts(t, 1, 0, 0, 0)
	const rows = "select string_agg(n.nspname || '.' || relname || (xpath('/row/n/text()', query_to_xml(format('select " +
		"count(*) n from %I.%I', n.nspname, relname), true, true, '')))[1]::text, ' ' order by relname)" +
		" from pg_class c join pg_namespace n on n.oid = relnamespace where relkind = 'r' and n.nspname not in " +
		"('pg_catalog', 'information_schema')"
	uri, err := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey}).ConnectionURI(t.Context(),
		f.projectsNamed(t, "new")[0].ID, "", "neondb", "neondb_owner", false)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := query(t, neontest.Project{URL: uri}, rows), query(t, f.projects[0], rows); got != want || want == "" {
		t.Errorf("it holds %s, want %s", got, want)
	}
}
