package migration_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// Many runs migrate one database at the same time, some of them late: each migration is run once.
func TestConcurrentRuns(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t,
		"1_a.sql", up("create table log (t text);"),
		"2_b.sql", up("insert into log values ('b'); select pg_sleep(0.3)"),
		"3_c.sql", alone("insert into log values ('c')"))
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 8 {
		wg.Go(func() {
			got, err := migrate(t.Context(), url, m, options())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += len(got.Applied)
		})
	}
	wg.Wait()
	servertest.Equal(t, "applied in all", total, 3)
	servertest.Equal(t, "log", pgtest.Ask(t, url, "select t from log order by t"), []string{"b", "c"})
}

func TestLockHeldTooLong(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t, "1_a.sql", up("select pg_sleep(30)"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _, _ = migrate(ctx, url, m, options()) }()
	servertest.WaitFor(t, func() bool {
		return len(pgtest.Ask(t, url, "select pid::text from pg_locks where locktype = 'advisory' "+
			"and database = (select oid from pg_database where datname = current_database())")) == 1
	})
	o := options()
	o.LockTimeout = 300 * time.Millisecond
	_, err := migrate(t.Context(), url, m, o)
	var lock *migration.LockError
	const text = "another run holds the migration lock (server process "
	if !errors.As(err, &lock) || !strings.Contains(err.Error(), text) ||
		!strings.Contains(err.Error(), ", neon-tenants-action, connected for ") {
		t.Errorf("got %v", err)
	}
	cancel()
	<-done
}

// afterOneTry returns once another session has waited for this one's lock on the table busy and given up, or at the end
// of the test.
func afterOneTry(conn *pgx.Conn, over <-chan struct{}) {
	for _, waiting := range []string{"1", "0"} {
		var now string
		for now != waiting {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
			}
			_ = conn.QueryRow(context.Background(), "select count(*)::text from pg_locks "+
				"where relation = 'busy'::regclass and not granted").Scan(&now)
		}
	}
}

// A migration that meets another session's table lock is rolled back and retried, and never leaves half of its work.
func TestLockTimeoutIsRetried(t *testing.T) {
	for name, c := range map[string]struct {
		sql      string
		released bool // once the first try has given up
		ok       bool
	}{
		"released in time":  {up("insert into log values (1); alter table busy add column j int"), true, true},
		"never released":    {up("insert into log values (1); alter table busy add column j int"), false, false},
		"in no transaction": {alone("alter table busy add column j int"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, "create table busy (i int); create table log (i int)")
			conn, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), "begin; lock table busy"); err != nil {
				t.Fatal(err)
			}
			over, released := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(released)
				if c.released {
					afterOneTry(conn, over)
				} else {
					<-over
				}
				_ = conn.Close(context.Background())
			}()
			defer func() { close(over); <-released }()
			o := options()
			o.StatementLockTimeout = 500 * time.Millisecond
			_, err = migrate(t.Context(), url, files(t, "1_a.sql", c.sql), o)
			if (err == nil) != c.ok {
				t.Fatalf("got error %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), "55P03") {
				t.Errorf("got error %v", err)
			}
			if c.ok {
				servertest.Equal(t, "log", pgtest.Ask(t, url, "select count(*)::text from log"), []string{"1"})
			}
		})
	}
}
