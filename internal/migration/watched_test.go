package migration_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// How long a lock is held is from its statement to the commit.
func TestHeldUntilTheCommit(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, shop)
	got, err := migrate(t.Context(), url, files(t, "001_a.sql", up(`select pg_sleep(0.3);
		alter table customers add column a int;
		select pg_sleep(0.2);
		create index on orders (total);
		alter table orders add column b int;
		select pg_sleep(0.1);`)), watching())
	if err != nil {
		t.Fatal(err)
	}
	trace := got.Traces[0]
	servertest.Equal(t, "path", trace.Path, "db/migrations/001_a.sql")
	held := map[string]time.Duration{}
	for _, l := range trace.Locks {
		held[l.Table+" "+l.Mode] = l.Held
	}
	customers, orders := held["customers ACCESS EXCLUSIVE"], held["orders ACCESS EXCLUSIVE"]
	if len(held) != 2 || customers < 300*time.Millisecond || customers > trace.Elapsed-300*time.Millisecond ||
		orders < 100*time.Millisecond || orders > customers-200*time.Millisecond {
		t.Errorf("%v of %s", held, trace.Elapsed)
	}
	servertest.Equal(t, "lines", []int{trace.Statements[0].Line, trace.Statements[5].Line}, []int{2, 7})
}

// standing makes a table that VACUUM FULL rewrites, and then keeps locked until the test lets go of an advisory lock.
// It returns how to let go, and what waits until a condition on the sampler's row of pg_stat_activity, s, is met.
func standing(t *testing.T) (url string, letGo func(), await func(condition string) (at string)) {
	t.Helper()
	url = pgtest.Database(t)
	pgtest.Do(t, url, `create table orders (id int); insert into orders values (1);
		create function held(int) returns int immutable language plpgsql as
			'begin perform pg_advisory_lock(39), pg_advisory_unlock(39); return $1; end';
		create index on orders (held(id))`)
	holder, err := connect(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(holder.Close)
	if _, err := holder.Exec(t.Context(), "select pg_advisory_lock(39)"); err != nil {
		t.Fatal(err)
	}
	await = func(condition string) string {
		query := `with s as materialized (select * from pg_stat_activity where datname = current_database()
			and state = 'idle' and query like '%l.pid = %' and pid <> pg_backend_pid())
			select clock_timestamp()::text from s where ` + condition
		for t.Context().Err() == nil {
			answers, err := holder.Results(t.Context(), query)
			if err != nil {
				t.Error(err)
				return ""
			}
			if len(answers[0]) > 0 {
				return string(answers[0][0][0])
			}
		}
		return ""
	}
	return url, holder.Close, await
}

// locked is true while a session has the table of standing for itself.
const locked = `exists (select from pg_locks where relation = 'orders'::regclass and mode = 'AccessExclusiveLock'
	and granted)`

// The locks of a statement that runs alone are seen from another session.
func TestLocksOfAStatementAlone(t *testing.T) {
	url, letGo, await := standing(t)
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		defer letGo()
		// A sample that began after the lock was seen has it; the second one comes 200 ms later at least.
		taken := await(locked)
		first := await(fmt.Sprintf("s.query_start > '%s'", taken))
		await(fmt.Sprintf("s.query_start > '%s'::timestamptz + interval '200 ms'", first))
	}()
	got, err := migrate(t.Context(), url, files(t, "001_a.sql", alone("vacuum full orders")), watching())
	<-seen
	if err != nil || len(got.Traces) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	locks := got.Traces[0].Locks
	if len(locks) != 1 || locks[0].Mode != "ACCESS EXCLUSIVE" || locks[0].Table != "orders" ||
		locks[0].Held < 200*time.Millisecond || locks[0].Held > got.Traces[0].Elapsed {
		t.Errorf("%+v", got.Traces[0])
	}
}

