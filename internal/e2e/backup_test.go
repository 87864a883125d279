//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// backupDetail and restoreDetail are the parts of the report that these tests read.
type backupDetail struct {
	Key    string
	Pruned []struct{ Key, Reason string }
}

type restoreDetail struct {
	Key, Target string
	TargetID    string `json:"target_id"`
	Tables      []struct {
		Table string
		Rows  int64
	}
}

// fill gives every tenant a table with rows of its own, and returns a query that tells the tenants apart.
func (s *sandbox) fill(t *testing.T) (fingerprint string) {
	t.Helper()
	for i, tenant := range s.tenants {
		tenant.exec(t, fmt.Sprintf(`create table customers (id int primary key, name text, "when" timestamptz default now());
			insert into customers (id, name)
			select i, 'Zoë \ ' || chr(9) || chr(10) || '\. of %s ' || i from generate_series(1, %d) i`, tenant.id, 100*(i+1)))
	}
	return `select count(*) || ' ' || md5(string_agg(customers::text, ',' order by id)) from customers`
}

// TestBackupAndRestore takes a fleet through the life of its backups: a first run, a dry run with a shorter retention,
// a run that prunes, a dry run of a restore, a restore.
func TestBackupAndRestore(t *testing.T) {
	sandbox := startSandbox(t)
	store := sandbox.store(t)
	workspace := t.TempDir() // without a checkout, which a backup does not need
	env := sandbox.env(t, workspace, "/github/workspace")
	total := strconv.Itoa(len(sandbox.tenants))
	fingerprint := sandbox.fill(t)
	inputs := sandbox.bucket("backup")
	inputs["s3-prefix"] = "tenants"
	check := func(run outcome) {
		t.Helper()
		if run.exit != 0 {
			t.Fatalf("exit status %d, want 0", run.exit)
		}
		run.wants(t, "failed", "0")
		run.keeps(t, sandbox.secrets(t))
		run.hides(t, []string{sandbox.environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], "eyJ", "Bearer"}) // or any other token
		if !strings.Contains(run.summary, sandbox.tenants[0].name) {
			t.Errorf("the summary does not name %s:\n%s", sandbox.tenants[0].name, run.summary)
		}
		if left := store.parts(t); len(left) > 0 {
			t.Errorf("unfinished uploads, with their parts: %v", left)
		}
	}

	t.Log("first run: every tenant is backed up")
	run := runStep(t, workspace, inputs, env...)
	check(run)
	run.wants(t, "succeeded", total)
	if key, ok := run.outputs["backup-key"]; ok {
		t.Errorf("backup-key is %q, although there are several backups", key)
	}
	first := map[string]string{}
	for _, tenant := range sandbox.tenants {
		key := detail[backupDetail](t, run, tenant.name).Key
		first[tenant.name] = key
		if want := "tenants/" + folder(tenant); !strings.HasPrefix(key, want) {
			t.Errorf("%s's backup is %s, want it in %s", tenant.name, key, want)
		}
		if sql := store.wantBackup(t, tenant, key); !strings.Contains(sql, " of "+tenant.id+" 100\t") {
			t.Errorf("%s does not hold %s's rows", key, tenant.name)
		}
	}
	before := store.keys(t)
	if len(before) != 2*len(sandbox.tenants) {
		t.Errorf("want a backup and a manifest of each tenant, the bucket has %v", before)
	}

	t.Log("a dry run with a shorter retention: nothing changes")
	nextSecond()
	inputs["retention-days"], inputs["dry-run"] = "0", "true"
	run = runStep(t, workspace, inputs, env...)
	check(run)
	for _, tenant := range sandbox.tenants {
		if d := detail[backupDetail](t, run, tenant.name); len(d.Pruned) != 1 ||
			d.Pruned[0].Key != first[tenant.name] || d.Pruned[0].Reason == "" {
			t.Errorf("%s: want %s to be pruned, the dry run says %+v", tenant.name, first[tenant.name], d)
		}
	}
	if after := store.keys(t); !slices.Equal(before, after) {
		t.Errorf("the dry run left %v, before it were %v", after, before)
	}

	t.Log("second run: the first one's backups are pruned")
	nextSecond()
	inputs["dry-run"] = "false"
	run = runStep(t, workspace, inputs, env...)
	check(run)
	run.wants(t, "succeeded", total)
	var want []string
	for _, tenant := range sandbox.tenants {
		d := detail[backupDetail](t, run, tenant.name)
		want = append(want, d.Key, d.Key+".json")
		store.wantBackup(t, tenant, d.Key)
		if len(d.Pruned) != 1 || d.Pruned[0].Key != first[tenant.name] {
			t.Errorf("%s: want %s pruned, the report says %+v", tenant.name, first[tenant.name], d.Pruned)
		}
	}
	slices.Sort(want)
	if after := store.keys(t); !slices.Equal(want, after) {
		t.Errorf("the bucket has %v, want %v", after, want)
	}

	chosen := sandbox.tenants[1]
	newest := detail[backupDetail](t, run, chosen.name).Key
	inputs = sandbox.bucket("restore")
	inputs["s3-prefix"], inputs["tenants"], inputs["restore-into"] = "tenants", chosen.name, "new-project"

	t.Log("a dry run of a restore: the backup is read, nothing is created")
	projects := sandbox.projects(t)
	inputs["dry-run"] = "true"
	run = runStep(t, workspace, inputs, env...)
	restored := func(run outcome) {
		t.Helper()
		if run.exit != 0 {
			t.Fatalf("exit status %d, want 0", run.exit)
		}
		run.wants(t, "succeeded", "1")
		run.wants(t, "backup-key", newest)
		run.hides(t, sandbox.secrets(t))
		if d := detail[restoreDetail](t, run, chosen.name); d.Key != newest || d.Target != "new-project" {
			t.Errorf("the report says %+v", d)
		}
	}
	restored(run)
	if !strings.Contains(run.log, "is whole") {
		t.Error("the log does not say that the backup is whole")
	}
	if after := sandbox.projects(t); after != projects {
		t.Errorf("there were %d projects, after the dry run %d", projects, after)
	}

	t.Log("a restore into a new project, of the newest backup although the tenant has changed since")
	had := query[string](t, chosen, fingerprint)
	chosen.exec(t, "drop table customers")
	inputs["dry-run"] = "false"
	run = runStep(t, workspace, inputs, env...)
	restored(run)
	made := detail[restoreDetail](t, run, chosen.name)
	if len(made.Tables) != 1 || made.Tables[0].Rows != 200 {
		t.Errorf("the report has the rows %+v, want 200 in one table", made.Tables)
	}
	target := tenant{made.TargetID, "the new project", sandbox.uri(t, made.TargetID)}
	target.wake(t)
	target.uri = sandbox.uri(t, made.TargetID)
	run.keeps(t, target.secrets(t)[1:]) // a new compute has another port than its connection string says
	if has := query[string](t, target, fingerprint); has != had {
		t.Errorf("restored is %s, backed up was %s", has, had)
	}
	if after := sandbox.projects(t); after != projects+1 {
		t.Errorf("there were %d projects, after the restore %d", projects, after)
	}
}

