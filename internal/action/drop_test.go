package action

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/tenant"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

func drop(name string, more ...string) []string {
	return append([]string{"mode=drop-tenant", "tenant-name=" + name, "confirm=" + name}, more...)
}

func TestATenantIsDroppedAfterItsBackup(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp", "Payroll Inc", "Finance Co")...), newVault(t)
	old := buckettest.BackupKey("tenants/acme-corp/", time.Now().AddDate(0, 0, -20))
	v.putBackup(t, f.projects[0].ID, old)
	f.ResetCalls()

	o := f.run(t, t.Context(), v.inputs(drop("ACME Corp", "dry-run=true")...)...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "ACME Corp  would be dropped after a new backup")
	if got := f.projectsNamed(t, "ACME Corp"); len(got) != 1 || len(v.keys(t)) != 2 {
		t.Fatalf("a dry run left %v, %v", got, v.keys(t))
	}

	o = f.run(t, t.Context(), v.inputs(drop("ACME Corp")...)...)
	o.counts(t, 1, 0, 0, 0)
	o.keeps(t, f.projects[:1])
	key := o.outputs["backup-key"]
	o.says(t, "ACME Corp  dropped with the new backup "+key, "Neon can recover project "+f.projects[0].ID+" for 7 days",
		"its backups remain")
	if keys := v.keys(t); len(keys) != 4 || !slices.Contains(keys, key+".json") || !slices.Contains(keys, old) {
		t.Errorf("the bucket has %v", keys) // nothing was pruned
	}
	if d := detail[tenant.DropDetail](t, o, "ACME Corp"); !d.Dropped || !d.BackupMade || d.Backup != key {
		t.Errorf("detail %+v", d)
	}
	if len(f.projectsNamed(t, "ACME Corp")) != 0 || len(f.projectsNamed(t, "Payroll Inc")) != 1 {
		t.Error("the wrong project is gone")
	}
	// Again: there is nothing of that name, which is said and not passed over.
	f.run(t, t.Context(), v.inputs(drop("ACME Corp")...)...).says(t, "is none of the 2 listed tenants")

	// A backup of minutes ago is relied on, by name or by id.
	first := f.run(t, t.Context(), v.inputs("mode=backup", "tenants=Payroll Inc")...)
	o = f.run(t, t.Context(), v.inputs(drop(f.projects[1].ID, "dry-run=true")...)...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "would be dropped with the backup "+first.outputs["backup-key"])
	keys := v.keys(t)
	o = f.run(t, t.Context(), v.inputs(drop(f.projects[1].ID)...)...)
	o.counts(t, 1, 0, 0, 0)
	if o.outputs["backup-key"] != first.outputs["backup-key"] || !slices.Equal(keys, v.keys(t)) {
		t.Errorf("relied on %q, want %q", o.outputs["backup-key"], first.outputs["backup-key"])
	}

	// Without one, the bucket is not even asked for.
	o = f.run(t, t.Context(), drop("Finance Co", "without-backup=true")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "backups that it has remain")
	for _, p := range f.projects {
		if len(f.projectsNamed(t, p.Name)) != 0 {
			t.Errorf("%s is there", p.Name)
		}
	}
}

// A backup of one who had the name before is not a backup of this tenant, and neither is one that is old or not whole.
func TestBackupsThatAreNotReliedOn(t *testing.T) {
	f, v := newFleet(t, named("acme")...), newVault(t)
	now := time.Now().UTC().Truncate(time.Second)
	put := func(at time.Time, owner string) {
		t.Helper()
		key := buckettest.BackupKey("tenants/acme/", at)
		v.put(t, key)
		if owner == "" {
			return
		}
		m := backups.Manifest{Version: 1, Key: key, StoredSHA256: strings.Repeat("0", 64)}
		m.Tenant.ID = owner
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		name := key + ".json"
		if _, err := v.Client().PutObject(t.Context(),
			&s3.PutObjectInput{Bucket: &v.bucket, Key: &name, Body: strings.NewReader(string(data))}); err != nil {
			t.Fatal(err)
		}
	}
	put(now.Add(-2*time.Hour), f.projects[0].ID)
	put(now.Add(-20*time.Minute), "another-project-12345678")
	put(now.Add(-10*time.Minute), "")
	o := f.run(t, t.Context(), v.inputs(drop("acme")...)...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "dropped with the new backup ")
}

