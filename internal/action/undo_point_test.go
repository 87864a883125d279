package action

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// branches lists a project's branches whose name contains a text, as a fresh client sees them.
func (f *organisation) branches(t *testing.T, p neontest.Project, search string) []neon.Branch {
	t.Helper()
	all, err := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey}).Branches(t.Context(), p.ID, search)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// branchNames are those of a project beside its default branch's, sorted.
func (f *organisation) branchNames(t *testing.T, p neontest.Project) []string {
	t.Helper()
	names := []string{}
	for _, b := range f.branches(t, p, "") {
		if !b.Default {
			names = append(names, b.Name)
		}
	}
	slices.Sort(names)
	return names
}

func TestUndoPointsHoldWhatWasBefore(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newFleet(t, named("a", "current")...)
	f.run(t, t.Context(), "tenants=current").counts(t, 1, 0, 0, 0)
	query(t, f.projects[0], "create table kept as select 42 i")
	began := f.Now()
	undo := []string{"undo-point=true", "$GITHUB_RUN_ID=4711"}
	o := f.run(t, t.Context(), append(undo, "dry-run=true")...)
	o.counts(t, 1, 1, 0, 0)
	if names := f.branchNames(t, f.projects[0]); len(names) > 0 {
		t.Errorf("a dry run made %v", names)
	}

	o = f.run(t, t.Context(), append(undo, "undo-keep=3d")...)
	o.counts(t, 1, 1, 0, 0)
	o.says(t, "a  3 applied, undo point undo/4711", "Undo points", "mode undo takes 1 tenant back to before this run",
		"confirm: 4711", "1 branch made, ", " of Neon's API")
	if o.report.RunID != "4711" {
		t.Errorf("run_id is %q", o.report.RunID)
	}
	if names := f.branchNames(t, f.projects[1]); len(names) > 0 {
		t.Errorf("a tenant with nothing pending has %v", names)
	}
	d := detail[migrate.Detail](t, o, "a").UndoPoint
	made := f.branches(t, f.projects[0], "undo/")
	if len(made) != 1 || d == nil || made[0].ID != d.BranchID || made[0].Name != d.Name || d.Name != "undo/4711" {
		t.Fatalf("made %+v, reported %+v", made, d)
	}
	if life := made[0].ExpiresAt.Sub(began); life < 72*time.Hour-time.Minute || life > 72*time.Hour+time.Hour {
		t.Errorf("it is kept for %s", life)
	}
	if !d.ExpiresAt.Equal(made[0].ExpiresAt) || !d.CreatedAt.Equal(made[0].CreatedAt) || d.Versions == "" {
		t.Errorf("made %+v, reported %+v", made[0], d)
	}
	const sql = "select i || ' ' || (to_regclass('users') is null) || ' ' || (to_regclass('schema_migrations') is " +
		"null) from kept"
	if got := f.pointState(t, f.projects[0], "undo/4711", sql); got != "42 true true" {
		t.Errorf("the point holds %s", got)
	}
	f.run(t, t.Context(), undo...).counts(t, 0, 2, 0, 0)
	if made := f.branches(t, f.projects[0], "undo/"); len(made) != 1 {
		t.Errorf("a run with nothing pending made %+v", made)
	}
}

// pointState restores a project's own branch from a point to ask what that holds, and keeps what it was.
func (f *organisation) pointState(t *testing.T, p neontest.Project, point, sql string) string {
	t.Helper()
	client := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey})
	restore := func(source, keep string) {
		b := f.branches(t, p, source)
		if err := client.RestoreBranch(t.Context(), p.ID, p.BranchID, neon.Restore{SourceID: b[0].ID,
			PreserveAs: keep}); err != nil {
			t.Fatal(err)
		}
	}
	restore(point, "was")
	got := query(t, p, sql)
	restore("was", "looked at")
	return got
}