// Locks that could not be watched to the end are not taken for short ones.
func TestSamplerThatEnds(t *testing.T) {
	url, letGo, await := standing(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer letGo()
		await("case when " + locked + " then pg_terminate_backend(s.pid, 60000) end") // waits until it has ended
	}()
	_, err := migrate(t.Context(), url, files(t, "001_a.sql", alone("vacuum full orders")), watching())
	<-ended
	if err == nil || !strings.HasPrefix(err.Error(), "watch the locks of db/migrations/001_a.sql: ") ||
		!strings.Contains(err.Error(), "57P01") || errors.As(err, new(*migration.Error)) {
		t.Errorf("%v", err)
	}
}

// A file that sets its transaction's mode runs under watch as it does without.
func TestWatchedSetsTransaction(t *testing.T) {
	for name, file := range map[string]string{
		"first":   up("set transaction isolation level serializable, deferrable; alter table orders add a int;"),
		"setting": up("SET LOCAL transaction_isolation = 'repeatable read'; alter table orders add a int;"),
		"after sets": up("set local work_mem = '8MB';\nset transaction isolation level serializable;" +
			"alter table orders add a int;"),
		"after lock": up("lock table orders in access exclusive mode; set transaction isolation level serializable;" +
			"alter table orders add a int"),
		"read only first": up("set transaction read only; set transaction read write, isolation level serializable;\n" +
			"alter table orders add a int"),
		"its own": alone("alter table orders add a int; commit; begin isolation level serializable; " +
			"alter table orders add b int; commit; begin; set transaction isolation level serializable; select 1; commit"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, o := range []migration.Options{options(), watching()} {
				url := pgtest.Database(t)
				// Without a table of versions, making it would be the query that comes before.
				pgtest.Do(t, url, shop+"; create table schema_migrations (version varchar primary key)")
				got, err := migrate(t.Context(), url, files(t, "001_a.sql", file), o)
				if err != nil {
					t.Fatalf("watched: %t: %v", o.Watch, err)
				}
				if !o.Watch {
					continue
				}
				trace := got.Traces[0]
				if len(trace.Locks) != 1 || trace.Locks[0].Table != "orders" || trace.Locks[0].Mode != "ACCESS EXCLUSIVE" {
					t.Fatalf("%+v", trace)
				}
				taker := trace.Statements[trace.Locks[0].Statement]
				if !strings.Contains(taker.SQL, "orders") || taker.Elapsed == 0 || trace.Elapsed < taker.Elapsed {
					t.Errorf("%+v", trace)
				}
			}
		})
	}
}

// A watched file is recorded, and fails, as any other.
func TestWatchedFailsAlike(t *testing.T) {
	for name, file := range map[string]string{
		"unknown table": up("select 1; -- größe\nselect 'ä', *\nfrom nowhere;\nselect 2;"),
		"syntax":        up("select 1;\nselect 2 2 3;\n"),
		"at the commit": up("create table a (id int primary key deferrable initially deferred);\n" +
			"insert into a values (1), (1);"),
		"no place":       up("select 1;\nselect 1 / 0;\nselect 2;"),
		"in a block":     up("select 1;\ndo $$ begin\nperform 1 / 0;\nend $$;"),
		"outside":        alone("select 1;\nselect *\nfrom nowhere;"),
		"outside, alone": alone("create index concurrently i on nowhere (a);"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var texts [2]string
			for i, o := range []migration.Options{options(), watching()} {
				_, err := migrate(t.Context(), pgtest.Database(t), files(t, "001_a.sql", file), o)
				if err == nil {
					t.Fatal("it did not fail")
				}
				texts[i] = err.Error()
			}
			servertest.Equal(t, "error", texts[1], texts[0])
		})
	}
}

// Watching costs one round trip for all files, and none for a statement.
func TestWatchedFilesAreRecorded(t *testing.T) {
	url := pgtest.Database(t)
	got, err := migrate(t.Context(), url, files(t, "001_a.sql", up("create table a (id int);"),
		"002_b.sql", alone("create table b (id int); select 1;"), "003_c.sql", up("alter table a add b int;")), watching())
	if err != nil || len(got.Traces) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	servertest.Equal(t, "recorded", recorded(t, url), []string{"001", "002", "003"})
	servertest.Equal(t, "locks on what this run made", len(got.Traces[2].Locks), 0)
}
