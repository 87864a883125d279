package action

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// leavesNoBranch checks that every branch that a run made is gone again.
func (f *organisation) leavesNoBranch(t *testing.T) {
	t.Helper()
	for _, p := range f.projects {
		all, err := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey}).Branches(t.Context(), p.ID, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			if !b.Default {
				t.Errorf("%s has the branch %s", p.Name, b.Name)
			}
		}
	}
}

// rehearsed reads the output rehearsal.
func (o outcome) rehearsed(t *testing.T) (f migrate.FleetRehearsal) {
	t.Helper()
	if err := json.Unmarshal([]byte(o.outputs["rehearsal"]), &f); err != nil {
		t.Fatalf("%v: %q", err, o.outputs["rehearsal"])
	}
	return f
}

const widen = "alter table tasks alter column title type varchar(100);\ncreate index on users (name);"

// fill gives a tenant some rows.
const fill = "insert into users (email, name) select i::text, i::text from generate_series(1, 1000) i; " +
	"insert into projects (owner_id, name) select id, name from users; " +
	"insert into tasks (project_id, title) select id, name from projects"

// Every tenant is migrated on a branch of its own before one of them is touched.
func TestRehearsal(t *testing.T) {
	f := newFleet(t, named("acme", "umbra", "current")...)
	f.run(t, t.Context()).counts(t, 3, 0, 0, 0)
	f.write(t, "20250101090300_wider.sql", widen)
	f.run(t, t.Context(), "tenants=current").counts(t, 1, 0, 0, 0)
	query(t, f.projects[0], fill)
	f.ResetCalls()

	o := f.run(t, t.Context(), "rehearse=all")
	o.counts(t, 2, 1, 0, 0)
	o.says(t, "rehearsal [", "acme  1 file in ", "; rewrites tasks; holds ACCESS EXCLUSIVE on tasks for ",
		"current  nothing to rehearse", "acme  1 applied")
	for _, p := range f.projects[:2] {
		calls := 0
		for _, n := range f.Calls().ByProject[p.ID] {
			calls += n
		}
		if calls > 4 {
			t.Errorf("%s took %d calls: %v", p.Name, calls, f.Calls().ByProject[p.ID])
		}
	}
	f.leavesNoBranch(t)
	got := o.rehearsed(t)
	if !got.Passed || got.Rehearsed != 2 || got.Unchanged != 1 || got.Cost.Branches != 2 || got.Cost.APICalls < 9 ||
		len(got.Files) != 1 ||
		got.Files[0].Rewrites[0].Most == "" || len(got.Files[0].Hints) != 2 ||
		!strings.HasPrefix(got.Sentence, "2 of 3 tenants rewrite tasks; the longest, ") {
		t.Errorf("%+v", got)
	}
	for _, want := range []string{"### Rehearsal", "rewrite tasks", "create index concurrently", "```sql",
		"How 2 schemas change", "~ column tasks.title"} {
		if !strings.Contains(o.summary, want) {
			t.Errorf("the summary has no %q:\n%s", want, o.summary)
		}
	}
	d := detail[migrate.Detail](t, o, "acme")
	if d.Rehearsal == nil || d.Rehearsal.On != "branch" || len(d.Rehearsal.Files) != 1 || len(d.Applied) != 1 {
		t.Errorf("%+v", d)
	}
	o.keeps(t, f.projects)
}

