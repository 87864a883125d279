//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// TestCancelledBackup cancels while one tenant's pg_dump waits for a table's lock and another's is in the middle of its
// data, part of which is uploaded; the other tenants are done. GitHub sends SIGINT, and SIGTERM 7.5 s later; a machine
// that shuts down sends SIGTERM.
func TestCancelledBackup(t *testing.T) {
	servertest.Long(t)
	sandbox := startSandbox(t)
	store := sandbox.store(t)
	workspace := t.TempDir()
	env := sandbox.env(t, workspace, "/github/workspace")
	sandbox.fill(t)
	locked, slow := sandbox.tenants[0], sandbox.tenants[1]
	stuck := []string{locked.name, slow.name}
	slices.Sort(stuck)
	// More data than fits into one part, and incompressible; then a table whose rows take a minute each, because the
	// policy's condition is evaluated for each.
	slow.exec(t, `create table large as select i / 30, string_agg(md5(random()::text), '')
		from generate_series(1, 900000) i group by 1;
		create table slow (i int); insert into slow select generate_series(1, 100);
		alter table slow enable row level security; alter table slow force row level security;
		create policy slowly on slow using (pg_sleep(60) is not null)`)
	var old []string
	for _, tenant := range sandbox.tenants {
		old = append(old, store.old(t, tenant, "--enable-row-security")...)
	}
	kept := slices.DeleteFunc(slices.Clone(old), func(key string) bool {
		return !strings.HasPrefix(key, folder(locked)) && !strings.HasPrefix(key, folder(slow))
	})
	slices.Sort(kept)
	inputs := sandbox.bucket("backup")
	inputs["pg-dump-args"] = "--enable-row-security" // otherwise pg_dump refuses a policy that hides rows
	release := locked.lock(t, "customers")

	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			before := store.keys(t)
			step := startStep(t, workspace, inputs, env...)
			eventually(t, 50*time.Second, "both pg_dump are where they hang, and the others are done", func() bool {
				done := 0
				for _, key := range store.keys(t) {
					if strings.HasSuffix(key, ".json") && !slices.Contains(before, key) {
						done++
					}
				}
				parts := 0
				for key, n := range store.parts(t) {
					if strings.HasPrefix(key, folder(slow)) {
						parts = n
					}
				}
				return done == len(sandbox.tenants)-2 && parts > 0 &&
					query[int](t, locked, sessions+" and wait_event_type = 'Lock'") == 1 &&
					query[int](t, slow, sessions+" and wait_event = 'PgSleep'") == 1
			})
			dumps := step.wantCleanProcesses(t, sandbox)

			cancelled := time.Now()
			if err := step.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			run := step.wait(t, 30*time.Second)
			took := time.Since(cancelled)
			t.Logf("ended %.1f s after %v", took.Seconds(), signal)
			if took > 7*time.Second {
				t.Errorf("the step went on for %s after %v", took, signal)
			}
			if run.exit == 0 || run.summary == "" || run.report.Error == nil {
				t.Errorf("a cancelled run must say so; got status %d, a summary of %d bytes, error %v", run.exit,
					len(run.summary), run.report.Error)
			}
			run.wants(t, "total", strconv.Itoa(len(sandbox.tenants)))
			run.wants(t, "succeeded", strconv.Itoa(len(sandbox.tenants)-2))
			if failed := run.failedTenants(t); !slices.Equal(failed, stuck) {
				t.Errorf("failed are %q, want %q", failed, stuck)
			}
			run.keeps(t, sandbox.secrets(t))

			if left := step.containers(t, "--all"); len(left) > 0 {
				t.Errorf("containers are left: %v", left)
			}
			for _, pid := range dumps {
				name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
				if strings.TrimSpace(string(name)) == "pg_dump" {
					t.Errorf("the pg_dump with process id %s is left", pid)
				}
			}
			for _, tenant := range []tenant{locked, slow} {
				eventually(t, 10*time.Second, tenant.name+"'s server has no session of the run",
					func() bool { return query[int](t, tenant, sessions) == 0 })
			}
			if left := store.parts(t); len(left) > 0 {
				t.Errorf("unfinished uploads, with their parts: %v", left)
			}
			has := append(store.under(t, folder(locked)), store.under(t, folder(slow))...)
			if !slices.Equal(has, kept) {
				t.Errorf("the cancelled tenants have %v, want what was there before, %v", has, kept)
			}
		})
	}

	t.Log("the next run backs up the two, and only now prunes")
	release()
	slow.exec(t, "drop policy slowly on slow; drop table slow")
	run := runStep(t, workspace, inputs, env...)
	if run.exit != 0 {
		t.Errorf("exit status %d, want 0", run.exit)
	}
	run.wants(t, "succeeded", strconv.Itoa(len(sandbox.tenants)))
	for _, tenant := range []tenant{locked, slow} {
		key := detail[backupDetail](t, run, tenant.name).Key
		store.wantBackup(t, tenant, key)
		if has := store.under(t, folder(tenant)); !slices.Equal(has, []string{key, key + ".json"}) {
			t.Errorf("%s has %v, want %s and its manifest", tenant.name, has, key)
		}
	}
}

// sessions counts a tenant's sessions except those of this test.
const sessions = "select count(*) from pg_stat_activity where datname = current_database() " +
	"and backend_type = 'client backend' " +
	"and pid <> pg_backend_pid() and application_name <> 'holds a lock'"

// folder is a tenant's folder in the bucket, without a prefix.
func folder(tenant tenant) string {
	return strings.ToLower(strings.ReplaceAll(tenant.name, " ", "-")) + "/"
}

// lock blocks all access to a table until release is called or the test ends.
func (tn tenant) lock(t *testing.T, table string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), tn.uri)
	if err != nil {
		t.Fatal(err)
	}
	release = func() { _ = conn.Close(context.WithoutCancel(t.Context())) }
	t.Cleanup(release)
	for _, sql := range []string{"set application_name = 'holds a lock'", "begin",
		"lock table " + table + " in access exclusive mode"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return release
}
