package migration_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func watching() migration.Options {
	o := options()
	o.Watch = true
	return o
}

// shop is what the traced files find.
const shop = `create table customers (id int primary key, email text, age int);
create table orders (id int primary key, customer int, total int, placed timestamptz default now());
create table parted (id int) partition by range (id);
create table part (id int);
create materialized view totals as select customer, sum(total) from orders group by customer;
create unique index on totals (customer);
create index orders_customer_idx on orders (customer);
insert into customers select i, i || '@example.com', i from generate_series(1, 3000) i;
insert into orders select i, 1 + i % 3000, i from generate_series(1, 10000) i;
create table one (id int) partition by range (id); create table one_part partition of one for values from (1) to (9);
create unlogged table cache (id int); insert into cache select generate_series(1, 1000)`

// traced is a statement with what it does to the tables.
type traced struct {
	sql      string
	hint     string   // its ID; "" if there is none
	locks    []string // "orders SHARE"
	rewrites []string
	indexes  []string // on a table that was there
	safer    bool     // the safer form can be run as it is, and has no hint any more
	alone    bool     // the file is transaction:false
}

const exclusive = " ACCESS EXCLUSIVE"

var shapes = map[string]traced{
	"check": {"alter table orders add constraint positive check (total > 0)", "check-not-valid",
		[]string{"orders" + exclusive}, nil, nil, true, false},
	"check without a name": {"ALTER TABLE Orders ADD CHECK (total > 0)", "check-not-valid",
		[]string{"orders" + exclusive}, nil, nil, true, false},
	"check not valid": {"alter table orders add constraint positive check (total > 0) not valid", "",
		[]string{"orders" + exclusive}, nil, nil, false, false},
	"foreign key": {"alter table orders add constraint whose foreign key (customer) references customers",
		"foreign-key-not-valid",
		[]string{"customers SHARE ROW EXCLUSIVE", "orders SHARE ROW EXCLUSIVE"}, nil, nil, true, false},
	"column that references": {"alter table orders add column friend int references customers",
		"foreign-key-of-new-column",
		[]string{"customers SHARE ROW EXCLUSIVE", "orders" + exclusive}, nil, nil, false, false},
	"not null": {"alter table customers alter email set not null", "not-null-by-check",
		[]string{"customers" + exclusive}, nil, nil, true, false},
	"unique": {"alter table customers add constraint emails unique (email)", "unique-using-index",
		[]string{"customers" + exclusive}, nil, []string{"emails on customers"}, true, false},
	"primary key": {"alter table public.part add primary key (id)", "unique-using-index",
		[]string{"part" + exclusive}, nil, []string{"part_pkey on part"}, false, false},
	"exclusion": {"alter table customers add exclude using btree (id with =)", "exclusion",
		[]string{"customers" + exclusive}, nil, []string{"customers_id_excl on customers"}, false, false},
	"type": {"alter table orders alter column total type bigint", "column-type",
		[]string{"orders" + exclusive, "totals SHARE"}, nil, nil, false, false},
	"type, rewritten": {"alter table customers alter column age type bigint", "column-type",
		[]string{"customers" + exclusive}, []string{"customers"}, []string{"customers_pkey on customers"}, false, false},
	"type, not rewritten": {"alter table customers alter column email type varchar", "",
		[]string{"customers" + exclusive}, nil, nil, false, false},
	"default, volatile": {"alter table orders add column token uuid default gen_random_uuid()", "volatile-default",
		[]string{"orders" + exclusive}, []string{"orders"},
		[]string{"orders_customer_idx on orders", "orders_pkey on orders"}, false, false},
	"default, constant": {"alter table orders add column paid boolean not null default false", "",
		[]string{"orders" + exclusive}, nil, nil, false, false},
	"stored": {"alter table orders add gross int generated always as (total * 2) stored", "stored-column",
		[]string{"orders" + exclusive}, []string{"orders"},
		[]string{"orders_customer_idx on orders", "orders_pkey on orders"}, false, false},
	"serial": {"alter table orders add column n serial", "stored-column",
		[]string{"orders" + exclusive}, []string{"orders"},
		[]string{"orders_customer_idx on orders", "orders_pkey on orders"}, false, false},
	"logged": {"alter table cache set logged", "table-rewritten",
		[]string{"cache" + exclusive}, []string{"cache"}, nil, false, false},
	"cluster": {"cluster orders using orders_pkey", "table-rewritten",
		[]string{"orders" + exclusive}, []string{"orders"},
		[]string{"orders_customer_idx on orders", "orders_pkey on orders"}, false, false},
	"attach": {"alter table parted attach partition part for values from (1) to (9)", "attach-checked",
		[]string{"part" + exclusive}, nil, nil, false, false},
	"detach": {"alter table one detach partition one_part", "detach-concurrently",
		[]string{"one" + exclusive, "one_part" + exclusive}, nil, nil, true, false},
	"index": {"create index totals_idx on orders (total)", "index-concurrently",
		[]string{"orders SHARE"}, nil, []string{"totals_idx on orders"}, true, false},
	"unique index": {"CREATE UNIQUE INDEX emails ON customers (email)", "index-concurrently",
		[]string{"customers SHARE"}, nil, []string{"emails on customers"}, true, false},
	"index concurrently": {"create index concurrently if not exists totals_idx on orders (total)", "",
		nil, nil, []string{"totals_idx on orders"}, false, true},
	"drop index": {"drop index orders_customer_idx", "drop-index-concurrently",
		[]string{"orders" + exclusive}, nil, nil, true, false},
	"reindex": {"reindex table orders", "reindex-concurrently",
		[]string{"orders SHARE"}, nil, []string{"orders_customer_idx on orders", "orders_pkey on orders"}, true, false},
	"refresh": {"refresh materialized view totals", "refresh-concurrently",
		[]string{"totals" + exclusive}, []string{"totals"}, []string{"totals_customer_idx on totals"}, true, false},
	"lock": {"lock table orders in exclusive mode", "lock-table", []string{"orders EXCLUSIVE"}, nil, nil, false, false},
	"truncate": {"truncate orders", "", []string{"orders" + exclusive}, nil,
		nil, false, false},
	"insert": {"insert into orders values (0)", "", nil, nil, nil, false, false},
	"a new table": {"create table fresh (id int primary key); create index on fresh (id)", "",
		nil, nil, nil, false, false},
	"a view": {"create or replace view v as select 1 as a", "", nil, nil, nil, false, false},
	"in a block": {"do $$ begin create index totals_idx on orders (total); end $$", "",
		[]string{"orders SHARE"}, nil, []string{"totals_idx on orders"}, false, false},
	"dropped": {"drop table part", "", []string{"part" + exclusive}, nil, nil, false, false},
	"vacuum full": {"vacuum full orders", "table-rewritten", nil, []string{"orders"},
		[]string{"orders_customer_idx on orders", "orders_pkey on orders"}, false, true},
}