// One tenant whose data a file does not fit keeps everybody from being touched.
func TestFailedRehearsal(t *testing.T) {
	servertest.Long(t)
	f := newFleet(t, named("acme", "umbra", "zeta")...)
	f.run(t, t.Context()).counts(t, 3, 0, 0, 0)
	f.write(t, "20250101090300_names.sql", "create unique index on users (name);")
	query(t, f.projects[1], "insert into users (email, name) values ('a', 'same'), ('b', 'same')")
	for _, dry := range []string{"dry-run=false", "dry-run=true"} {
		o := f.run(t, t.Context(), "rehearse=all", dry)
		o.counts(t, 0, 0, 1, 2)
		o.says(t, "umbra  failed",
			"it was not touched, because its rehearsal failed: db/migrations/20250101090300_names.sql:2:1",
			"this was a copy, and no tenant was touched", "2 tenants skipped: not started: the rehearsal of umbra failed")
		if got := o.rehearsed(t); got.Passed || got.Failed != 1 || got.Rehearsed != 2 {
			t.Errorf("%+v", got)
		}
	}
	for _, p := range f.projects {
		same(t, p.Name, query(t, p, "select max(version) from schema_migrations"), "20250101090200")
	}
	f.leavesNoBranch(t)

	t.Log("the canaries alone, then with a dry run, then everybody")
	f.run(t, t.Context(), "rehearse=canary", "canary=acme", "dry-run=true").says(t, "rehearsal [1/1] acme  1 file in ",
		"acme  1 pending")
	query(t, f.projects[1], "delete from users")
	o := f.run(t, t.Context(), "rehearse=all", "dry-run=true")
	o.counts(t, 3, 0, 0, 0)
	if !strings.Contains(o.summary, "no tenant was changed; 3 branches were made and deleted.") {
		t.Errorf("summary:\n%s", o.summary)
	}
	same(t, "after a dry run", query(t, f.projects[0], "select max(version) from schema_migrations"), "20250101090200")
	f.run(t, t.Context(), "rehearse=all").counts(t, 3, 0, 0, 0)
	f.leavesNoBranch(t)
}

// What a rehearsal has found pending is what a dry run reports: it does not wake the tenant to ask again.
func TestDryRunAfterRehearsalConnectsOnce(t *testing.T) {
	pg := pgtest.Shared(t)
	proxy, err := wiretest.NewProxy(net.JoinHostPort(pg.Host, strconv.Itoa(pg.Port)), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	_, port, err := net.SplitHostPort(proxy.Address())
	if err != nil {
		t.Fatal(err)
	}
	front, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	// A new branch's string leads through the simulator's own proxy, so only the tenants themselves are counted.
	f := newFleetWith(t, neontest.Options{Front: func(port int) int {
		if port == pg.Port {
			return front
		}
		return port
	}}, named("acme", "umbra")...)
	o := f.run(t, t.Context(), "rehearse=all", "dry-run=true")
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "acme  3 pending", "umbra  3 pending")
	same(t, "connections to tenants", proxy.Traffic().Connections, 2)
	d := detail[migrate.Detail](t, o, "acme")
	if len(d.Pending) != 3 || d.Rehearsal == nil || len(d.Rehearsal.Files) != 3 {
		t.Errorf("%+v", d)
	}
}

// What a rehearsal shows can be too much.
func TestRehearsalOverItsLimits(t *testing.T) {
	f := newFleet(t, named("large", "small")...)
	f.run(t, t.Context()).counts(t, 2, 0, 0, 0)
	f.write(t, "20250101090300_wider.sql", widen)
	query(t, f.projects[0], fill)
	o := f.run(t, t.Context(), "rehearse=all", "rehearse-fail-on=rewrite>20kB")
	o.counts(t, 0, 0, 1, 1)
	o.says(t, "large  failed", "rehearse-fail-on does not allow this: 20250101090300_wider.sql rewrites tasks, ",
		"(rewrite>20kB)", "the summary has one")
	f.run(t, t.Context(), "rehearse=all", "rehearse-fail-on=rewrite>1GB").counts(t, 2, 0, 0, 0)

	for inputs, says := range map[string]string{
		"rehearse=canary":                            "rehearses the canaries, and there are none",
		"rehearse-fail-on=rewrite>1GB":               "there is none; give rehearse: all",
		"rehearse=all rehearse-fail-on=rewrite>lots": "is no size",
		"rehearse=everybody":                         "write one of",
	} {
		f.run(t, t.Context(), strings.Fields(inputs)...).says(t, says)
	}
}

