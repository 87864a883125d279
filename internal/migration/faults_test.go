package migration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// slow is a migration that takes an advisory lock to show that it runs, then sleeps.
const slow = "create table half (i int);\nselect pg_advisory_lock(4711);\nselect pg_sleep(60);"

// holder finds the server process that runs the slow migration in this database; other tests share the server.
const holder = "select pid from pg_locks where locktype = 'advisory' and objid = 4711 and granted " +
	"and database = (select oid from pg_database where datname = current_database())"

// nothingHalfDone fails if the slow migration has left its table behind.
func nothingHalfDone(t *testing.T, url string) {
	t.Helper()
	servertest.Equal(t, "half done", pgtest.Ask(t, url, "select coalesce(to_regclass('half')::text, 'none')"),
		[]string{"none"})
}

// whileItRuns migrates in the background, waits until the slow statement runs, and interferes. It returns the outcome,
// and how long it took from then on.
func whileItRuns(
	t *testing.T, ctx context.Context, direct, url string, m *migration.Files, interfere func(),
) (migration.Result, error, time.Duration) {
	t.Helper()
	o := options()
	if m.RecordsContents() {
		o = drizzle()
	}
	type outcome struct {
		m   migration.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		got, err := migrate(ctx, url, m, o)
		done <- outcome{got, err}
	}()
	servertest.WaitFor(t, func() bool {
		return len(pgtest.Ask(t, direct, "select pid::text from ("+holder+") h")) == 1
	})
	interfere()
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
	for name, c := range map[string]struct {
		file   string
		cause  postgres.Cause
		remedy string
	}{
		"in a transaction": {up(slow), migration.ConnectionLost, "never applied twice"},
		"outside of one": {
			alone("select pg_sleep(60) from (select pg_advisory_lock(4711)) l"),
			migration.LostOutsideTransaction, "look at the tenant",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := pgtest.Database(t)
			proxied, proxy := wiretest.Breakable(t, direct)
			m := files(t, "1_a.sql", up("create table a (i int)"), "2_slow.sql", c.file)
			got, err, _ := whileItRuns(t, t.Context(), direct, proxied, m, proxy.Stop)
			var failure *migration.Error
			const text = "db/migrations/2_slow.sql: the connection was lost while it ran"
			if !errors.As(err, &failure) || !strings.Contains(err.Error(), text) {
				t.Fatalf("got %v", err)
			}
			if failure.Cause() != c.cause || !strings.Contains(remedies.Of(err), c.remedy) {
				t.Errorf("%s, remedy: %s", failure.Cause(), remedies.Of(err))
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
	nothingHalfDone(t, direct)

	// The next run applies what was lost, once.
	m = files(t, "1_a.sql", up("create table a (i int)"), "2_slow.sql", up("create table half (i int)"))
	got, err := migrate(t.Context(), direct, m, options())
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "applied by the next run", appliedFiles(got), []string{"2_slow.sql"})
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
	nothingHalfDone(t, direct)
}

// A cancel reaches the statement on the server, not only our end of the connection.
func TestCancelReachesTheStatement(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	m := files(t, "1_slow.sql", up(slow))
	_, err, took := whileItRuns(t, ctx, direct, direct, m, func() { cancel(errors.New("enough")) })
	if err == nil || !strings.Contains(err.Error(), "57014") {
		t.Fatalf("got %v", err)
	}
	if took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	servertest.WaitFor(t, func() bool {
		return len(pgtest.Ask(t, direct, "select pid::text from pg_stat_activity "+
			"where datname = current_database() and pid <> pg_backend_pid()")) == 0
	})
	nothingHalfDone(t, direct)
}

// Of files that are committed together, a cancel leaves none, and the next run goes on after what was before them.
func TestDrizzleCancelled(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	with := func(last string) *migration.Files {
		return journaled(t, []any{10, "a", 30, "b", 20, "c"}, "create table a ()", "create table b ()", last)
	}
	got, err, _ := whileItRuns(t, ctx, url, url, with(slow), cancel)
	if err == nil {
		t.Fatal("no error")
	}
	servertest.Equal(t, "applied", appliedFiles(got), []string{"a.sql"})
	servertest.Equal(t, "pending", got.Pending, []string{"b.sql", "c.sql"})
	nothingHalfDone(t, url)
	servertest.Equal(t, "rows", rows(t, url), []string{"1 " + hash8("create table a ()") + " 10"})
	got, err = migrate(t.Context(), url, with(""), drizzle())
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "applied by the next run", appliedFiles(got), []string{"b.sql", "c.sql"})
}

// If the network is gone too, a cancel does not wait long for the server's answer.
func TestCancelWithoutNetwork(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	proxied, proxy := wiretest.Breakable(t, direct)
	ctx, cancel := context.WithCancel(t.Context())
	_, err, took := whileItRuns(t, ctx, direct, proxied, files(t, "1_slow.sql", up(slow)), func() {
		for _, way := range []string{"upstream", "downstream"} {
			// A timeout of 0 passes nothing on and never closes the connection.
			toxic := fmt.Sprintf(
				`{"type": "timeout", "attributes": {"timeout": 0}, "stream": %q, "name": %q}`, way, way)
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
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

// What the role's settings do to a file is not blamed on the file, and the remedy is one that helps.
func TestSettingsOfTheRole(t *testing.T) {
	for name, c := range map[string]struct {
		setting, sql string
		cause        postgres.Cause
		remedied     string
	}{
		"statement_timeout": {"statement_timeout = 50", "select pg_sleep(0.5)", migration.TimeOut,
			"set statement_timeout = 0; select pg_sleep(0.5)"},
		"read-only": {"lock_timeout = 0", "set transaction read only; create table a ()", migration.ReadOnly,
			"create table a ()"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			if _, err := migrate(t.Context(), url, files(t, "1_a.sql", up("select 1")), options()); err != nil {
				t.Fatal(err)
			}
			pgtest.Do(t, url, "alter role current_user set "+c.setting)
			_, err := migrate(t.Context(), url, files(t, "1_a.sql", up("select 1"), "2_b.sql", up(c.sql)), options())
			if causeOf(t, err) != c.cause || remedies.Of(err) == "" {
				t.Errorf("got %v", err)
			}
			m := files(t, "1_a.sql", up("select 1"), "2_b.sql", up(c.remedied))
			if _, err := migrate(t.Context(), url, m, options()); err != nil {
				t.Errorf("with the remedy: %v", err)
			}
		})
	}
}

// Whether a baseline was recorded is not known if the connection breaks at its commit: the error says which versions
// those are.
func TestConnectionCutWhileTheBaselineIsRecorded(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	proxied, proxy := wiretest.Breakable(t, direct)
	pgtest.Do(t, direct, "create table schema_migrations (version varchar(128) primary key); create function wait() "+
		"returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(4711), pg_sleep(60); return null; end $$"+
		"; create constraint trigger wait after insert on schema_migrations deferrable initially deferred for each row "+
		"execute function wait()")
	m := files(t, "1_a.sql", up("create table a (i int)"), "2_b.sql", up("create table b (i int)"))
	done := make(chan error, 1)
	go func() {
		_, err := migrate(t.Context(), proxied, m, adopting("2", nil))
		done <- err
	}()
	servertest.WaitFor(t, func() bool {
		return len(done) > 0 || len(pgtest.Ask(t, direct, "select pid::text from ("+holder+") h")) == 1
	})
	proxy.Stop()
	err := <-done
	var lost *migration.LostBaselineError
	if !errors.As(err, &lost) {
		t.Fatalf("got %v", err)
	}
	servertest.Equal(t, "in doubt", lost.Versions, []string{"1", "2"})
}