func TestWhatIsNotDropped(t *testing.T) {
	f, v := newFleet(t, neontest.Spec{Name: "twin"}, neontest.Spec{Name: "twin"}, neontest.Spec{Name: "shared"},
		neontest.Spec{Name: "disabled", Disabled: true}), newVault(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		f.URL()+"/projects/"+f.projects[2].ID+"/branches/"+f.projects[2].BranchID+"/databases",
		strings.NewReader(`{"database": {"name": "second", "owner_name": "neondb_owner"}}`))
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
	f.ResetCalls()
	for _, c := range []struct {
		says   string
		inputs []string
	}{
		{"confirm: is \"\", but tenant-name is \"shared\"", []string{"mode=drop-tenant", "tenant-name=shared"}},
		{"confirm: is \"Shared\"", drop("shared", "confirm=Shared")},
		{"needs a verified backup younger than an hour", drop("shared", "s3-bucket=")},
		{"tenants: has no meaning in mode drop-tenant", drop("shared", "tenants=*a")},
		{"is the name or the id of 2 tenants: ", drop("twin")},
		{"is none of the 4 listed tenants", drop("Shared")},
		{"is none of the 4 listed tenants", drop("*", "without-backup=true")},
		{"would be deleted with all its branches", drop("shared", "neon-branch=main")},
		{`its backup would not hold everything that the drop deletes: database "second"; the tenant was not dropped`,
			drop("shared")},
		{"the tenant was not dropped", drop("disabled")},
		{"set without-backup: true", drop("disabled")},
	} {
		for _, more := range []string{"dry-run=false", "dry-run=true"} {
			o := f.run(t, t.Context(), append(v.inputs(c.inputs...), more)...)
			o.says(t, c.says)
			if o.err == nil {
				t.Errorf("%v succeeded", c.inputs)
			}
		}
	}
	if n := f.Calls().ByRoute["DELETE /projects/{project_id}"]; n != 0 || len(v.keys(t)) != 0 {
		t.Errorf("%d deletions, and the bucket has %v", n, v.keys(t))
	}
	f.run(t, t.Context(), drop(f.projects[0].ID, "without-backup=true", "tenant-key=id")...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), drop("twin", "without-backup=true")...).counts(t, 1, 0, 0, 0)
}

// A drop that was cut off before Neon did it is done by the next run, with the backup of the first; one that Neon had
// done is done.
func TestADropIsCompletedWhereverItWasCut(t *testing.T) {
	v := newVault(t)
	for _, done := range []bool{false, true} {
		f := newFleet(t, named("acme", "other")...)
		prefix := "s3-prefix=" + map[bool]string{false: "before", true: "after"}[done]
		ctx, cancel := context.WithCancelCause(t.Context())
		var lost bool
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodDelete {
				f.ServeHTTP(w, r)
				return
			}
			if done {
				f.ServeHTTP(httptest.NewRecorder(), r)
			}
			lost = true
			cancel(errors.New("cut off"))
			panic(http.ErrAbortHandler)
		}))
		o := f.run(t, ctx, v.inputs(drop("acme", prefix, "neon-api-url="+front.URL+neontest.BasePath)...)...)
		front.Close()
		o.counts(t, 0, 0, 1, 0)
		o.says(t, "run again with the same inputs")
		if !lost {
			t.Error("the call that drops it never came")
		}
		again := f.run(t, t.Context(), v.inputs(drop("acme", prefix)...)...)
		if done {
			again.says(t, "if it has been dropped already, nothing is left to do")
		} else if again.counts(t, 1, 0, 0, 0); again.outputs["backup-key"] != o.outputs["backup-key"] {
			t.Errorf("relied on %q, and first on %q", again.outputs["backup-key"], o.outputs["backup-key"])
		}
		if n := len(f.projectsNamed(t, "acme")); n != 0 {
			t.Errorf("there are %d", n)
		}
		cancel(nil)
	}
}
