//go:build e2e

package e2e

import (
	"strconv"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestMigrateInWaves(t *testing.T) {
	servertest.Long(t)
	sandbox := startSandbox(t)
	repository := newRepository(t, "migrate-in-waves.yml")
	total := strconv.Itoa(len(sandbox.tenants))
	artifacts, _ := actArtifacts(t)
	options := append(artifacts, "--input", "pause=1s")

	job := runAct(t, sandbox, repository, "workflow_dispatch", options...)
	job.wants(t, "succeeded", total)
	job.wants(t, "wave-reached", "4")
	for _, want := range []string{
		"reached wave 4, " + total + " migrated, 0 not started", "wave 1 of 4 done (1 succeeded in ", "): pausing 1s until ",
	} {
		if !strings.Contains(job.log, want) {
			t.Errorf("the log does not say %q", want)
		}
	}

	t.Log("with waves that end before the last tenant")
	job = runAct(t, sandbox, repository, "workflow_dispatch", append(options, "--input", "waves=1, 2")...)
	job.wants(t, "unchanged", "2")
	job.wants(t, "skipped", strconv.Itoa(len(sandbox.tenants)-2))
	job.wants(t, "wave-reached", "2")
}

// TestMigrateWavesReviewed runs the jobs that reviewers would let start one by one: act asks nobody.
func TestMigrateWavesReviewed(t *testing.T) {
	servertest.Long(t)
	sandbox := startSandbox(t)
	repository := newRepository(t, "migrate-waves-reviewed.yml")
	n := len(sandbox.tenants)
	tenth := (n + 9) / 10

	artifacts, _ := actArtifacts(t)
	job := runAct(t, sandbox, repository, "push", artifacts...)
	job.wants(t, "total", strconv.Itoa(n)) // the outputs are those of the last job
	job.wants(t, "succeeded", strconv.Itoa(n-tenth))
	job.wants(t, "unchanged", strconv.Itoa(tenth))
	job.wants(t, "skipped", "0")
	job.wants(t, "wave-reached", "1") // of the job before: the last one has no waves
	for wave, done := range []int{1, tenth - 1, n - tenth} {
		want := "wave " + strconv.Itoa(wave+1) + ", " + strconv.Itoa(done) + " migrated, "
		if !strings.Contains(job.log, want) {
			t.Errorf("no job says %q", want)
		}
	}
	for _, tenant := range sandbox.tenants {
		if version := query[string](t, tenant, "select max(version) from schema_migrations"); version != last {
			t.Errorf("%s is at %s, want %s", tenant.name, version, last)
		}
	}
}
