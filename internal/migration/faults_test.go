package migration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// slow is a file that tells by an advisory lock that it runs, then sleeps.
const slow = "create table half (i int);\nselect pg_advisory_lock(4711);\nselect pg_sleep(60);"

// holder is the server process that runs the slow file in this database; the server is shared with other tests.
const holder = "select pid from pg_locks where locktype = 'advisory' and objid = 4711 and granted " +
	"and database = (select oid from pg_database where datname = current_database())"

// whileItRuns migrates in the background, waits until the slow statement runs, does something, and returns the outcome and
// how long it took from then on.
func whileItRuns(t *testing.T, ctx context.Context, direct, url string, m *migration.Files, what func()) (migration.Result, error, time.Duration) {
	t.Helper()
	type outcome struct {
		m   migration.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		got, err := migrate(ctx, url, m, options())
		done <- outcome{got, err}
	}()
	servertest.WaitFor(t, func() bool {
		return len(pgtest.Ask(t, direct, "select pid::text from ("+holder+") h")) == 1
	})
	what()
	began := time.Now()
	select {
	case o := <-done:
		return o.m, o.err, time.Since(began)
	case <-time.After(20 * time.Second):
		t.Fatal("still running after 20 s")
		return migration.Result{}, nil, 0
	}
}

func TestConnectionCutMidMigration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, remedy string }{
		"in a transaction": {up(slow), "never applied twice"},
		"outside of one":   {"-- migrate:up transaction:false\nselect pg_sleep(60) from (select pg_advisory_lock(4711)) l\n-- migrate:down\n", "look at the tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := pgtest.Database(t)
			proxied, proxy := wiretest.Breakable(t, direct)
			m := files(t, "1_a.sql", up("create table a (i int)"), "2_slow.sql", c.file)
			got, err, _ := whileItRuns(t, t.Context(), direct, proxied, m, proxy.Stop)
			var failure *migration.Error
			if !errors.As(err, &failure) || !strings.Contains(err.Error(), "db/migrations/2_slow.sql: the connection was lost while it ran") {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(failure.Remedy(), c.remedy) {
				t.Errorf("remedy: %s", failure.Remedy())
			}
			servertest.Equal(t, "applied", appliedFiles(got), []string{"1_a.sql"})
			servertest.Equal(t, "recorded", recorded(t, direct), []string{"1"})
		})
	}
}

func TestServerKilledMidMigration(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start(t.Context(), pgtest.Options{Settings: map[string]string{"synchronous_commit": "on"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	direct, err := server.CreateTenant(t.Context(), "tenant", "pass word", "tenant")
	if err != nil {
		t.Fatal(err)
	}
	m := files(t, "1_a.sql", up("create table a (i int)"), "2_slow.sql", up(slow))
	_, err, _ = whileItRuns(t, t.Context(), direct, direct, m, func() {
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
	})
	var failure *migration.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "recorded", recorded(t, direct), []string{"1"})
	servertest.Equal(t, "half done", pgtest.Ask(t, direct, "select coalesce(to_regclass('half')::text, 'none')"), []string{"none"})

	// What was lost is made up for by the next run, once.
	got, err := migrate(t.Context(), direct, files(t, "1_a.sql", up("create table a (i int)"), "2_slow.sql", up("create table half (i int)")), options())
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "made up for", appliedFiles(got), []string{"2_slow.sql"})
}

func TestBackendTerminatedMidMigration(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	m := files(t, "1_slow.sql", up(slow))
	_, err, _ := whileItRuns(t, t.Context(), direct, direct, m, func() {
		pgtest.Do(t, direct, "select pg_terminate_backend(pid) from ("+holder+") h")
	})
	if err == nil || !strings.Contains(err.Error(), "57P01") {
		t.Fatalf("got %v", err)
	}
	servertest.Equal(t, "half done", pgtest.Ask(t, direct, "select coalesce(to_regclass('half')::text, 'none')"), []string{"none"})
}

// A cancel reaches the statement on the server, not only our end of the connection.
func TestCancelReachesTheStatement(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err, took := whileItRuns(t, ctx, direct, direct, files(t, "1_slow.sql", up(slow)), func() { cancel(errors.New("enough")) })
	if err == nil || !strings.Contains(err.Error(), "57014") {
		t.Fatalf("got %v", err)
	}
	if took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	servertest.WaitFor(t, func() bool {
		return len(pgtest.Ask(t, direct, "select pid::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")) == 0
	})
	servertest.Equal(t, "half done", pgtest.Ask(t, direct, "select coalesce(to_regclass('half')::text, 'none')"), []string{"none"})
}

// Where the network is gone too, a cancel does not wait for the server's word for long.
func TestCancelWithoutNetwork(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	proxied, proxy := wiretest.Breakable(t, direct)
	ctx, cancel := context.WithCancel(t.Context())
	_, err, took := whileItRuns(t, ctx, direct, proxied, files(t, "1_slow.sql", up(slow)), func() {
		for _, way := range []string{"upstream", "downstream"} {
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf( // timeout 0 lets nothing through and never closes
				`{"type": "timeout", "attributes": {"timeout": 0}, "stream": %q, "name": %q}`, way, way))); err != nil {
				t.Error(err)
			}
		}
		cancel()
	})
	if err == nil {
		t.Fatal("no error")
	}
	if took > 6*time.Second {
		t.Errorf("took %s", took)
	}
	pgtest.Do(t, direct, "select pg_terminate_backend(pid) from ("+holder+") h")
}

func TestCancelWhileWaitingForTheLock(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	m := files(t, "1_slow.sql", up(slow))
	first, stopFirst := context.WithCancel(t.Context())
	defer stopFirst()
	_, err, _ := whileItRuns(t, first, direct, direct, m, func() {
		second, stopSecond := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer stopSecond()
		_, err := migrate(second, direct, m, options())
		if err == nil || !strings.Contains(err.Error(), "enough") {
			t.Errorf("second: got %v", err)
		}
		stopFirst()
	})
	if err == nil {
		t.Error("first: no error")
	}
}
