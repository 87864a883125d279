//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSecretsExamples writes the tenants' secrets: for a tenant that was just created, every night, and together with a
// workflow that lists them. Then it migrates from secrets, without a Neon key.
func TestSecretsExamples(t *testing.T) {
	sandbox := startSandbox(t)
	total := strconv.Itoa(len(sandbox.tenants))
	t.Setenv("SECRETS_TOKEN", sandbox.environment["GITHUB_TOKEN"])
	options := []string{
		"--secret", "SECRETS_TOKEN", // its value by environment
		"--env", "GITHUB_API_URL=" + sandbox.environment["GITHUB_API_URL"],
		"--env", "GITHUB_REPOSITORY=" + sandbox.environment["GITHUB_REPOSITORY"],
	}
	var want []string
	for _, tenant := range sandbox.tenants {
		want = append(want, secretOf(tenant))
	}
	slices.Sort(want)

	t.Log("an event: one tenant that was just created")
	made := sandbox.named(t, "ACME Corp")
	event := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(event, []byte(`{"action":"tenant-created","client_payload":{"tenant":"`+made.id+`"}}`),
		0o644); err != nil {
		t.Fatal(err)
	}
	job := runAct(t, sandbox, newRepository(t, "sync-after-create.yml"), "repository_dispatch",
		append(options, "--eventpath", event)...)
	job.wants(t, "succeeded", "1")
	if names := sandbox.secretNames(t); !slices.Equal(names, []string{"ACME_CORP_DATABASE_URL"}) {
		t.Errorf("the secrets are %v", names)
	}

	t.Log("every night: all of them, and again")
	repository := newRepository(t, "sync-secrets.yml")
	job = runAct(t, sandbox, repository, "schedule", options...)
	job.wants(t, "total", total)
	job.wants(t, "unchanged", "1")
	job.wants(t, "failed", "0")
	if names := sandbox.secretNames(t); !slices.Equal(names, want) {
		t.Errorf("the secrets are %v, want %v", names, want)
	}
	job = runAct(t, sandbox, repository, "schedule", options...)
	job.wants(t, "unchanged", total)
	if said := "0 written, " + total + " left as they were, failed - 0"; !strings.Contains(job.log, said) {
		t.Errorf("the workflow's last step did not say %q", said)
	}

	t.Log("a workflow that lists them; the pull request is left out under act")
	repository = newRepository(t, "sync-workflow-file.yml")
	list := filepath.Join(repository, ".github", "workflows", "tenant-report.yml")
	empty := "on: workflow_call\nenv:\n  # neon-tenants:begin\n  # neon-tenants:end\njobs: {}\n"
	if err := os.WriteFile(list, []byte(empty), 0o644); err != nil {
		t.Fatal(err)
	}
	job = runAct(t, sandbox, repository, "workflow_dispatch",
		append(options, "--bind",
			"--workflows", filepath.Join(repository, ".github", "workflows", "sync-workflow-file.yml"))...)
	job.wants(t, "unchanged", total)
	text, err := os.ReadFile(list)
	for _, name := range want {
		if err != nil || !strings.Contains(string(text), "\n  "+name+": ${{ secrets."+name+" }}\n") {
			t.Errorf("%v, and the workflow does not list %s:\n%s", err, name, text)
		}
	}

	t.Log("migrations from secrets: from one of a tenant's own, and from a bundle of all others")
	bundle := map[string]string{}
	for _, tenant := range sandbox.tenants {
		bundle[strings.TrimSuffix(folder(tenant), "/")] = tenant.uri
	}
	value, err := json.Marshal(bundle)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NEON_TENANTS_BUNDLE_1", string(value))
	t.Setenv("ACME_CORP_DATABASE_URL", made.uri)
	job = runAct(t, sandbox, newRepository(t, "migrate-from-secrets.yml"), "push", "--secret", "NEON_TENANTS_BUNDLE_1",
		"--secret", "ACME_CORP_DATABASE_URL")
	job.wants(t, "total", total)
	job.wants(t, "succeeded", total)
	for _, tenant := range sandbox.tenants {
		if version := query[string](t, tenant, "select max(version) from schema_migrations"); version != last {
			t.Errorf("%s is at %s, want %s", tenant.name, version, last)
		}
	}
}

// secretNames lists the repository's secrets, as any client does.
func (s *sandbox) secretNames(t *testing.T) []string {
	t.Helper()
	var list struct{ Secrets []struct{ Name string } }
	s.getGitHub(t, "/actions/secrets?per_page=100", &list)
	var names []string
	for _, secret := range list.Secrets {
		names = append(names, secret.Name)
	}
	slices.Sort(names)
	return names
}
