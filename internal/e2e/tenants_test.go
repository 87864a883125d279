//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestTenantExamples creates a tenant, creates it again, and drops it after its backup.
func TestTenantExamples(t *testing.T) {
	sandbox := startSandbox(t)
	store := sandbox.store(t)
	projects := sandbox.projects(t)

	t.Log("a new tenant")
	repository := newRepository(t, "create-tenant.yml")
	create := []string{"--input", "tenant=Initech Ltd", "--input", "region=aws-eu-central-1",
		"--input", "sync-secret=true", "--secret", "SECRETS_TOKEN=" + sandbox.environment["GITHUB_TOKEN"]}
	for _, name := range []string{"GITHUB_API_URL", "GITHUB_REPOSITORY"} {
		create = append(create, "--env", name+"="+sandbox.environment[name])
	}
	job := runAct(t, sandbox, repository, "workflow_dispatch", create...)
	job.wants(t, "succeeded", "1")
	if secrets := sandbox.secretNames(t); !slices.Equal(secrets, []string{"INITECH_LTD_DATABASE_URL"}) {
		t.Errorf("GitHub has the secrets %v", secrets)
	}
	id := job.outputs["tenant-id"]
	if !strings.Contains(job.log, "The tenant's project is "+id) || id == "" || sandbox.projects(t) != projects+1 {
		t.Fatalf("tenant-id is %q; there were %d projects, now %d", id, projects, sandbox.projects(t))
	}
	made := tenant{id, "Initech Ltd", sandbox.uri(t, id)}
	made.wake(t)
	made.uri = sandbox.uri(t, id)
	if version := query[string](t, made, "select max(version) from schema_migrations"); version != last {
		t.Errorf("it is at %s, want %s", version, last)
	}

	t.Log("the same again")
	job = runAct(t, sandbox, repository, "workflow_dispatch", create...)
	job.wants(t, "unchanged", "1")
	job.wants(t, "tenant-id", id)

	t.Log("dropped with the form's defaults: a dry run")
	repository = newRepository(t, "drop-tenant.yml")
	run := func(args ...string) outcome {
		t.Helper()
		args = append(append(actStore(t, sandbox, repository), "--bind",
			"--input", "tenant=Initech Ltd", "--input", "confirm=Initech Ltd"), args...)
		return runAct(t, sandbox, repository, "workflow_dispatch", args...)
	}
	job = run()
	job.wants(t, "succeeded", "1")
	if keys := store.keys(t); len(keys) != 0 || sandbox.projects(t) != projects+1 {
		t.Errorf("the dry run left %v in the bucket, and %d projects", keys, sandbox.projects(t))
	}

	t.Log("dropped")
	job = run("--input", "dry-run=false")
	job.wants(t, "succeeded", "1")
	key := job.outputs["backup-key"]
	if keys := store.under(t, "tenants/initech-ltd/"); len(keys) != 2 || keys[0] != key ||
		sandbox.projects(t) != projects {
		t.Errorf("the bucket has %v, backup-key is %q, and there are %d projects", keys, key, sandbox.projects(t))
	}
	if !strings.Contains(job.log, "Its last backup is "+key) {
		t.Error("the workflow's last step did not say where its data is")
	}
}