// TestBackupWithoutPermission leaves out only what the runner gives a job with `id-token: write`.
func TestBackupWithoutPermission(t *testing.T) {
	run := runStep(t, t.TempDir(), map[string]string{
		"mode": "backup", "neon-api-key": "napi_key", "neon-api-url": "http://127.0.0.1:1",
		"s3-bucket": "tenant-backups", "aws-region": "eu-central-1",
		"role-to-assume": "arn:aws:iam::123456789012:role/tenant-backups",
	})
	if run.exit == 0 {
		t.Error("exit status 0")
	}
	for _, want := range []string{"role-to-assume: the job may not ask GitHub for an identity token",
		"id-token: write"} {
		if !strings.Contains(run.log, want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if strings.Contains(run.log, "connection refused") {
		t.Error("a call was made before the inputs were right")
	}
}

// old puts two backups past every default retention into a tenant's folder, as an earlier run would have left them that
// gave pg_dump this argument, which leaves something out.
func (s *store) old(t *testing.T, of tenant, argument string) []string {
	t.Helper()
	const contents = "of an earlier run"
	var keys []string
	for days := 20; days > 10; days -= 5 {
		key := buckettest.BackupKey(folder(of), time.Now().AddDate(0, 0, -days))
		manifest, err := json.Marshal(map[string]any{
			"version": 2, "key": key, "tenant": map[string]string{"id": of.id}, "pg_dump_args": []string{argument},
			"whole": false, "stored_size": len(contents), "stored_sha256": strings.Repeat("0", 64),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.put(t, key, contents)
		s.put(t, key+".json", string(manifest))
		keys = append(keys, key, key+".json")
	}
	return keys
}

// failedTenants reads the output.
func (o outcome) failedTenants(t *testing.T) []string {
	t.Helper()
	var names []string
	if err := json.Unmarshal([]byte(o.outputs["failed-tenants"]), &names); err != nil {
		t.Errorf("the output failed-tenants is %q: %v", o.outputs["failed-tenants"], err)
	}
	slices.Sort(names)
	return names
}

// nextSecond returns when a second is over: two backups of one tenant in one second would have the same key.
func nextSecond() { time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) }
