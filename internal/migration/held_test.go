package migration_test

import (
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// Of a lock that is taken several times, the longest time counts, and an index is built once.
func TestHeldSeveralTimes(t *testing.T) {
	for name, file := range map[string]string{
		"transactions": alone("begin; alter table orders add a int; commit;\n" +
			"begin; alter table orders add b int; create index on orders (total); select pg_sleep(0.3); commit; select 1;"),
		"savepoints": up("savepoint a; alter table orders add a int; rollback to a; alter table orders add b int;\n" +
			"create index on orders (total); select pg_sleep(0.3);"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, shop)
			got, err := migrate(t.Context(), url, files(t, "001_a.sql", file), watching())
			if err != nil {
				t.Fatal(err)
			}
			trace := got.Traces[0]
			if len(trace.Locks) != 1 || trace.Locks[0].Held < 300*time.Millisecond || len(trace.Indexes) != 1 {
				t.Errorf("%+v", trace)
			}
		})
	}
}

// No look comes between a transaction's beginning and what says how it is isolated.
func TestWatchedIsolation(t *testing.T) {
	const serializable = "isolation level serializable"
	for name, file := range map[string]string{
		"at the beginning": up("set transaction " + serializable + ";\nalter table orders add a int;"),
		"set local": up("set lock_timeout = '1s'; set local transaction_isolation = serializable;\n" +
			"alter table orders add a int"),
		"after a lock": up("lock table orders; set transaction " + serializable + "; alter table orders add a int"),
		"transactions": alone("begin " + serializable + "; alter table orders add a int; commit;\n" +
			"start transaction; set transaction " + serializable + "; alter table orders add b int; commit;"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, o := range []migration.Options{options(), watching()} {
				url := pgtest.Database(t)
				pgtest.Do(t, url, shop)
				got, err := migrate(t.Context(), url, files(t, "001_a.sql", up("select 1;"), "002_b.sql", file), o)
				if err != nil {
					t.Fatal(err)
				}
				if o.Watch && len(got.Traces[1].Locks) != 1 {
					t.Errorf("%+v", got.Traces[1])
				}
			}
		})
	}
}
