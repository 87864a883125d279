package action

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// again are the inputs of a run that goes on from the reports in reports/.
func again(more ...string) []string {
	return append([]string{"previous-report=reports/*.json", "retry-failed=true"}, more...)
}

// names are the tenants of a run, in the order of its report.
func names(o outcome) []string {
	list := []string{}
	for _, e := range o.report.Tenants {
		list = append(list, e.Name)
	}
	return list
}

// newFailed is a fleet whose run failed for Globex only: its report is in reports/1.json, and late cannot be run there.
func newFailed(t *testing.T) *organisation {
	t.Helper()
	f := newFleet(t, named("Acme", "Globex", "Hooli")...)
	f.write(t, lateFile, lateSQL)
	query(t, f.projects[1], "create table late (by_hand text)")
	o := f.run(t, t.Context())
	o.counts(t, 2, 0, 1, 0)
	f.keep(t, "1", o)
	return f
}

func TestARetryWorksOnWhatIsLeft(t *testing.T) {
	f := newFailed(t)
	added, err := f.AddProjects(t.Context(), named("Newco")...)
	if err != nil {
		t.Fatal(err)
	}
	f.ResetCalls()
	o := f.run(t, t.Context(), again("canary=Acme", "dry-run=true")...)
	if diff := cmp.Diff([]string{"Globex"}, names(o)); diff != "" {
		t.Errorf("a dry run (-want +got):\n%s", diff)
	}
	o = f.run(t, t.Context(), again("tenants=Acme,Hooli")...)
	o.counts(t, 0, 0, 0, 0)
	o.says(t, "nothing failed among the tenants of this run, so there is nothing to do",
		"earlier runs are done with 2 tenants")
	o = f.run(t, t.Context(), again()...) // it fails once more
	o.counts(t, 0, 0, 1, 0)
	f.keep(t, "2", o)
	query(t, f.projects[1], "drop table late")
	o = f.run(t, t.Context(), again()...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "retry-failed: 1 tenant is tried again, and 2 tenants are left out that earlier runs are done with",
		"retry-failed: the reports do not know 1 listed tenant, left out now: Newco", "found 4 tenants, selected 1")
	f.keep(t, "3", o)
	for _, p := range []neontest.Project{f.projects[0], f.projects[2], added[0]} {
		if calls := f.Calls().ByProject[p.ID]; len(calls) > 0 {
			t.Errorf("calls for %s: %v", p.Name, calls)
		}
	}

	o = f.run(t, t.Context(), again()...)
	o.counts(t, 0, 0, 0, 0)
	o.says(t, "retry-failed: nothing failed, so there is nothing to do; earlier runs are done with 3 tenants")
	if o.err != nil {
		t.Errorf("a retry of nothing ends with %v", o.err)
	}

	o = f.merge(t, "report-files=reports/*.json")
	o.counts(t, 3, 0, 0, 0)
	if o.err != nil {
		t.Errorf("together the runs end with %v\n%s", o.err, o.log)
	}
	// The merged report alone says it too.
	f.keep(t, "merged/all", o)
	o = f.run(t, t.Context(), "previous-report=reports/merged/*.json", "retry-failed=true")
	o.says(t, "nothing failed")
}

func TestARetryOfATenantThatIsGone(t *testing.T) {
	f := newFailed(t)
	text, err := os.ReadFile(filepath.Join(f.workspace, "reports", "1.json"))
	if err != nil {
		t.Fatal(err)
	}
	f.keep(t, "1", outcome{reportText: strings.ReplaceAll(string(text), f.projects[1].ID, "gone-for-ever-123")})
	o := f.run(t, t.Context(), again()...)
	o.says(t, "1 tenant was left by the earlier runs and not listed any more: Globex", "there is nothing to do")
	if o.err != nil {
		t.Error(o.err)
	}
}

func TestARetryOfShards(t *testing.T) {
	f, shards := splitFleet(t, 3)
	f.write(t, lateFile, lateSQL)
	byShard := map[int][]string{}
	for _, p := range f.projects {
		query(t, p, "create table late (by_hand text)")
		for i := range shards {
			if (fleet.Shard{Index: i + 1, Count: 3}).Has(fleet.Tenant{ID: p.ID}) {
				byShard[i] = append(byShard[i], p.Name)
			}
		}
	}
	for i, shard := range shards[:2] {
		f.keep(t, strconv.Itoa(i), f.run(t, t.Context(), "shard="+shard, "allow-empty=true"))
	}
	for _, p := range f.projects {
		query(t, p, "drop table late")
	}
	want := slices.Sorted(slices.Values(slices.Concat(byShard[0], byShard[1])))
	o := f.run(t, t.Context(), again()...)
	if diff := cmp.Diff(want, names(o)); diff != "" || o.err != nil {
		t.Errorf("%v (-want +got):\n%s", o.err, diff)
	}
	o.says(t, "retry-failed: there is no report of shard 3/3", "run the jobs of these shards again")
	if strings.Contains(o.log, "do not know") {
		t.Errorf("tenants of the missing shard count as new:\n%s", o.log)
	}
	f.keep(t, "9", o)
	// The shard that had died is run, and the reports together are green.
	f.keep(t, "2", f.run(t, t.Context(), "shard="+shards[2], "allow-empty=true"))
	o = f.merge(t, "report-files=reports/*.json")
	o.counts(t, 6, 0, 0, 0)
	if o.err != nil {
		t.Errorf("together the runs end with %v\n%s", o.err, o.log)
	}
}

