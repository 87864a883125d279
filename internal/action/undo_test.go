package action

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/mode/branch"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// keep puts a run's report file into the workspace, as reports/NAME.json.
func (f *organisation) keep(t *testing.T, name string, o outcome) {
	t.Helper()
	path := filepath.Join(f.workspace, "reports", name+".json")
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(o.reportText), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// withPoints are the inputs of a run with undo points and the id 7.
func withPoints(more ...string) []string {
	return append([]string{"undo-point=true", "$GITHUB_RUN_ID=7"}, more...)
}

// undo are the inputs that undo it.
func undo(more ...string) []string {
	return append([]string{"mode=undo", "previous-report=reports/*.json", "confirm=7", "$GITHUB_RUN_ID=8"}, more...)
}

// newChanged is a fleet whose tenants were migrated, and then once more in run 7, by a file that makes the table late.
func newChanged(t *testing.T, names ...string) *organisation {
	t.Helper()
	f := newFleet(t, named(names...)...)
	f.run(t, t.Context()).counts(t, len(names), 0, 0, 0)
	f.write(t, "20250301000000_late.sql", "create table late (i int);")
	o := f.run(t, t.Context(), withPoints()...)
	o.counts(t, len(names), 0, 0, 0)
	f.keep(t, "7", o)
	return f
}

// inBranch asks a branch through a child that has a compute.
func (f *organisation) inBranch(t *testing.T, p neontest.Project, name, sql string) string {
	t.Helper()
	client := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey})
	for _, b := range f.branches(t, p, name) {
		if b.Name != name {
			continue
		}
		spec := neon.BranchSpec{Name: "look", ParentID: b.ID, Database: "neondb", Role: "neondb_owner"}
		child, err := client.CreateBranch(t.Context(), p.ID, spec)
		if err == nil {
			err = client.WaitOperations(t.Context(), p.ID, child.Operations)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.DeleteBranch(context.Background(), p.ID, child.ID) }()
		return query(t, neontest.Project{URL: child.URI}, sql)
	}
	t.Fatalf("%s has no branch %s", p.Name, name)
	return ""
}

const (
	highest = "select coalesce(max(version), '') from schema_migrations"
	hasLate = "select to_regclass('late') is not null"
)

func TestUndoTakesBackExactlyWhatTheRunChanged(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newFleet(t, named("done", "half", "current", "unfit")...)
	done, half, current, unfit := f.projects[0], f.projects[1], f.projects[2], f.projects[3]
	f.run(t, t.Context(), "tenants=done,half").counts(t, 2, 0, 0, 0)
	f.write(t, "20250301000000_late.sql", "create table late (i int);")
	f.write(t, "20250302000000_needs.sql", "insert into needed values (1);")
	for _, p := range []neontest.Project{done, current} {
		query(t, p, "create table needed (i int)")
	}
	query(t, unfit, "create table users (by_hand text)")
	f.run(t, t.Context(), "tenants=current").counts(t, 1, 0, 0, 0)
	migrated := f.run(t, t.Context(), withPoints()...)
	migrated.counts(t, 1, 1, 2, 0)
	f.keep(t, "7", migrated)
	query(t, done, "insert into late select generate_series(1, 1000); select pg_stat_force_next_flush()")

	f.ResetCalls()
	o := f.run(t, t.Context(), undo("dry-run=true")...)
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "done  would be undone to undo/7, losing the last ", "half  would be undone to undo/7", "What would be lost",
		"everything that was written since the undo point", "a branch undone/7 in each project would keep it")
	if query(t, done, hasLate) != "t" || len(f.branches(t, done, "undone/")) > 0 {
		t.Fatal("a dry run undid something")
	}
	d := detail[branch.UndoDetail](t, o, "done")
	if d.Lost == nil || d.Lost.Rows == nil || *d.Lost.Rows < 1000 || !strings.Contains(o.log, " rows") ||
		!strings.Contains(o.log, "the rows are the server's count") {
		t.Errorf("a dry run says %+v is lost", d.Lost)
	}

	o = f.run(t, t.Context(), undo()...)
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "done  undone to undo/7, losing the last ", "What is lost", "2 branches made, ",
		"the branch undone/7 of 2 projects keeps what was there before the undo")
	o.keeps(t, []neontest.Project{done, half})
	for _, p := range []neontest.Project{done, half} {
		if got := query(t, p, highest); got != "20250101090200" || query(t, p, hasLate) != "f" {
			t.Errorf("%s is at %s", p.Name, got)
		}
	}
	d = detail[branch.UndoDetail](t, o, "done")
	if d.Before != "20250302000000" || d.After != "20250101090200" || d.PreservedAs != "undone/7" ||
		d.UndoPoint.Name != "undo/7" {
		t.Errorf("detail %+v", d)
	}
	if got := f.inBranch(t, done, "undone/7", "select count(*) from late"); got != "1000" {
		t.Errorf("what is kept has %s rows", got)
	}
	if got := query(t, current, hasLate); got != "t" {
		t.Error("a tenant that the run did not change was undone")
	}
	for _, p := range []neontest.Project{current, unfit} {
		if calls := f.Calls().ByProject[p.ID]; len(calls) > 0 {
			t.Errorf("%s was touched: %v", p.Name, calls)
		}
	}

	again := f.run(t, t.Context(), undo()...)
	again.counts(t, 0, 2, 0, 0)
	if got := detail[branch.UndoDetail](t, again, "half"); got.PreservedAs != "undone/7" || got.Lost != nil {
		t.Errorf("undone again: %+v", got)
	}
}

