package action

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A shard without a report, and a tenant that is not listed any more, fail the run at its end, and hide no other.
func TestWhatCannotBeUndoneHidesNothing(t *testing.T) {
	servertest.Long(t)
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
	servertest.Long(t)
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

// The report of the run to undo is needed until the undo is done: no undo replaces it, least of all one that is
// refused.
func TestUndoKeepsTheReportItReads(t *testing.T) {
	t.Parallel()
	f := newChanged(t, "a", "b")
	again := func(more ...string) []string {
		return undo(append([]string{"previous-report=reports/7.json", "report-file=reports/7.json"}, more...)...)
	}
	refused := f.run(t, t.Context(), again("confirm=")...)
	if refused.says(t, "confirm: "); refused.err == nil || refused.outputs["report-file"] != "" {
		t.Errorf("without confirm: %v, report %q", refused.err, refused.outputs["report-file"])
	}
	o := f.run(t, t.Context(), again("tenants=a")...)
	o.says(t, "[1/1] a  undone to undo/7", "previous-report: reports/7.before-8.json", "report: reports/7.json")
	o = f.run(t, t.Context(), undo("previous-report=reports/7.before-8.json")...)
	o.counts(t, 1, 1, 0, 0)
}
