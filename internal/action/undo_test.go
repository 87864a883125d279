package action

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/mode/branch"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
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
	o.says(t, "done  undone to undo/7, losing the last ", "What is lost",
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

// A shard without a report, and a tenant that is not listed any more, fail the run at its end, and hide no other.
func TestWhatCannotBeUndoneHidesNothing(t *testing.T) {
	t.Parallel()
	specs := named("t1", "t2", "t3", "t4")
	for i := range specs {
		specs[i].ID = fmt.Sprintf("quiet-river-1234567%d", i) // which decides about its shard
	}
	f := newFleet(t, specs...)
	mine := 0
	for _, shard := range []string{"2/2", "1/2"} {
		o := f.run(t, t.Context(), withPoints("shard="+shard)...)
		f.keep(t, shard[:1], o)
		mine = o.report.Totals.Succeeded
	}
	if mine == 0 || mine == 4 {
		t.Fatalf("%d of 4 tenants are in a shard", mine)
	}
	o := f.run(t, t.Context(), undo("previous-report=reports/1.json")...)
	o.counts(t, mine, 0, 0, 0)
	o.says(t, "there is no report of shard 2/2 of the run 7, whose tenants were not undone")
	if o.err == nil {
		t.Error("the run succeeded")
	}

	client := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey})
	if err := client.DeleteProject(t.Context(), f.projects[0].ID); err != nil {
		t.Fatal(err)
	}
	o = f.run(t, t.Context(), undo()...)
	o.says(t, "the run 7 changed tenants that are not listed any more and were not undone: t1 ("+f.projects[0].ID+")")
	if got := o.report.Totals; o.err == nil || got.Succeeded+got.Unchanged != 3 {
		t.Errorf("%v, %+v", o.err, got)
	}
	o = f.run(t, t.Context(), undo("tenants=t2,t3,t4,t9")...)
	o.says(t, `tenants: the pattern "t9" matches none of the 4 tenants found`)
	if o.err != nil {
		t.Error("a tenant that was not selected fails the run")
	}
	f.Unavailable([]string{f.projects[1].ID}, 0)
	f.Fail(neontest.Fault{Route: "GET /projects/{project_id}", Project: f.projects[1].ID, Status: 403})
	o = f.run(t, t.Context(), undo("tenants=!t1")...)
	o.says(t, "the run 7 changed tenants that could not be listed now and were not undone: t2 ("+f.projects[1].ID+")")
	if got := o.report.Totals; o.err == nil || got.Unchanged != 2 {
		t.Errorf("%v, %+v", o.err, got)
	}
}

func TestUndoRecordsTheVersionInTheCatalog(t *testing.T) {
	t.Parallel()
	f := newFleet(t, named("first", "later")...)
	catalog := "catalog-url=" + pgtest.Database(t)
	f.run(t, t.Context(), "tenants=later", catalog).counts(t, 1, 0, 0, 0)
	f.write(t, "20250301000000_late.sql", "create table late (i int);")
	f.keep(t, "7", f.run(t, t.Context(), withPoints(catalog)...))
	url := strings.TrimPrefix(catalog, "catalog-url=")
	const versions = "select string_agg(name || ' ' || coalesce(schema_version, 'none'), ', ' order by name) from project"
	if got := column(t, url, versions)[0]; got != "first 20250301000000, later 20250301000000" {
		t.Fatal(got)
	}
	f.run(t, t.Context(), undo(catalog, "dry-run=true")...).counts(t, 2, 0, 0, 0)
	if got := column(t, url, versions)[0]; got != "first 20250301000000, later 20250301000000" {
		t.Errorf("after a dry run: %s", got)
	}
	for _, counts := range [][2]int{{2, 0}, {0, 2}} {
		f.run(t, t.Context(), undo(catalog)...).counts(t, counts[0], counts[1], 0, 0)
		if got := column(t, url, versions)[0]; got != "first none, later 20250101090200" {
			t.Error(got)
		}
	}
}