// Nothing is left behind, whatever the API does and whenever a run is cancelled.
func TestRehearsalLeavesNothing(t *testing.T) {
	servertest.Long(t)
	const post, remove = "POST /projects/{project_id}/branches", "DELETE /projects/{project_id}/branches/{branch_id}"
	f := newFleet(t, named("acme")...)
	for name, c := range map[string]struct {
		fault neontest.Fault
		says  string
	}{
		"the plan's limit": {neontest.Fault{Route: post, Status: 422, Message: "branches limit exceeded"},
			"the plan's limit is reached"},
		"forbidden":            {neontest.Fault{Route: post, Status: 403}, "may not change this"},
		"busy at the deletion": {neontest.Fault{Route: remove, Status: 423, Times: 1}, ""},
	} {
		f.Fail(c.fault)
		o := f.run(t, t.Context(), "rehearse=all", "dry-run=true")
		f.ClearFaults()
		if c.says != "" {
			o.counts(t, 0, 0, 1, 0)
			o.says(t, "make a branch to rehearse on", c.says)
		} else if o.err != nil {
			t.Errorf("%s: %v", name, o.err)
		}
		f.leavesNoBranch(t)
	}

	t.Log("a cancel while the files run")
	f.write(t, "20250101090300_hang.sql", "select pg_sleep(60);")
	ctx, cancel := context.WithCancelCause(t.Context())
	o := f.cancelled(t, ctx, cancel, "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and "+
		"usename = "+pgtest.Literal(query(t, f.projects[0], "select current_user")), "rehearse=all")
	o.counts(t, 0, 0, 0, 1)
	f.leavesNoBranch(t)
	if err := os.Remove(filepath.Join(f.workspace, "db", "migrations", "20250101090300_hang.sql")); err != nil {
		t.Fatal(err)
	}

	t.Log("a branch that cannot be deleted is named, with the time at which it expires")
	f.Fail(neontest.Fault{Route: remove, Status: 403})
	o = f.run(t, t.Context(), "rehearse=all", "dry-run=true")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "was not deleted; it expires at ")
	f.ClearFaults()
	if err := f.Advance(t.Context(), 3*time.Hour); err != nil {
		t.Fatal(err)
	}
	f.leavesNoBranch(t)
}

// cancelled runs until SQL finds something on the server, and cancels the run.
func (f *organisation) cancelled(
	t *testing.T, ctx context.Context, cancel context.CancelCauseFunc, until string, inputs ...string,
) outcome {
	t.Helper()
	done := make(chan outcome, 1)
	go func() { done <- f.run(t, ctx, inputs...) }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if got := askAll(t, pgtest.Shared(t).URL("postgres"), until); got[0] != "0" {
			break
		}
		if time.Now().After(end) {
			t.Error("it did not come to run")
			break
		}
	}
	cancel(errors.New("cancelled by interrupt"))
	return <-done
}

// A protected parent gives its branch new passwords, an archived one wakes slowly, and one without a compute has no
// connection string, which is said.
func TestRehearsalOfUnusualBranches(t *testing.T) {
	specs := named("archived", "protected", "bare")
	specs[0].Archived = true
	f := newFleet(t, specs[:2]...)
	protect, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, f.URL()+"/projects/"+f.projects[1].ID+
		"/branches/"+f.projects[1].BranchID, strings.NewReader(`{"branch": {"protected": true}}`))
	if err != nil {
		t.Fatal(err)
	}
	protect.Header.Set("Authorization", "Bearer "+neontest.OrgKey)
	protect.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(protect)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", answer, err)
	}
	_ = answer.Body.Close()
	o := f.run(t, t.Context(), "rehearse=all")
	o.counts(t, 2, 0, 0, 0)
	f.leavesNoBranch(t)

	specs[2].NoCompute = true
	bare := newFleet(t, specs[2])
	o = bare.run(t, t.Context(), "rehearse=all")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "it was not touched, because its rehearsal failed", "the branch has no compute to connect to: add one")
	bare.leavesNoBranch(t)
}
