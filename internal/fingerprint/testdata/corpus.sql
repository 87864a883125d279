-- Definitions whose printed form a dump and load may change, one or more of each kind that holds an expression. No
-- statement names a schema, so that the corpus can be built in any.

create type mood as enum ('sad', 'ok', 'happy');
create type money_pair as (amount numeric(10,2), currency char(3));

create domain status_code as varchar(20) check (value in ('open', 'paid', 'void'));
create domain percentage as numeric check (value between 0 and 100 and value = round(value, 2));
create domain label as text collate "C" not null default 'none' check (value <> '' and value not in ('x', 'y'));
create domain labels as text[] check (value <@ array['a', 'b']::varchar[]::text[]);

create table customers (
  id bigint generated always as identity primary key,
  email varchar(200) not null unique,
  status varchar(20) not null default 'open' check (status in ('open', 'paid')),
  code char(3) check (code in ('USD', 'EUR')),
  kind text check (kind in ('a', 'b')),
  feeling mood default 'ok' check (feeling in ('sad', 'ok')),
  score integer check (score between 0 and 100 and score <> 50),
  other integer check (score between 0 and 100 and other between 1 and 9 and score > other),
  ratio double precision default -1.5 check (ratio not between 0 and 1 or ratio > 5),
  span integer check (span between symmetric 9 and 1 or span is null),
  near integer check (near in (1, score, 3) or near < 0),
  far integer check (far not in (1, score, 3) and far > 0),
  pair_a integer, pair_b integer,
  check ((pair_a, pair_b) = (1, 2) and pair_a > 0),
  check ((pair_a, pair_b) <> (1, 2) or pair_a > 0),
  check ((pair_a, pair_b) in ((1, 2), (3, 4)) and pair_b > 0),
  check (not (pair_a = 1 and pair_b = 2) and pair_a is distinct from pair_b),
  check (pair_a > 0 and (pair_b > 0 and pair_a < 9)),
  check ((pair_a > 0 or pair_b > 0) and (pair_a < 9 or pair_b < 9)),
  check (status like any (array['o%', 'p%']::varchar[]) and status = all (array['open', 'paid'])),
  tags text[] default array['a', 'b']::varchar[] check (tags @> array['x']::varchar[]::text[]),
  words varchar(10)[] check (words <> array['x', null]::varchar[]),
  matrix text[] check (matrix <> array[array['a', 'b'], array['c', 'd']]::varchar[]::text[]),
  big bigint[] default array[1, 2] check (big || array[1, 2] <> array[3]::bigint[]),
  nums numeric[] default '{1,2}' check (nums @> array[1, 2.5]),
  since timestamptz default now() - interval '1 day' check (since > '2020-01-01 12:00+02'),
  due date default current_date + 7 check (due between '2020-01-01' and '2030-01-01' and due > date '2021-01-01'),
  at time(0) default localtime(0), length interval hour to minute default '01:30',
  bits bit(4) default b'1010', raw bytea default '\xdeadbeef', amount numeric(10, 2) default 1,
  note varchar(10) default 'it''s \ here', doc jsonb default '{"a": 1}' check (doc ->> 'a' in ('1', '2') and doc ? 'a'),
  label varchar(30) generated always as (case when status in ('open', 'paid') then 'due' else 'done' end) stored,
  ok boolean generated always as (score between 1 and 5 and status in ('open', 'void')) stored,
  is_new boolean default true check (is_new and score between 1 and 500 and is_new),
  upper_name text generated always as (upper((email)::text) || '-' || coalesce(status, 'none'::varchar)) stored,
  price money_pair check ((price).amount > 0 and (price).currency in ('USD', 'EUR')),
  s status_code, p percentage, l label, ll labels
);

create table orders (
  id serial primary key, customer_id bigint references customers (id) on update cascade deferrable initially deferred,
  state varchar default 'new', during tstzrange, room integer, at timestamp not null default (now() at time zone 'utc'),
  exclude using gist (during with &&) where (state in ('new', 'paid') and room between 1 and 9 and room <> 5)
);

create table events (at date not null, kind varchar not null, body text, check (kind in ('x', 'y') and at > '2000-01-01'))
  partition by range (at);
create table events_2020 partition of events for values from ('2020-01-01') to ('2021-01-01');
create table regions (region text not null, n integer check (n between 1 and 9 and n <> 3)) partition by list (region);
create table regions_eu partition of regions for values in ('eu', 'uk');
create table shards (id integer not null) partition by hash (id);
create table shards_0 partition of shards for values with (modulus 2, remainder 0);
create table parent (a integer check (a between 1 and 3 and a <> 2));
create table child (b varchar check (b in ('p', 'q'))) inherits (parent);

create index customers_open on customers (lower(email)) where status in ('open', 'paid');
create index customers_range on customers (id) where score between 1 and 9 and status <> 'void';
create unique index customers_case on customers ((case when status in ('a', 'b') then 1 else 2 end), code desc nulls last)
  include (kind) where ratio not between 0 and 1 or score > 3;
create index orders_state on orders ((state in ('new', 'old')), (room between 1 and 5 and room <> 2));
create index customers_tags on customers using gin (tags array_ops, doc jsonb_path_ops);
create index orders_filled on orders (room) with (fillfactor = 70);

create view open_customers with (security_barrier) as
  select c.*, o.state as order_state, count(*) over w as n
  from customers c left join orders o on o.customer_id = c.id and o.room between 1 and 9 and o.state in ('new', 'x')
  where c.status in ('open', 'paid') and c.score between 1 and 9 and c.email <> 'x' and (c.ratio > 1 or c.kind = 'a')
  window w as (partition by c.status order by c.id);