func TestARetryWithAFileThatWasCorrected(t *testing.T) {
	f := newFleet(t, named("Acme", "Globex")...)
	f.write(t, lateFile, "create table late (i nothing);")
	f.keep(t, "1", f.run(t, t.Context()))
	f.write(t, lateFile, lateSQL)
	o := f.run(t, t.Context(), again("changed-files=fail")...)
	o.counts(t, 2, 0, 0, 0)
	if len(o.report.Warnings) > 0 {
		t.Errorf("warnings: %v", o.report.Warnings)
	}
}

func TestARetryIsRefused(t *testing.T) {
	f := newFailed(t)
	write := func(name, text string) {
		t.Helper()
		f.keep(t, "other/"+name, outcome{reportText: text})
	}
	write("corrupt", "{")
	f.keep(t, "other/dry", f.run(t, t.Context(), "dry-run=true"))
	f.keep(t, "other/list", f.run(t, t.Context(), "mode=list-tenants"))
	f.keep(t, "other/died", f.run(t, t.Context(), "min-tenants=10"))
	kept, err := os.ReadFile(filepath.Join(f.workspace, "reports", "1.json"))
	if err != nil {
		t.Fatal(err)
	}
	write("source", strings.Replace(string(kept), `"source": "neon"`, `"source": "schemas"`, 1))
	write("old", strings.ReplaceAll(string(kept), "files_sha256", "unknown"))
	refused := func(says string, inputs ...string) {
		t.Helper()
		f.ResetCalls()
		o := f.run(t, t.Context(), append([]string{"retry-failed=true"}, inputs...)...)
		o.says(t, says)
		if o.err == nil || f.Calls().Total > 0 {
			t.Errorf("%v: %v, %d calls", inputs, o.err, f.Calls().Total)
		}
	}
	refused("retry-failed: needs the report files of the run to go on from")
	refused("matches no file", "previous-report=none/*.json")
	refused("previous-report: reports/other/corrupt.json", "previous-report=reports/other/corrupt.json")
	refused("is from a dry run, which did nothing", "previous-report=reports/other/dry.json")
	refused("is from mode list-tenants and this is mode migrate", "previous-report=reports/other/list.json")
	refused("is from tenant-source schemas and this is tenant-source neon", "previous-report=reports/other/source.json")
	refused("is from a run that ended before its first tenant: found 3 tenants", "previous-report=reports/other/died.json")
	refused("do not say which migration files their runs had", "previous-report=reports/other/old.json")

	const previous = "previous-report=reports/1.json"
	f.write(t, "20250302000000_next.sql", "create table next (i int);")
	refused("20250302000000_next.sql added; leave retry-failed out to run on everybody", previous)
	if err := os.Remove(filepath.Join(f.workspace, "db", "migrations", "20250302000000_next.sql")); err != nil {
		t.Fatal(err)
	}
	f.write(t, lateFile, "create table late (i bigint);") // Acme and Hooli have it
	refused(lateFile+` is not what the earlier run applied to "Acme"`, previous)
	if err := os.Remove(filepath.Join(f.workspace, "db", "migrations", lateFile)); err != nil {
		t.Fatal(err)
	}
	refused("version 20250301000000 removed", previous)
	f.write(t, lateFile, "create  table late(i int) ;")
	f.run(t, t.Context(), again(previous)...).counts(t, 0, 0, 1, 0)
}

func TestARetryOfAnotherModeAndOfNone(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newFleet(t, named("Acme", "Globex")...)
	o := f.run(t, t.Context(), "mode=health-check")
	o.counts(t, 0, 0, 2, 0)
	f.keep(t, "1", o)
	f.run(t, t.Context()).counts(t, 2, 0, 0, 0)
	o = f.run(t, t.Context(), again("mode=health-check")...)
	if o.report.Totals.Total != 2 || o.err != nil {
		t.Errorf("%v, %+v", o.err, o.report.Totals)
	}
	f.run(t, t.Context(), again("mode=list-tenants")...).says(t, "input retry-failed has no effect in mode list-tenants",
		"input previous-report has no effect")
	o = f.run(t, t.Context(), "mode=sync-secrets", "github-token=x", "repository=acme/app", "dry-run=true",
		"previous-report=reports/*.json")
	o.says(t, "input previous-report has no effect")
}