func TestWhatIsNotTheReportOfOneUndoableRun(t *testing.T) {
	t.Parallel()
	f := newChanged(t, "a")
	text, err := os.ReadFile(filepath.Join(f.workspace, "reports", "7.json"))
	if err != nil {
		t.Fatal(err)
	}
	with := func(replace ...string) string { return strings.NewReplacer(replace...).Replace(string(text)) }
	var pointless map[string]any
	if err := json.Unmarshal(text, &pointless); err != nil {
		t.Fatal(err)
	}
	delete(pointless["tenants"].([]any)[0].(map[string]any)["detail"].(map[string]any), "undo_point")
	without := string(mustJSON(t, pointless))
	merged := with(`"tenants": [`, `"merged": [{"file": "a.json", "shard": ""}], "tenants": [`)
	for _, c := range []struct {
		files  []string
		inputs []string
		says   string
	}{
		{nil, []string{"previous-report="}, "previous-report: is required here and is empty"},
		{nil, nil, `previous-report: "undo/*.json" matches no file in the workspace`},
		{[]string{with(`"migrate"`, `"backup"`)}, nil, "undo/0.json is the report of a run of mode backup, and only mode " +
			"migrate is undone"},
		{[]string{with(`"dry_run": false`, `"dry_run": true`)}, nil, "undo/0.json is the report of a dry run"},
		{[]string{with(`  "run_id": "7",`, ``)}, nil, "undo/0.json has no run_id: the release that wrote it made no undo " +
			"points"},
		{[]string{string(text), with(`"run_id": "7"`, `"run_id": "9"`)}, nil,
			"the report files are of several runs: undo/0.json is of the run 7 and undo/1.json of the run 9"},
		{[]string{with(`"source": "neon"`, `"source": "catalog"`)}, nil,
			"undo/0.json is of a run with tenant-source catalog, and this one has neon"},
		{[]string{without}, nil, "the run 7 changed tenants and made no undo points; give the report of a run with " +
			"undo-point: true"},
		{[]string{string(text[:len(text)/2])}, nil, "undo/0.json: read a report file: unexpected end"},
		{[]string{merged}, nil, "matches merged reports only, such as undo/0.json"},
		{[]string{with(`"shard": ""`, `"shard": "1/2"`), with(`"shard": ""`, `"shard": "1/3"`)}, nil,
			"the report files differ in the number of shards"},
		{[]string{string(text)}, []string{"confirm=8"}, `confirm: is "8", and the run to undo is 7; give that run's id`},
		{[]string{string(text)}, []string{"confirm="}, `confirm: is "", and the run to undo is 7`},
		{[]string{string(text)}, []string{"shard=1/2"}, "shard: has no meaning in mode undo"},
		{[]string{string(text)}, []string{"tenant-source=secrets", "tenant-secrets={}"},
			"tenant-source: this source has no branches to take tenants back to; " +
				"choose another mode, or use tenant-source: catalog or neon"},
	} {
		dir := filepath.Join(f.workspace, "undo")
		_ = os.RemoveAll(dir)
		_ = os.Mkdir(dir, 0o755)
		for i, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, string(rune('0'+i))+".json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f.ResetCalls()
		o := f.run(t, t.Context(), undo(append([]string{"previous-report=undo/*.json"}, c.inputs...)...)...)
		if !strings.Contains(o.log, c.says) || o.err == nil || f.Calls().Total > 0 {
			t.Errorf("%q after %d calls:\n%s", c.says, f.Calls().Total, o.log)
		}
	}
	if query(t, f.projects[0], hasLate) != "t" {
		t.Error("something was undone")
	}
}

func TestUndoWithNothingToUndo(t *testing.T) {
	t.Parallel()
	f := newChanged(t, "a", "b")
	f.keep(t, "7", f.run(t, t.Context(), withPoints("$GITHUB_RUN_ID=9")...))
	o := f.run(t, t.Context(), undo("confirm=9")...)
	o.says(t, "the run 9 changed no tenant, so there is nothing to undo")
	f.run(t, t.Context(), undo("confirm=9", "allow-empty=true")...).counts(t, 0, 0, 0, 0)
}

// Rows of a catalog that name a Neon project have undo points; a row of another kind is not migrated without one.
func TestUndoPointsOfACatalogsTenants(t *testing.T) {
	t.Parallel()
	f, list, other := newFleet(t, named("unused")...), catalogDatabase(t), pgtest.Database(t)
	askAll(t, list, "create table places (name text, url text, neon_project_id text); insert into places values "+
		"('neon', null, "+pgtest.Literal(f.projects[0].ID)+"), ('elsewhere', "+pgtest.Literal(other)+", null)")
	inputs := []string{"tenant-source=catalog", "database-url=" + list, "catalog-query=select * from places"}
	o := f.run(t, t.Context(), append(inputs, withPoints()...)...)
	o.counts(t, 1, 0, 1, 0)
	o.says(t, "the undo point could not be made, so nothing was changed", "neon  3 applied, undo point undo/7")
	f.keep(t, "7", o)
	for _, counts := range [][2]int{{1, 0}, {0, 1}} {
		o = f.run(t, t.Context(), append(inputs, undo()...)...)
		o.counts(t, counts[0], counts[1], 0, 0)
	}
	if got := query(t, f.projects[0], "select to_regclass('users') is null"); got != "t" {
		t.Error("it was not undone")
	}
}
