package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// throughProxy puts a proxy that can be broken in front of a URL's server.
func throughProxy(t *testing.T, text string) (string, *toxiproxy.Proxy) {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	quiet := zerolog.Nop()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), quiet)
	proxy := toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", u.Host)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	u.Host = proxy.Listen
	return u.String(), proxy
}

// slow is a file that tells by an advisory lock that it runs, then sleeps.
const slow = "create table half (i int);\nselect pg_advisory_lock(4711);\nselect pg_sleep(60);"

// holder is the server process that runs the slow file in this database; the server is shared with other tests.
const holder = "select pid from pg_locks where locktype = 'advisory' and objid = 4711 and granted " +
	"and database = (select oid from pg_database where datname = current_database())"

// whileItRuns migrates in the background, waits until the slow statement runs, does something, and returns the outcome and
// how long it took from then on.
func whileItRuns(t *testing.T, ctx context.Context, direct, url string, m *postgres.Migrations, what func()) (postgres.Migrated, error, time.Duration) {
	t.Helper()
	type outcome struct {
		m   postgres.Migrated
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		got, err := migrate(ctx, url, m, options())
		done <- outcome{got, err}
	}()
	waitFor(t, func() bool {
		return len(ask(t, direct, "select pid::text from ("+holder+") h")) == 1
	})
	what()
	began := time.Now()
	select {
	case o := <-done:
		return o.m, o.err, time.Since(began)
	case <-time.After(20 * time.Second):
		t.Fatal("still running after 20 s")
		return postgres.Migrated{}, nil, 0
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
			proxied, proxy := throughProxy(t, direct)
			m := files(t, "1_a.sql", up("create table a (i int)"), "2_slow.sql", c.file)
			got, err, _ := whileItRuns(t, t.Context(), direct, proxied, m, proxy.Stop)
			var failure *postgres.MigrationError
			if !errors.As(err, &failure) || !strings.Contains(err.Error(), "db/migrations/2_slow.sql: the connection was lost while it ran") {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(failure.Remedy(), c.remedy) {
				t.Errorf("remedy: %s", failure.Remedy())
			}
			equal(t, "applied", appliedFiles(got), []string{"1_a.sql"})
			equal(t, "recorded", recorded(t, direct), []string{"1"})
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
	var failure *postgres.MigrationError
	if !errors.As(err, &failure) {
		t.Fatalf("got %v", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "recorded", recorded(t, direct), []string{"1"})
	equal(t, "half done", ask(t, direct, "select coalesce(to_regclass('half')::text, 'none')"), []string{"none"})

	// What was lost is made up for by the next run, once.
	got, err := migrate(t.Context(), direct, files(t, "1_a.sql", up("create table a (i int)"), "2_slow.sql", up("create table half (i int)")), options())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "made up for", appliedFiles(got), []string{"2_slow.sql"})
}

func TestBackendTerminatedMidMigration(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	m := files(t, "1_slow.sql", up(slow))
	_, err, _ := whileItRuns(t, t.Context(), direct, direct, m, func() {
		do(t, direct, "select pg_terminate_backend(pid) from ("+holder+") h")
	})
	if err == nil || !strings.Contains(err.Error(), "57P01") {
		t.Fatalf("got %v", err)
	}
	equal(t, "half done", ask(t, direct, "select coalesce(to_regclass('half')::text, 'none')"), []string{"none"})
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
	waitFor(t, func() bool {
		return len(ask(t, direct, "select pid::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")) == 0
	})
	equal(t, "half done", ask(t, direct, "select coalesce(to_regclass('half')::text, 'none')"), []string{"none"})
}

// Where the network is gone too, a cancel does not wait for the server's word for long.
func TestCancelWithoutNetwork(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	proxied, proxy := throughProxy(t, direct)
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
	do(t, direct, "select pg_terminate_backend(pid) from ("+holder+") h")
}

func TestCancelBeforeAndWhileConnecting(t *testing.T) {
	t.Parallel()
	// A listener that never answers stands for a compute that does not wake.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	target := "postgres://u:p@" + mute.Addr().String() + "/d?sslmode=require"

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := postgres.Connect(gone, target, postgres.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("before: got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = postgres.Connect(ctx, target, postgres.Options{})
	var refused *postgres.ConnectError
	if !errors.As(err, &refused) || time.Since(began) > 5*time.Second {
		t.Errorf("while: got %v after %s", err, time.Since(began))
	}
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

// A server that starts while we knock is waited for; one that refuses our password is not.
func TestConnectWaitsForAServerToStart(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	direct, err := server.CreateTenant(t.Context(), "tenant", "p@ss:/%word", "tenant")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	restarted := make(chan error, 1)
	time.AfterFunc(time.Second, func() { restarted <- server.Restart(context.Background()) })
	c, err := postgres.Connect(t.Context(), direct, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	for name, url := range map[string]string{
		"password": server.TenantURL("tenant", "wrong", "tenant"),
		"database": server.TenantURL("tenant", "p@ss:/%word", "nowhere"),
	} {
		_, err := postgres.Connect(t.Context(), url, postgres.Options{})
		var refused *postgres.ConnectError
		if !errors.As(err, &refused) || refused.Remedy() == "" {
			t.Errorf("%s: got %v", name, err)
		}
		if strings.Contains(fmt.Sprint(err), "wrong") && name == "password" && strings.Contains(fmt.Sprint(err), "wrong@") {
			t.Errorf("the password is shown: %v", err)
		}
	}
	if time.Since(began) > 10*time.Second {
		t.Errorf("final refusals took %s", time.Since(began))
	}
}