create view unions as
  select 'a' as k, id::text from customers where status not in ('open', 'x') union all
  select kind, 'n' from events where kind like 'x%' and at between '2020-01-01' and '2021-01-01' and body is not null
  order by 1 limit 10;
create view joined as
  select * from customers join (select customer_id as id, max(room) filter (where state in ('a', 'b')) as room
    from orders group by customer_id having count(*) between 1 and 5 and max(room) > 1) o using (id)
  where exists (select from events e where e.kind = customers.status) and id = any (select customer_id from orders);
create view formatted as
  select x::varchar(10) as a, 'abc'::varchar(3) as b, 1::numeric(5, 1) as c, -5 as d, extract(epoch from now()) as e,
    trim(both 'x' from y) as f, overlay(y placing 'z' from 2) as g, substring(y from 2 for 3) as h, y::text::varchar as i,
    now() at time zone 'UTC' as j, (x, y) = (1, 'a') and x > 0 as k, array(select 1) as l, y collate "C" as m, x is null and y is not null as n,
    case y when 'p' then 1 when 'q'::varchar then 2 end as o, greatest(x, 2) as p, nullif(y, 'a') as q,
    not (x between 1 and 2) as r, (x between 1 and 2 or x = 5) and y in ('s', 't') as s, interval '1' day as t,
    y similar to 'a%' as u, '2020-01-01'::date + 1 as v, x in (1, 2) as w, row (x, y) is not null as z
  from (values (1, 'a'::varchar), (2, 'b')) v (x, y);
create recursive view counted (n) as values (1) union all select n + 1 from counted where n between 1 and 9 and n <> 5;
create materialized view totals as
  with paid as (select * from customers where status in ('paid', 'void') and score between 1 and 5 and id > 0)
  select status, sum(score) as score, grouping(status) from paid group by rollup (status);
create unique index totals_status on totals (status) where status in ('paid', 'x');

create function label_of(x varchar, y text default 'q'::varchar) returns text language sql immutable
  begin atomic
    select case when x in ('a', 'b') and length(x) between 1 and 9 and y <> 'z' then 'yes' else x::text end;
  end;
create function tidy_up(n integer) returns void language sql
  begin atomic
    delete from orders where state in ('old', 'gone') and room between 1 and n and room <> 2;
    update customers set status = 'paid', score = 1 where status not in ('paid', 'void') or score between 2 and 3 or score = n;
    insert into orders (state, room) values ('new', n) on conflict (id) where room > 1 do nothing;
  end;
create function is_due(x varchar) returns boolean language sql return x in ('open', 'due') and length(x) between 1 and 4 and x <> 'z';
create function touch() returns trigger language plpgsql as $$ begin
  if new.status in ('open', 'paid') and new.score between 1 and 2 and true then new.score := 1; end if;
  return new;
end $$;
create procedure empty_out(inout n integer default 5) language plpgsql security definer as $$ begin null; end $$;

create trigger customers_touch before insert or update of status on customers for each row
  when (new.status in ('open', 'paid') and new.score between 1 and 9 and new.email <> 'x') execute function touch('a', 'b');
create constraint trigger orders_late after update on orders deferrable initially deferred for each row
  when (old.state is distinct from new.state and new.state not in ('a', 'b')) execute function touch();

create rule orders_quiet as on delete to orders
  where old.state in ('new', 'paid') and old.room between 1 and 9 and old.id > 0
  do instead update orders set state = 'gone' where orders.id = old.id and orders.state not in ('x', 'y');
create rule customers_copy as on insert to customers do also
  insert into events (at, kind) values (current_date, new.status), ('2020-05-05', 'y');

alter table customers enable row level security;
create policy mine on customers for update
  using (status in ('open', 'paid') and score between 1 and 9 and email = current_user)
  with check (status = any (array['open', 'void']::varchar[]) or score not between 1 and 2 or score = 9);
create policy theirs on orders as restrictive for select to public
  using (customer_id in (select id from customers where status in ('open', 'x') and score between 3 and 4 and id > 1));

create statistics customers_stats (dependencies, mcv) on status, score from customers;
create statistics customers_expr on (status in ('open', 'paid')), (score between 1 and 9 and status <> 'x') from customers;
create sequence ticket as integer start 100 increment 5 minvalue 10 maxvalue 1000 cycle cache 3;

create collation loose (provider = icu, locale = 'en-u-ks-level2', deterministic = false);
create text search dictionary plain_words (template = simple, accept = false);
create text search configuration docs (copy = english);
alter text search configuration docs alter mapping for word, asciiword with plain_words, english_stem;
create type span as range (subtype = float8, subtype_diff = float8mi);
create aggregate total_of (integer) (sfunc = int4pl, stype = integer, initcond = '0');
create function mood_rank(mood) returns integer language sql immutable as $$ select 1 $$;
create cast (mood as integer) with function mood_rank(mood) as assignment;
create function same_text(text, text) returns boolean language sql immutable as $$ select $1 = $2 $$;
create operator === (leftarg = text, rightarg = text, function = same_text, commutator = ===, hashes);
create operator class int_ops for type integer using btree as operator 1 <, operator 3 =, function 1 btint4cmp(integer, integer);
create conversion latin for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create function settled() returns integer language sql set search_path = pg_catalog, public set work_mem = '1MB'
  as $$ select 1 $$;
create table quiet (a integer not null, b text collate loose);
create unique index quiet_a on quiet (a);
alter table quiet replica identity using index quiet_a;
alter table quiet add constraint quiet_late check (a > 0) not valid;
