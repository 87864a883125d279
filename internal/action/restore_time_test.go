package action

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func toTime(tenant, at string, more ...string) []string {
	return append([]string{"mode=restore", "tenants=" + tenant, "restore-to-time=" + at}, more...)
}

// newPast is a fleet of which the first tenant's table t had a at the time that is returned, and has b now.
func newPast(t *testing.T, specs ...neontest.Spec) (*organisation, string) {
	t.Helper()
	f := newFleet(t, specs...)
	f.run(t, t.Context()).counts(t, len(specs), 0, 0, 0)
	query(t, f.projects[0], "create table t as select 'a' v")
	kept, err := f.Keep(t.Context(), f.projects[0].ID, "")
	if err != nil {
		t.Fatal(err)
	}
	query(t, f.projects[0], "update t set v = 'b'")
	return f, kept.At.UTC().Format(time.RFC3339Nano)
}

const inT = "select v from t"

func TestThePastGoesIntoANewBranch(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f, at := newPast(t, named("ACME Corp", "other")...)
	p := f.projects[0]
	o := f.run(t, t.Context(), toTime("ACME Corp", at, "dry-run=true")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "would be restored to "+at[:19], "into a new branch")
	if names := f.branchNames(t, p); len(names) > 0 {
		t.Errorf("a dry run made %v", names)
	}
	for _, input := range [][]string{toTime("ACME Corp", at), toTime("ACME Corp", at, "restore-into=branch"),
		toTime("ACME Corp", "1ms")} {
		before := len(f.branchNames(t, p))
		o := f.run(t, t.Context(), input...)
		o.counts(t, 1, 0, 0, 0)
		o.keeps(t, f.projects[:1])
		d := detail[backup.ToTimeDetail](t, o, "ACME Corp")
		o.says(t, "new branch restore/", "new branch "+d.Branch+" ("+d.TargetID+"), as of 20",
			"1 branch made, ")
		if d.Target != "branch" || d.SchemaVersion != "20250101090200" || len(f.branchNames(t, p)) != before+1 {
			t.Errorf("detail %+v", d)
		}
		uri, err := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey}).ConnectionURI(t.Context(), p.ID,
			d.TargetID, "neondb", "neondb_owner", false)
		if err != nil {
			t.Fatal(err)
		}
		if got := query(t, neontest.Project{URL: uri}, inT); got != "a" {
			t.Errorf("the branch has %s", got)
		}
		if got := query(t, p, inT); got != "b" {
			t.Errorf("the tenant has %s", got)
		}
	}
}

func TestATenantGoesBackInItsPlace(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f, at := newPast(t, named("ACME Corp", "other")...)
	p := f.projects[0]
	f.write(t, "20250301000000_late.sql", "create table late (i int);")
	catalog := "catalog-url=" + pgtest.Database(t)
	f.run(t, t.Context(), catalog).counts(t, 2, 0, 0, 0)
	for _, wrong := range []string{"other", "acme corp"} {
		o := f.run(t, t.Context(), toTime("ACME Corp", at, "confirm="+wrong)...)
		o.says(t, `the tenant whose branch would be replaced is "ACME Corp" (key acme-corp)`)
		if o.err == nil {
			t.Errorf("confirm %q: no error", wrong)
		}
	}
	o := f.run(t, t.Context(), toTime("ACME Corp", at, "confirm=ACME Corp", "dry-run=true", catalog)...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "would be restored to "+at[:19], "what it is now would be kept as before-restore-to/")
	if names := f.branchNames(t, p); len(names) > 0 || query(t, p, inT) != "b" {
		t.Fatalf("after a wrong confirm and a dry run: %v", names)
	}

	o = f.run(t, t.Context(), toTime("ACME Corp", at, "confirm=acme-corp", catalog)...)
	o.counts(t, 1, 0, 0, 0)
	o.keeps(t, f.projects[:1])
	d := detail[backup.ToTimeDetail](t, o, "ACME Corp")
	o.says(t, "restored to "+at[:19], "what it was before is kept as "+d.PreservedAs)
	if query(t, p, inT) != "a" || f.inBranch(t, p, d.PreservedAs, inT) != "b" || d.TargetID != p.BranchID ||
		d.SchemaVersion != "20250101090200" {
		t.Errorf("the tenant has %s, detail %+v", query(t, p, inT), d)
	}
	const version = "select schema_version from project where name = 'ACME Corp'"
	if got := column(t, strings.TrimPrefix(catalog, "catalog-url="), version)[0]; got != "20250101090200" {
		t.Errorf("the catalog has %s", got)
	}
	query(t, p, "update t set v = 'c'")
	o = f.run(t, t.Context(), toTime("ACME Corp", at, "confirm=acme-corp")...)
	o.counts(t, 0, 1, 0, 0)
	o.says(t, "was restored to "+at[:19], "what it was until then is kept as "+d.PreservedAs)
	if query(t, p, inT) != "c" {
		t.Error("it was restored twice")
	}
}

