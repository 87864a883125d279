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

	"github.com/org/neon-tenants-action/internal/servertest"
)

// TestMigrateSharded runs the jobs that list a fleet, migrate it in shards and merge the reports, and then the one that
// undoes it. A folder stands in for GitHub's artifacts.
func TestMigrateSharded(t *testing.T) {
	servertest.Long(t)
	sandbox := startSandbox(t)
	repository := newRepository(t, "migrate-sharded.yml")
	total := strconv.Itoa(len(sandbox.tenants))
	artifacts, _ := actArtifacts(t)
	options := append(slices.Clone(artifacts), "--input", "shards=3")

	job := runAct(t, sandbox, repository, "workflow_dispatch", options...)
	job.wants(t, "total", total) // the output of the job that ends last
	job.wants(t, "succeeded", total)
	job.wants(t, "failed-tenants", "[]")
	job.wants(t, "matrix", `{"shard":["1/3","2/3","3/3"]}`)
	var listed []struct{ Name, ID string }
	if err := json.Unmarshal([]byte(job.outputs["tenants"]), &listed); err != nil ||
		len(listed) != len(sandbox.tenants) {
		t.Errorf("the tenants are %s: %v", job.outputs["tenants"], err)
	}
	for _, tenant := range sandbox.tenants {
		if version := query[string](t, tenant, "select max(version) from schema_migrations"); version != last {
			t.Errorf("%s is at %s, want %s", tenant.name, version, last)
		}
	}
	if want := total + " tenants, failed - 0"; !strings.Contains(job.log, want) {
		t.Errorf("the workflow's last step did not say %q", want)
	}
	for _, shard := range []string{"shard 1/3: ", "shard 2/3: ", "shard 3/3: "} {
		if !strings.Contains(job.log, shard) {
			t.Errorf("the merged report does not list %q", shard)
		}
	}

	// act gives every run the id 1.
	back := append(artifacts, "--input", "run-id=1", "--input", "tenants=*")
	repository = newRepository(t, "undo-by-hand.yml")

	t.Log("an undo with the form's defaults: a dry run")
	undo := runAct(t, sandbox, repository, "workflow_dispatch", back...)
	undo.wants(t, "total", total)
	undo.wants(t, "failed", "0")
	for _, tenant := range sandbox.tenants {
		if version := query[string](t, tenant, "select max(version) from schema_migrations"); version != last {
			t.Errorf("after the dry run %s is at %s, want %s", tenant.name, version, last)
		}
	}

	t.Log("an undo")
	undo = runAct(t, sandbox, repository, "workflow_dispatch", append(back, "--input", "dry-run=false")...)
	undo.wants(t, "succeeded", total)
	undo.wants(t, "failed", "0")
	if want := total + " taken back, 0 were so already, failed - 0"; !strings.Contains(undo.log, want) {
		t.Errorf("the workflow's last step did not say %q", want)
	}
	for _, tenant := range sandbox.tenants {
		if gone := query[bool](t, tenant, "select to_regclass('schema_migrations') is null"); !gone {
			t.Errorf("%s was not taken back", tenant.name)
		}
		if all := sandbox.branches(t, tenant); !slices.ContainsFunc(all,
			func(b branch) bool { return b.Name == "undone/1" }) {
			t.Errorf("what %s was is not kept: it has the branches %+v", tenant.name, all)
		}
	}
}

// standIns are GitHub's actions that come from the network, by the path of their file in a folder for each repository.
var standIns = map[string]map[string]string{
	"actions/upload-artifact@v7": {"action.yml": `inputs: {name: {}, path: {}, overwrite: {}, retention-days: {}}
runs:
  using: composite
  steps:
    - shell: bash
      run: mkdir -p -m 777 "/artifacts/${{ inputs.name }}" && cp "${{ inputs.path }}" "/artifacts/${{ inputs.name }}/"
`},
	"actions/download-artifact@v8": {"action.yml": `inputs: {pattern: {}, path: {}, run-id: {}, github-token: {}}
runs:
  using: composite
  steps:
    - shell: bash
      run: mkdir -p "${{ inputs.path }}" && cp -r /artifacts/${{ inputs.pattern }} "${{ inputs.path }}/"
`},
	// For a step that names a ref. act has the others copy the repository, which here has to be bound.
	"actions/checkout@v7": {"action.yml": `inputs: {ref: {}}
runs:
  using: composite
  steps:
    - shell: bash
      run: ls db/migrations
`},
	"actions/cache@v5": {"restore/action.yml": `inputs: {path: {}, key: {}, restore-keys: {}}
runs:
  using: composite
  steps:
    - shell: bash
      run: cp "/artifacts/cache-${{ inputs.restore-keys }}" "${{ inputs.path }}" || echo "no cache"
`, "save/action.yml": `inputs: {path: {}, key: {}}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        key="${{ inputs.key }}"
        cp "${{ inputs.path }}" "/artifacts/cache-${key%-*-*}-"
`},
}

// actArtifacts returns the options that replace GitHub's actions for artifacts and caches by a folder, in which each
// artifact is one too.
func actArtifacts(t *testing.T) (options []string, folder string) {
	t.Helper()
	dir := t.TempDir()
	folder = filepath.Join(dir, "kept")
	options = []string{"--container-options", "--volume " + folder + ":/artifacts"}
	for repository, files := range standIns {
		at := filepath.Join(dir, filepath.Base(repository))
		for path, body := range files {
			path = filepath.Join(at, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			text := "name: stand-in\ndescription: stands in for GitHub's.\n" + body
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		options = append(options, "--local-repository", repository+"="+at)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return options, folder
}
