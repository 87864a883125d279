package migration_test

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
insert into one values (1), (2);
create index one_idx on one (id);
insert into part values (1), (2);
create schema app;
create table app."My Orders" ("Id" int primary key, "Big ""Total""" int, "Age" int, größe int);
insert into app."My Orders" select i, i, i, i from generate_series(1, 3000) i;
create index "My Index" on app."My Orders" ("Age");
create table app."Log" (id int) partition by range (id);
create table app."Log 1" partition of app."Log" for values from (1) to (9);
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
		[]string{"customers SHARE ROW EXCLUSIVE", "orders" + exclusive}, nil, nil, true, false},
	"not null": {"alter table customers alter email set not null", "not-null-by-check",
		[]string{"customers" + exclusive}, nil, nil, true, false},
	"unique": {"alter table customers add constraint emails unique (email)", "unique-using-index",
		[]string{"customers" + exclusive}, nil, []string{"emails on customers"}, true, false},
	"primary key": {"alter table public.part add primary key (id)", "unique-using-index",
		[]string{"part" + exclusive}, nil, []string{"part_pkey on part"}, true, false},
	"exclusion": {"alter table customers add exclude using btree (id with =)", "exclusion",
		[]string{"customers" + exclusive}, nil, []string{"customers_id_excl on customers"}, false, false},
	"type, rewritten": {"alter table customers alter column age type bigint", "column-type",
		[]string{"customers" + exclusive}, []string{"customers"}, []string{"customers_pkey on customers"}, true, false},
	"type, not rewritten": {"alter table customers alter column email type varchar", "",
		[]string{"customers" + exclusive}, nil, nil, false, false},
	"default, volatile": {"alter table orders add column token uuid default gen_random_uuid()", "volatile-default",
		[]string{"orders" + exclusive}, []string{"orders"},
		[]string{"orders_customer_idx on orders", "orders_pkey on orders"}, true, false},
	"default, constant": {"alter table orders add column paid boolean not null default false", "",
		[]string{"orders" + exclusive}, nil, nil, false, false},
	"stored": {"alter table orders add gross int generated always as (total * 2) stored", "stored-column",
		[]string{"orders" + exclusive}, []string{"orders"},
		[]string{"orders_customer_idx on orders", "orders_pkey on orders"}, true, false},
	"serial": {"alter table orders add column n serial", "stored-column",
		[]string{"orders" + exclusive}, []string{"orders"},
		[]string{"orders_customer_idx on orders", "orders_pkey on orders"}, true, false},
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
