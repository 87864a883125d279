package action

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// addBranch adds a branch with a compute to a project.
func (f *organisation) addBranch(t *testing.T, projectID, name string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL()+"/projects/"+projectID+"/branches",
		strings.NewReader(`{"branch": {"name": "`+name+`"}, "endpoints": [{"type": "read_write"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+neontest.OrgKey)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%v, %v", answer, err)
	}
	_ = answer.Body.Close()
}

func (v *vault) manifest(t *testing.T, key string) (m backups.Manifest) {
	t.Helper()
	if err := json.Unmarshal(buckettest.Read(t, v.Server, v.bucket, key+".json"), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Zeta is backed up and dropped, and a new customer gets the name: nothing takes the old one's backup for the new
// one's, and nothing deletes it.
func TestANewTenantOfAnOldName(t *testing.T) {
	f, v := newFleet(t, named("Zeta")...), newVault(t)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	first := f.run(t, t.Context(), v.inputs("mode=backup")...).outputs["backup-key"]
	if m := v.manifest(t, first); m.Tenant.ID != f.projects[0].ID || m.Origin.Server == "" || m.Origin.Database == "" ||
		!m.Whole {
		t.Errorf("the manifest says %+v", m)
	}
	f.run(t, t.Context(), drop("Zeta", "without-backup=true")...).counts(t, 1, 0, 0, 0)
	if _, err := f.AddProject(t.Context(), neontest.Spec{Name: "Zeta"}); err != nil {
		t.Fatal(err)
	}
	another := first + " (it is of another tenant, whose id is " + f.projects[0].ID + ")"

	o := f.run(t, t.Context(), v.inputs("mode=restore", "restore-url="+pgtest.Database(t))...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "there is no verified backup in ", another)
	o = f.run(t, t.Context(), v.inputs("mode=restore", "restore-url="+pgtest.Database(t), "backup-key="+first)...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, first+" is not restored: it is of another tenant")
	o = f.run(t, t.Context(), v.inputs("mode=health-check", "fail-on=backup-age")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "it has no verified backup; 1 backup passed over: "+another)

	time.Sleep(time.Second) // keys tell seconds
	o = f.run(t, t.Context(), v.inputs("mode=backup", "skip-unchanged=true", "retention-days=0", "keep-last=1")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "1 backup passed over: "+another)
	if keys := v.keys(t); len(keys) != 4 || !slices.Contains(keys, first) || !slices.Contains(keys, first+".json") {
		t.Errorf("the bucket has %v", keys)
	}
}

// A tenant that was renamed restores what was backed up under its earlier name, by itself or by key. So does one whose
// key changed under it: Café was caf before accents were written in ASCII.
func TestARenamedTenantFindsItsBackups(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("Caf", "Other")...), newVault(t)
	f.run(t, t.Context()).counts(t, 2, 0, 0, 0)
	key := f.run(t, t.Context(), v.inputs("mode=backup", "tenants=Caf")...).outputs["backup-key"]
	f.run(t, t.Context(), v.inputs("mode=backup", "tenants=Other")...).counts(t, 1, 0, 0, 0)
	if !f.Rename(f.projects[0].ID, "Café") {
		t.Fatal("it could not be renamed")
	}
	for _, more := range []string{"backup-key=", "backup-key=" + key} {
		o := f.run(t, t.Context(), v.inputs("mode=restore", "tenants=Café", "restore-url="+pgtest.Database(t), more)...)
		o.counts(t, 1, 0, 0, 0)
		if o.outputs["backup-key"] != key {
			t.Errorf("restored %q, want %s", o.outputs["backup-key"], key)
		}
	}
	// Nothing else looks into the former folder, which nothing prunes either.
	o := f.run(t, t.Context(), v.inputs("mode=health-check", "tenants=Café", "fail-on=backup-age")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "it has no verified backup")
	o = f.run(t, t.Context(), v.inputs("mode=backup", "tenants=Café", "retention-days=0")...)
	if made := o.outputs["backup-key"]; !strings.HasPrefix(made, "tenants/cafe/") || !slices.Contains(v.keys(t), key) {
		t.Errorf("made %q, and the bucket has %v", made, v.keys(t))
	}
	f.run(t, t.Context(), v.inputs("mode=health-check", "tenants=Café", "fail-on=backup-age")...).counts(t, 1, 0, 0, 0)
}

// What a drop relies on holds everything: neither part of the data, nor another branch's, nor an object that was
// emptied.
func TestWhatADropReliesOn(t *testing.T) {
	servertest.Long(t)
	v := newVault(t)
	for name, c := range map[string]struct {
		inputs []string
		passed string
		after  func(t *testing.T, v *vault, key string)
	}{
		"a schema without data": {inputs: []string{"pg-dump-args=--schema-only"},
			passed: "it is partial: pg_dump left something out, because of --schema-only"},
		"not every table": {inputs: []string{"pg-dump-args=--exclude-table-data=users"}, passed: "it is partial"},
		"another branch":  {inputs: []string{"neon-branch=dev"}, passed: ", branch dev, and this tenant is at "},
		"nothing": {passed: "it holds 0 bytes, and held ", after: func(t *testing.T, v *vault, key string) {
			if _, err := v.Client().PutObject(t.Context(),
				&s3.PutObjectInput{Bucket: &v.bucket, Key: &key, Body: strings.NewReader("")}); err != nil {
				t.Fatal(err)
			}
		}},
		"of version 1": {passed: "does not say which server, database and branch it came from",
			after: func(t *testing.T, v *vault, key string) { v.putBackup(t, v.manifest(t, key).Tenant.ID, key) }},
	} {
		t.Run(name, func(t *testing.T) {
			f, prefix := newFleet(t, named("acme")...), strings.ReplaceAll(name, " ", "-")
			f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
			f.addBranch(t, f.projects[0].ID, "dev")
			key := f.run(t, t.Context(),
				v.inputs(append(c.inputs, "mode=backup", "s3-prefix="+prefix)...)...).outputs["backup-key"]
			if key == "" {
				t.Fatal("there is no backup")
			}
			if c.after != nil {
				c.after(t, v, key)
			}
			time.Sleep(time.Second) // keys tell seconds
			o := f.run(t, t.Context(), v.inputs(drop("acme", "s3-prefix="+prefix)...)...)
			o.counts(t, 1, 0, 0, 0)
			o.says(t, "dropped with the new backup ", key+" (", c.passed)
		})
	}
}

// Of a tenant that cannot be found, the newest backup may be another branch's. It is loaded only if it is named.
func TestRestoringATenantThatCannotBeFound(t *testing.T) {
	t.Parallel()
	f, v := newFleet(t, named("acme")...), newVault(t)
	f.addBranch(t, f.projects[0].ID, "dev")
	first := f.run(t, t.Context(), v.inputs("mode=backup")...).outputs["backup-key"]
	lost := neontest.Fault{Route: "GET /projects/{project_id}/connection_uri", Status: 403}
	restore := func(more ...string) outcome {
		return f.run(t, t.Context(), v.inputs(append(more, "mode=restore", "restore-url="+pgtest.Database(t))...)...)
	}
	f.Fail(lost)
	restore().counts(t, 1, 0, 0, 0) // all backups are of one place
	f.ClearFaults()
	time.Sleep(time.Second) // keys tell seconds
	second := f.run(t, t.Context(), v.inputs("mode=backup", "neon-branch=dev")...).outputs["backup-key"]
	f.Fail(lost)
	o := restore()
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "where the tenant is could not be found out, and its backups are of several places: "+second+" is of ",
		", branch dev, "+first+" is of ", "name the right one with backup-key")
	restore("backup-key="+first).counts(t, 1, 0, 0, 0)
	f.ClearFaults()
	restore().counts(t, 1, 0, 0, 0)
}

// A backup that leaves something out says so, and restore loads it only by its key.
func TestPartialBackups(t *testing.T) {
	f, v := newFleet(t, named("acme")...), newVault(t)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	o := f.run(t, t.Context(), v.inputs("mode=backup", "pg-dump-args=--exclude-table-data=users")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "pg-dump-args: --exclude-table-data=users leaves something out, so these backups are partial", ", partial")
	key := o.outputs["backup-key"]
	if d := detail[backup.Detail](t, o, "acme"); !d.Partial {
		t.Errorf("%+v", d)
	}
	o = f.run(t, t.Context(), v.inputs("mode=restore", "restore-url="+pgtest.Database(t))...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "of the whole of this tenant", key+" (it is partial", "name it with backup-key")
	o = f.run(t, t.Context(), v.inputs("mode=restore", "restore-url="+pgtest.Database(t), "backup-key="+key)...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, key+": it is partial")
	f.run(t, t.Context(), v.inputs("mode=health-check", "fail-on=backup-age")...).counts(t, 0, 0, 1, 0)
	f.run(t, t.Context(), v.inputs("require-backup-within=1h")...).counts(t, 0, 0, 1, 0)
	f.run(t, t.Context(), v.inputs(drop("acme", "pg-dump-args=-s")...)...).says(t,
		"pg-dump-args: -s leaves something out of the backup that the drop relies on")
}

// Two databases with a schema of the same name share a bucket and a prefix: neither relies on the other's backup or
// deletes it.
func TestTwoDatabasesWithASchemaOfOneName(t *testing.T) {
	servertest.Long(t)
	one, other, v := newEstate(t, "acme"), newEstate(t, "acme"), newVault(t)
	one.run(t).counts(t, 1, 0, 0, 0)
	other.run(t).counts(t, 1, 0, 0, 0)
	key := one.run(t, v.inputs("mode=backup")...).outputs["backup-key"]
	old := buckettest.BackupKey("tenants/acme/", time.Now().AddDate(0, 0, -20))
	v.putBackup(t, "acme", old) // of version 1: nobody can tell whose it is
	time.Sleep(time.Second)     // keys tell seconds
	o := other.run(t, v.inputs("mode=health-check", "fail-on=backup-age")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, key+" (it is of ", "schema acme, and this tenant is at ")
	o = other.run(t, v.inputs("mode=restore", "restore-url="+pgtest.Database(t))...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "name it with backup-key")
	o = other.run(t, v.inputs("mode=backup", "retention-days=0", "keep-last=1")...)
	o.counts(t, 1, 0, 0, 0)
	if keys := v.keys(t); !slices.Contains(keys, key) || !slices.Contains(keys, old) {
		t.Errorf("the bucket has %v", keys)
	}
	mine := o.outputs["backup-key"]
	o = one.run(t, v.inputs(drop("acme", "dry-run=true")...)...)
	o.says(t, "would be dropped with the backup "+key, mine+" (it is of ")
}
