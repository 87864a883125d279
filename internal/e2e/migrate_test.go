//go:build e2e

package e2e

import (
	"encoding/json"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// last is the newest version in migrations/example.
const last = "20250101090200"

// TestMigrateAsTheRunnerStartsIt takes a fleet through three runs: one tenant's first migration fails, the tenant is
// repaired, and then nothing is left to do.
func TestMigrateAsTheRunnerStartsIt(t *testing.T) {
	sandbox := startSandbox(t)
	workspace := newWorkspace(t, nil)
	inputs := sandbox.migrate()
	total := len(sandbox.tenants)
	broken := sandbox.tenants[1]
	broken.exec(t, "create table users (by_hand text)")

	t.Log("first run: one tenant fails, the others are migrated")
	run := runStep(t, workspace, inputs)
	if run.exit == 0 {
		t.Error("a run with a failed tenant ended with 0")
	}
	run.wants(t, "total", strconv.Itoa(total))
	run.wants(t, "succeeded", strconv.Itoa(total-1))
	run.wants(t, "failed", "1")
	run.wants(t, "unchanged", "0")
	run.wants(t, "skipped", "0")
	failed, _ := json.Marshal([]string{broken.name})
	run.wants(t, "failed-tenants", string(failed))
	run.wants(t, "report-file", "neon-tenants-report.json")
	if run.report.Version == 0 || len(run.report.Tenants) != total || run.report.Totals["failed"] != 1 {
		t.Errorf("the report has version %d, %d tenants, totals %v", run.report.Version, len(run.report.Tenants),
			run.report.Totals)
	}
	for place, text := range map[string]string{"summary": run.summary, "log": run.log, "report": run.reportText} {
		if !strings.Contains(text, broken.name) || !strings.Contains(text, "42P07") {
			t.Errorf("the %s does not say that %s failed with SQLSTATE 42P07", place, broken.name)
		}
	}
	if !strings.Contains(run.log, "::error ") {
		t.Error("there is no annotation for the failed tenant")
	}
	run.keeps(t, sandbox.secrets(t))
	for _, tenant := range sandbox.tenants {
		if tenant == broken {
			continue
		}
		if version := query[string](t, tenant, "select max(version) from schema_migrations"); version != last {
			t.Errorf("%s is at %s, want %s", tenant.name, version, last)
		}
	}

	t.Log("second run: the tenant is repaired, the others are left alone")
	broken.exec(t, "drop table users")
	run = runStep(t, workspace, inputs)
	if run.exit != 0 {
		t.Errorf("exit status %d, want 0", run.exit)
	}
	run.wants(t, "succeeded", "1")
	run.wants(t, "unchanged", strconv.Itoa(total-1))
	run.wants(t, "failed-tenants", "[]")

	t.Log("third run: nothing to do")
	run = runStep(t, workspace, inputs)
	if run.exit != 0 {
		t.Errorf("exit status %d, want 0", run.exit)
	}
	run.wants(t, "unchanged", strconv.Itoa(total))
	run.keeps(t, sandbox.secrets(t))
}

// TestCancelWhileAMigrationHangs cancels as GitHub does: it sends SIGINT to the container's client. The runner sends
// SIGTERM 7.5 s later, and leaves a container that ignores both running forever.
func TestCancelWhileAMigrationHangs(t *testing.T) {
	sandbox := startSandbox(t)
	workspace := newWorkspace(t, map[string]string{
		"20250101090300_hang.sql": "-- migrate:up\ncreate table half_done ();\nselect pg_sleep(600);\n\n" +
			"-- migrate:down\n",
	})
	const sleeping = "select count(*) from pg_stat_activity " +
		"where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()"
	inputs := sandbox.migrate()

	step := startStep(t, workspace, inputs)
	for _, tenant := range sandbox.tenants {
		eventually(t, time.Minute, tenant.name+" hangs in the migration",
			func() bool { return query[int](t, tenant, sleeping) == 1 })
	}
	cancelled := time.Now()
	if err := step.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	run := step.wait(t, 30*time.Second)
	took := time.Since(cancelled)
	t.Logf("gone %.1f s after SIGINT", took.Seconds())
	if took > 7*time.Second {
		t.Errorf("the step went on for %s after SIGINT", took)
	}
	if run.exit == 0 {
		t.Error("a cancelled run ended with 0")
	}
	if run.summary == "" || run.report.Error == nil {
		t.Errorf("a cancelled run says so: summary of %d bytes, error %v", len(run.summary), run.report.Error)
	}
	run.wants(t, "total", strconv.Itoa(len(sandbox.tenants)))
	run.wants(t, "succeeded", "0")
	run.keeps(t, sandbox.secrets(t))
	for _, tenant := range sandbox.tenants {
		eventually(t, 10*time.Second, tenant.name+"'s session is gone",
			func() bool { return query[int](t, tenant, sleeping) == 0 })
		if query[bool](t, tenant, "select to_regclass('half_done') is not null") {
			t.Errorf("%s: the cancelled migration was not rolled back", tenant.name)
		}
		if version := query[string](t, tenant, "select max(version) from schema_migrations"); version != last {
			t.Errorf("%s is at %s, want the last good version %s", tenant.name, version, last)
		}
	}

	t.Log("the next run, without the hanging migration, is blocked by no lock")
	run = runStep(t, newWorkspace(t, nil), inputs)
	if run.exit != 0 {
		t.Errorf("exit status %d, want 0", run.exit)
	}
	run.wants(t, "unchanged", strconv.Itoa(len(sandbox.tenants)))
}

// TestMistakesInInputs makes two mistakes at once, with an API that does not answer: both are reported, and no call is
// made.
func TestMistakesInInputs(t *testing.T) {
	run := runStep(t, newWorkspace(t, nil), map[string]string{
		"mode": "migrat", "concurrency": "many", "neon-api-key": "napi_key", "neon-api-url": "http://127.0.0.1:1",
	})
	if run.exit == 0 {
		t.Error("exit status 0")
	}
	for _, want := range []string{"migrat", "migrate", "concurrency", "many"} {
		if !strings.Contains(run.log, want) {
			t.Errorf("the log does not name %q", want)
		}
	}
	if strings.Contains(run.log, "connection refused") {
		t.Error("the network was asked before the inputs were right")
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, patience time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %s: %s", patience, what)
		}
	}
}