// Each known shape has the locks and the rewrites that its hint speaks of, on a real server.
func TestTraces(t *testing.T) {
	delete(shapes, "type") // refused: a view uses the column
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, shop)
			file := up(s.sql + ";")
			if s.alone {
				file = alone(s.sql + ";")
			}
			got, err := migrate(t.Context(), url, files(t, "001_a.sql", file), watching())
			if err != nil || len(got.Traces) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			trace := got.Traces[0]
			same(t, s, trace)
			hints := trace.Hints()
			if s.safer {
				servertest.Equal(t, "hints of the safer form", len(saferHints(t, hints[0].Safer)), 0)
			}
		})
	}
}

func same(t *testing.T, want traced, got migration.Trace) {
	t.Helper()
	var locks, rewrites, indexes, hints []string
	for _, l := range got.Locks {
		locks = append(locks, l.Table+" "+l.Mode)
		if l.Held > got.Elapsed {
			t.Errorf("held %s of %s", l.Held, got.Elapsed)
		}
	}
	for _, r := range got.Rewrites {
		rewrites = append(rewrites, r.Table)
		if r.Bytes == 0 {
			t.Errorf("no size: %+v", r)
		}
	}
	for _, i := range got.Indexes {
		indexes = append(indexes, i.Index+" on "+i.Table)
		if i.Bytes == 0 {
			t.Errorf("no size: %+v", i)
		}
	}
	for _, h := range got.Hints() {
		hints = append(hints, h.ID)
	}
	for _, list := range [][]string{locks, rewrites, indexes} {
		slices.Sort(list)
	}
	if !got.Sampled { // short ones are only seen by luck
		servertest.Equal(t, "locks", locks, want.locks)
	}
	servertest.Equal(t, "rewrites", rewrites, want.rewrites)
	servertest.Equal(t, "indexes", indexes, want.indexes)
	servertest.Equal(t, "hints", strings.Join(hints, " "), want.hint)
}

// saferHints runs a safer form, each of its files as a migration, and returns the hints that there are about these.
func saferHints(t *testing.T, sql string) (hints []string) {
	t.Helper()
	url := pgtest.Database(t)
	pgtest.Do(t, url, shop)
	var pairs []string
	for i, part := range strings.Split(sql, "-- in a file of its own") {
		if _, text, separated := strings.Cut(part, ":\n"); separated && i > 0 {
			part = text
		}
		if strings.TrimSpace(part) == "" {
			continue
		}
		if !strings.Contains(part, "migrate:up") {
			part = "-- migrate:up\n" + part
		}
		pairs = append(pairs, fmt.Sprintf("%03d_a.sql", i+1), part+"\n-- migrate:down\n")
	}
	got, err := migrate(t.Context(), url, files(t, pairs...), watching())
	if err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
	for _, trace := range got.Traces {
		for _, h := range trace.Hints() {
			// PostgreSQL knows nothing that is weaker to go through than the last step, which reads nothing.
			if h.ID != "not-null-by-check" {
				hints = append(hints, h.ID)
			}
		}
	}
	return hints
}

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

// The locks of a statement that runs alone are seen from another session.
func TestLocksOfAStatementAlone(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, `create table orders (id int); insert into orders select generate_series(1, 100);
		create function slow(int) returns int immutable language plpgsql as 'begin perform pg_sleep(0.005); return $1; end';
		create index on orders (slow(id))`)
	got, err := migrate(t.Context(), url, files(t, "001_a.sql", alone("vacuum full orders")), watching())
	if err != nil || len(got.Traces) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	locks := got.Traces[0].Locks
	if len(locks) != 1 || locks[0].Mode != "ACCESS EXCLUSIVE" || locks[0].Table != "orders" ||
		locks[0].Held < 200*time.Millisecond || locks[0].Held > got.Traces[0].Elapsed {
		t.Errorf("%+v", got.Traces[0])
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
