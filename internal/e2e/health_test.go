//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestHealthCheckExample checks a fleet that was migrated and backed up, then again after an out-of-band change.
func TestHealthCheckExample(t *testing.T) {
	sandbox := startSandbox(t)
	total := strconv.Itoa(len(sandbox.tenants))
	workspace := newWorkspace(t, nil)
	env := sandbox.env(t, workspace, "/github/workspace")
	backup := sandbox.bucket("backup")
	backup["s3-prefix"] = "tenants"
	for _, inputs := range []map[string]string{sandbox.migrate(), backup} {
		if run := runStep(t, workspace, inputs, env...); run.exit != 0 {
			t.Fatalf("%s: exit status %d, want 0", inputs["mode"], run.exit)
		}
	}
	repository := newRepository(t, "health-check.yml")
	artifacts, kept := actArtifacts(t)
	job := runAct(t, sandbox, repository, "schedule", append(actStore(t, sandbox, repository), artifacts...)...)
	job.wants(t, "succeeded", total)
	job.wants(t, "failed-tenants", "[]")
	if want := total + " checked, not healthy - 0"; !strings.Contains(job.log, want) {
		t.Errorf("the workflow's last step did not say %q", want)
	}
	if strings.Contains(job.log, "no verified backup") {
		t.Error("the backups were not found")
	}
	page, err := os.ReadFile(filepath.Join(kept, "health-check-page", "neon-tenants-report.html"))
	if want := "<title>health-check: all " + total + " tenants"; err != nil || !strings.Contains(string(page), want) {
		t.Errorf("the page lacks %q: %v", want, err)
	}

	changed := sandbox.tenants[1]
	changed.exec(t, "alter table users add column extra integer")
	inputs := sandbox.migrate()
	inputs["mode"] = "health-check"
	run := runStep(t, workspace, inputs)
	failed, _ := json.Marshal([]string{changed.name})
	run.wants(t, "failed", "1")
	run.wants(t, "failed-tenants", string(failed))
	if run.exit == 0 || !strings.Contains(run.summary, "```diff\n+ column users.extra integer\n```") {
		t.Errorf("exit status %d, and the summary\n%s", run.exit, run.summary)
	}
	run.keeps(t, sandbox.secrets(t))
}