// What a later run migrated is not taken back, also if it applied the very same files after an undo.
func TestATenantThatWasMigratedSinceIsNotUndone(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newChanged(t, "further", "same", "out of order")
	f.run(t, t.Context(), undo("tenants=same")...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), "tenants=same").counts(t, 1, 0, 0, 0)
	f.write(t, "20250302000000_more.sql", "create table more ();")
	f.run(t, t.Context(), "tenants=further").counts(t, 1, 0, 0, 0)
	query(t, f.projects[2], "insert into schema_migrations values ('20240101000000')")
	o := f.run(t, t.Context(), undo()...)
	o.counts(t, 0, 0, 3, 0)
	o.says(t, "not undone: it was migrated again since: the run left it at version 20250301000000, and it is at "+
		"20250302000000",
		"not undone: it was undone before, as the branch undone/7 shows, and migrated again since",
		"beside its version 20250301000000 it records others than the run left", "if a later run did that, undo that one "+
			"first")
	for _, p := range f.projects {
		if query(t, p, hasLate) != "t" {
			t.Errorf("%s was undone", p.Name)
		}
	}
}

// All attempts of a run are undone together; a report that leaves one out does not pass for the whole.
func TestAttemptsAreUndoneTogether(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newFleet(t, named("a")...)
	f.write(t, "20250301000000_wrong.sql", "select 1/0;")
	first := f.run(t, t.Context(), withPoints()...)
	first.counts(t, 0, 0, 1, 0)
	f.write(t, "20250301000000_wrong.sql", "create table late (i int);")
	second := f.run(t, t.Context(), withPoints("$GITHUB_RUN_ATTEMPT=2")...)
	second.counts(t, 1, 0, 0, 0)

	f.keep(t, "second", second)
	o := f.run(t, t.Context(), undo()...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "the run made another undo point of it before, undo/7, of an attempt whose report is not given")
	f.keep(t, "first", first)
	if err := os.Rename(filepath.Join(f.workspace, "reports", "second.json"), filepath.Join(f.workspace,
		"second.json")); err != nil {
		t.Fatal(err)
	}
	f.run(t, t.Context(), undo()...).says(t, "have previous-report match its report too")

	o = f.run(t, t.Context(), undo("previous-report=reports/*.json,second.json")...)
	o.counts(t, 1, 0, 0, 0)
	if got := query(t, f.projects[0], "select to_regclass('schema_migrations') is null and to_regclass('users') is "+
		"null"); got != "t" {
		t.Error("the first attempt was not undone")
	}
}

// An attempt that changed nothing is not gone back to: what users wrote between two attempts stays.
func TestAnAttemptThatChangedNothingCostsNothing(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newFleet(t, named("a")...)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	f.write(t, "20250301000000_wrong.sql", "select 1/0;")
	f.keep(t, "1", f.run(t, t.Context(), withPoints()...))
	query(t, f.projects[0], "create table between ()")
	f.write(t, "20250301000000_wrong.sql", "create table late (i int);")
	f.keep(t, "2", f.run(t, t.Context(), withPoints()...))
	o := f.run(t, t.Context(), undo()...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "undone to undo/7-2")
	if got := query(t, f.projects[0], "select to_regclass('between') is not null and to_regclass('late') is "+
		"null"); got != "t" {
		t.Error("it went back too far, or not at all")
	}
}

func TestAnUndoPointThatIsGone(t *testing.T) {
	t.Parallel()
	f := newChanged(t, "expired", "other")
	point := detail[branch.UndoDetail](t, f.run(t, t.Context(), undo("dry-run=true")...), "expired").UndoPoint
	if err := f.Advance(t.Context(), 8*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), undo()...)
	o.counts(t, 0, 0, 2, 0)
	o.says(t, "its undo point undo/7 ("+point.BranchID+") is not there any more; it was to expire on "+
		point.ExpiresAt.UTC().Format(time.DateTime), "mode restore: "+
		"restore-to-time: "+point.CreatedAt.UTC().Format(time.RFC3339Nano))
	if query(t, f.projects[0], hasLate) != "t" {
		t.Error("something was undone")
	}
}

func TestAnotherBranchIsNotUndone(t *testing.T) {
	t.Parallel()
	f := newChanged(t, "a")
	client := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey})
	dev, err := client.CreateBranch(t.Context(), f.projects[0].ID, neon.BranchSpec{Name: "dev"})
	if err == nil {
		err = client.WaitOperations(t.Context(), f.projects[0].ID, dev.Operations)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), undo("neon-branch=dev")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "its branch is dev ("+dev.ID+") now, and the undo point is one of "+f.projects[0].BranchID,
		"give the neon-branch that the run had")
}

func TestAMigrationInProgressIsNotUndone(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newChanged(t, "a")
	conn, err := pgx.Connect(t.Context(), f.projects[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	f.write(t, "20250302000000_hang.sql", "select pg_sleep(60);")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.run(t, ctx)
	}()
	for !sleeping(f.projects[0]) && t.Context().Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	o := f.run(t, t.Context(), undo("lock-timeout=1s")...)
	cancel()
	<-ended
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "another run holds the migration lock (server process ", "let the other run finish and run again")
	f.run(t, t.Context(), undo()...).counts(t, 1, 0, 0, 0)
}
