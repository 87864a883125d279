package action

import (
	"cmp"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A backup is read twice, and nothing is dropped, loaded or created before it was found whole and is still the same.
func TestRestoreVerifiesBeforeItTouchesAnything(t *testing.T) {
	const first, second = 2, 3 // the manifest is read before
	f, v := newFleet(t, named("acme")...), newVault(t)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	query(t, f.projects[0], "select lo_from_bytea(42, 'large')")
	f.run(t, t.Context(), v.inputs("mode=backup")...).counts(t, 1, 0, 0, 0)
	var key string
	for _, k := range v.keys(t) {
		if !strings.HasSuffix(k, ".json") {
			key = k
		}
	}
	for _, c := range []struct {
		name  string
		fault buckettest.Fault
		into  string
		says  string
	}{
		{"damaged", buckettest.Fault{Operation: "GetObject", Nth: first, Way: buckettest.DamageBody}, "", "damaged"},
		{"damaged, for a project", buckettest.Fault{Operation: "GetObject", Nth: first, Way: buckettest.DamageBody},
			"restore-into=new-project", "damaged"},
		{"damaged later", buckettest.Fault{Operation: "GetObject", Nth: second, Way: buckettest.DamageBody}, "", ""},
		{"replaced", buckettest.Fault{
			Operation: "GetObject", Nth: second, Times: 1, Way: buckettest.Pass, Then: func() { v.put(t, key) },
		}, "", "the object was replaced while it was being read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxy := buckettest.StartFaultProxy(t, v.Server)
			proxy.Inject(c.fault)
			target := pgtest.Database(t)
			pgtest.Do(t, target, "create table kept as select 1 i")
			f.ResetCalls()
			o := f.run(t, t.Context(), v.inputs("mode=restore", "s3-endpoint="+proxy.URL,
				cmp.Or(c.into, "restore-url="+target), "overwrite=true")...)
			o.counts(t, 0, 0, 1, 0)
			o.says(t, c.says)
			if got := pgtest.Relations(t, target); len(got) != 1 || !strings.Contains(got[0], "kept") {
				t.Errorf("the target holds %v", got)
			}
			if n := f.Calls().ByRoute["POST /projects"]; n > 0 {
				t.Errorf("%d projects were created", n)
			}
		})
	}
}

// A restore into a place that it makes itself leaves none behind that holds nothing, and names what it cannot delete.
func TestAFailedRestoreLeavesNoProjectOrBranch(t *testing.T) {
	servertest.Long(t)
	const second = 3 // the manifest is read before, and the backup once to see that it is whole
	f, v := newFleet(t, named("acme")...), newVault(t)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), v.inputs("mode=backup")...).counts(t, 1, 0, 0, 0)
	for into, c := range map[string]struct{ made, route, text string }{
		"new-project": {"POST /projects", "DELETE /projects/{project_id}", `the new project "acme restored 20`},
		"branch": {"POST /projects/{project_id}/branches", "DELETE /projects/{project_id}/branches/{branch_id}",
			`the new branch "restore/20`},
	} {
		for _, refused := range []bool{false, true} {
			proxy := buckettest.StartFaultProxy(t, v.Server)
			proxy.Inject(buckettest.Fault{Operation: "GetObject", Nth: second, Way: buckettest.DamageBody})
			f.ResetCalls()
			if refused {
				f.Fail(neontest.Fault{Route: c.route, Status: 403, Message: "not allowed"})
			}
			o := f.run(t, t.Context(), v.inputs("mode=restore", "s3-endpoint="+proxy.URL, "restore-into="+into)...)
			f.ClearFaults()
			o.counts(t, 0, 0, 1, 0)
			calls, d := f.Calls().ByRoute, detail[backup.RestoreDetail](t, o, "acme")
			if calls[c.made] == 0 || calls[c.route] == 0 || (d.TargetID != "") != refused {
				t.Errorf("%s, deleting refused %v: calls %v, the report names %q", into, refused, calls, d.TargetID)
			}
			if refused {
				o.says(t, c.text, "is left and empty, because it could not be deleted", "; and delete the new ")
			} else {
				o.says(t, c.text, "which was made for this restore, was deleted again")
			}
		}
	}
}

// A project that a restore made is beside its original, and no tenant: neither a glob nor the default selects it, until
// somebody renames it.
func TestARestoredProjectIsNoTenant(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("Payroll Inc", "Finance Co")...), newVault(t)
	f.run(t, t.Context()).counts(t, 2, 0, 0, 0)
	f.run(t, t.Context(), v.inputs("mode=backup")...).counts(t, 2, 0, 0, 0)
	o := f.run(t, t.Context(), v.inputs("mode=restore", "tenants=Payroll Inc", "restore-into=new-project")...)
	o.counts(t, 1, 0, 0, 0)
	id := detail[backup.RestoreDetail](t, o, "Payroll Inc").TargetID
	for _, inputs := range [][]string{{"tenants=Payroll*"}, {"tenants=Payroll Inc*"}, {"tenants=*", "min-tenants=2"}} {
		o := f.run(t, t.Context(), append(inputs, "mode=health-check")...)
		if strings.Contains(o.log, " restored 20") && len(o.report.Tenants) != len(inputs) {
			t.Errorf("%v: it is a tenant:\n%s", inputs, o.log)
		}
		o.says(t, "project is left out that mode restore made: ", id, "until it is renamed")
		if len(o.report.Warnings) > 0 { // of which there may be real ones
			t.Errorf("%v: it is a warning: %q", inputs, o.report.Warnings)
		}
	}
	if !f.Rename(id, "Payroll Two") {
		t.Fatal("it could not be renamed")
	}
	f.run(t, t.Context(), "mode=health-check", "tenants=Payroll*").counts(t, 2, 0, 0, 0)
}
