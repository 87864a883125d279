package migration_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