// A point holds the state before its own attempt: a later attempt of the run makes another.
func TestEveryAttemptHasAPointOfItsOwn(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newFleet(t, named("a")...)
	f.write(t, "20250301000000_wrong.sql", "select 1/0;")
	undo := []string{"undo-point=true", "$GITHUB_RUN_ID=7"}
	o := f.run(t, t.Context(), undo...)
	o.counts(t, 0, 0, 1, 0)
	if d := detail[migrate.Detail](t, o, "a"); d.UndoPoint == nil || d.UndoPoint.Name != "undo/7" || len(d.Applied) != 3 {
		t.Errorf("%+v", d)
	}
	query(t, f.projects[0], "create table between ()")
	f.write(t, "20250301000000_wrong.sql", "select 1;")
	o = f.run(t, t.Context(), append(undo, "$GITHUB_RUN_ATTEMPT=2")...)
	o.counts(t, 1, 0, 0, 0)
	if d := detail[migrate.Detail](t, o, "a"); d.UndoPoint == nil || d.UndoPoint.Name != "undo/7-2" {
		t.Errorf("%+v", d)
	}
	f.write(t, "20250302000000_more.sql", "select 1;")
	f.run(t, t.Context(), undo...).counts(t, 1, 0, 0, 0)
	want := []string{"undo/7", "undo/7-2", "undo/7-3"}
	if diff := cmp.Diff(want, f.branchNames(t, f.projects[0])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWithoutAnUndoPointNothingIsApplied(t *testing.T) {
	t.Parallel()
	f := newFleet(t, named("full", "b")...)
	f.Fail(neontest.Fault{Route: "POST /projects/{project_id}/branches", Project: f.projects[0].ID, Status: 422,
		Message: "branches limit exceeded"})
	o := f.run(t, t.Context(), "undo-point=true")
	o.counts(t, 1, 0, 1, 0)
	o.says(t, "the undo point could not be made, so nothing was changed", "branches limit exceeded",
		"the plan's limit is reached")
	if got := query(t, f.projects[0], "select to_regclass('schema_migrations') is null"); got != "t" {
		t.Error("something was applied")
	}
	if id := o.report.RunID; len(id) < 20 || f.branchNames(t, f.projects[1])[0] != "undo/"+id {
		t.Errorf("outside of Actions the run's id is %q, and the point is %v", id, f.branchNames(t, f.projects[1]))
	}
}

// A run that ends while the point is made leaves neither a half-made branch nor a change.
func TestACancelledUndoPoint(t *testing.T) {
	t.Parallel()
	f := newFleet(t, named("a")...)
	ctx, cancel := context.WithCancelCause(t.Context())
	f.Fail(neontest.Fault{Route: "GET /projects/{project_id}/operations*", Delay: 20 * time.Second})
	go func() {
		for len(f.branches(t, f.projects[0], "undo/")) == 0 && t.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		cancel(errors.New("cancelled by interrupt"))
	}()
	o := f.run(t, ctx, "undo-point=true", "$GITHUB_RUN_ID=7")
	o.counts(t, 0, 0, 1, 0)
	f.ClearFaults()
	if names := f.branchNames(t, f.projects[0]); len(names) > 0 {
		t.Errorf("it left %v", names)
	}
	if got := query(t, f.projects[0], "select to_regclass('schema_migrations') is null"); got != "t" {
		t.Error("something was applied")
	}
}

func TestUndoPointsNeedBranches(t *testing.T) {
	t.Parallel()
	f := newFleet(t, named("a")...)
	for _, c := range []struct{ input, says string }{
		{"tenant-source=schemas", "undo-point: this source has no branches to take a tenant back to; leave it out, or use " +
			"tenant-source: catalog or neon"},
		{"undo-keep=31d", `undo-keep: "31d" is not a duration from 1m to 30d`},
		{"undo-keep=1s", `undo-keep: "1s" is not a duration from 1m to 30d`},
		{"undo-keep=soon", `undo-keep: "soon" is not a duration from 1m to 30d`},
	} {
		f.ResetCalls()
		o := f.run(t, t.Context(), "undo-point=true", "database-url=postgresql://app:x@127.0.0.1:1/app", c.input)
		if o.err == nil || f.Calls().Total > 0 || !strings.Contains(o.log, c.says) {
			t.Errorf("%s: %v after %d calls\n%s", c.input, o.err, f.Calls().Total, o.log)
		}
	}
}