// A time that Neon's history does not reach is refused before anything is changed, with the backup to take instead.
func TestBeyondTheHistory(t *testing.T) {
	f, v := newFleet(t, neontest.Spec{Name: "a", HistorySeconds: 3600}, neontest.Spec{Name: "young"}), newVault(t)
	day := time.Now().Add(-24 * time.Hour).UTC().Format(time.RFC3339)
	old := buckettest.BackupKey("tenants/a/", time.Now().Add(-30*time.Hour))
	v.putBackup(t, f.projects[0].ID, old, buckettest.BackupKey("tenants/a/", time.Now().Add(-50*time.Hour)),
		buckettest.BackupKey("tenants/a/", time.Now().Add(-time.Minute)))
	f.ResetCalls()
	for _, c := range []struct {
		inputs []string
		says   []string
	}{
		{toTime("a", "2h"), []string{" is before Neon's history of the project, which begins at ",
			"names if s3-bucket and the inputs that go with it are given"}},
		{toTime("a", day, "confirm=a"), []string{" is before Neon's history of the project"}},
		{v.inputs(toTime("a", "2h")...), []string{"restore its newest backup from before that time instead, without " +
			"restore-to-time: backup-key: " + old}},
		{v.inputs(toTime("a", "7d")...), []string{"there is no verified backup from before it in s3://" + v.bucket +
			"/tenants/a/"}},
		// Neon itself refuses what is older than the project.
		{toTime("young", "23h"), []string{"go back to ", "history retention window",
			"give a later time, or restore the newest backup"}},
	} {
		o := f.run(t, t.Context(), c.inputs...)
		o.counts(t, 0, 0, 1, 0)
		o.says(t, c.says...)
	}
	for _, p := range f.projects {
		if names := f.branchNames(t, p); len(names) > 0 {
			t.Errorf("%s has %v", p.Name, names)
		}
	}
	if n := f.Calls().ByRoute["POST /projects/{project_id}/branches/{branch_id}/restore"]; n > 0 {
		t.Errorf("%d restores", n)
	}
}

func TestAChildBranchIsNotTakenToATime(t *testing.T) {
	t.Parallel()
	f, at := newPast(t, named("a")...)
	client := neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey})
	dev, err := client.CreateBranch(t.Context(), f.projects[0].ID, neon.BranchSpec{Name: "dev"})
	if err == nil {
		err = client.WaitOperations(t.Context(), f.projects[0].ID, dev.Operations)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), toTime("a", at, "confirm=a", "neon-branch=dev")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "its branch dev ("+dev.ID+") has a parent, and Neon takes only root branches to a time", "leave out confirm")
	if names := f.branchNames(t, f.projects[0]); !slices.Equal(names, []string{"dev"}) {
		t.Errorf("it has %v", names)
	}
}

func TestMistakesAboutTheTimeToRestore(t *testing.T) {
	t.Parallel()
	f := newFleet(t, named("a", "b")...)
	for _, c := range []struct {
		inputs []string
		says   string
	}{
		{toTime("a", "yesterday"), `restore-to-time: "yesterday" is neither a time nor how long ago; write for example ` +
			"2026-03-14T09:26:53Z or 2h"},
		{toTime("a", "2026-03-14 09:26"), "is neither a time nor how long ago"},
		{toTime("a", "9999-01-01T00:00:00Z"), "restore-to-time: 9999-01-01T00:00:00Z has not come yet"},
		{toTime("a", "2h", "backup-key=a/b"), "backup-key: is about restoring a backup"},
		{toTime("a", "2h", "restore-url=postgresql://u:p@h/d"), "restore-url: is about restoring a backup"},
		{toTime("a", "2h", "overwrite=true"), "overwrite: is about restoring a backup"},
		{toTime("a", "2h", "age-identity=x"), "age-identity: is about restoring a backup"},
		{toTime("a", "2h", "restore-into=new-project"), "restore-into: a project's history stays in the project"},
		{toTime("a", "2h", "restore-into=branch", "confirm=a"), "confirm: is given to replace the tenant's own branch, " +
			"and restore-into: branch makes a new one"},
		{toTime("a", "2026-03-14 09:26:53"), `restore-to-time: "2026-03-14T09:26:53" lacks its zone; write ` +
			"2026-03-14T09:26:53Z if that is UTC"},
		{toTime("a", "2h ago", "confirm=a"), `restore-to-time: "2h ago" is another moment whenever the run is started`},
		{toTime("a", "2h", "confirm=a"), `restore-to-time: "2h" is another moment whenever the run is started, so that a ` +
			"repeated run would restore once more; with confirm, give the moment: 20"},
		{toTime("a", "2h", "s3-bucket=b"), "aws-region: is required here"},
		{toTime("a", "2h", "tenant-source=schemas", "database-url=postgresql://app:x@127.0.0.1:1/app"),
			"restore-to-time: this source has no history to go back in; restore a backup, or use tenant-source: catalog or " +
				"neon"},
	} {
		f.ResetCalls()
		o := f.run(t, t.Context(), c.inputs...)
		if o.err == nil || f.Calls().Total > 0 || !strings.Contains(o.log, c.says) {
			t.Errorf("%q: %v after %d calls\n%s", c.says, o.err, f.Calls().Total, o.log)
		}
	}
	o := f.run(t, t.Context(), toTime("*", "2h")...)
	o.says(t, "tenants selects 2 tenants, and restore works on exactly one")
}
