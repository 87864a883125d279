package pgdump_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// rich has an object of every kind whose SQL is hard to split, and rows whose COPY data is hard to read.
const rich = `
create schema "semi; colon";
create function "semi; colon"."a;b"(n int) returns int language sql
	begin atomic
		select case when n > 0 then case n when 1 then 2 else 3 end else 4 end as "end";
		select (case when n = 5 then 6 else 7 end) as "case";
	end;
create procedure "semi; colon".p("begin" int, inout done int) language sql
	begin atomic
		insert into "semi; colon".log (t) values ('in ; atomic'), (E'e\\''; commit;');
		select "begin" + 1;
	end;
create function dollars() returns void language plpgsql as $outer$
begin
	execute $inner$ select 'commit;' $inner$;
	-- commit; '
	/* rollback; $$ */
	if false then raise exception 'end; commit;'; end if;
end $outer$;
create function backslashes() returns text language sql as 'select E''a\''; commit; --''';
create table "semi; colon".pairs (i int primary key, t text, g int generated always as (i * 2) stored);
insert into "semi; colon".pairs values (1, 'commit;'), (2, E'\\.'), (3, E'\n\\.\n'), (4, E'\\N'), (5, null), (6, ''),
	(7, E'\t\r\n\b\f\v\\'), (8, '☃ ''";--/*'), (9, E'\\\\.'), (10, repeat('long ', 30000));
create table one (t text); insert into one values (E'\\.'), (''), (E'\\.\\.'), (E'\n'), (E'.\n\\.');
create table empty (i int);
create table nothing (); insert into nothing default values; insert into nothing default values;
create table parted (id int, t text, primary key (id)) partition by range (id);
create table parted_low partition of parted for values from (minvalue) to (10);
create table parted_high partition of parted default;
insert into parted select i, 'row;' || i from generate_series(1, 30) i;
create table log_of (i int); create table log_too (i int);
create view v as select i, ';' as semi, case i when 1 then 'begin' else 'end' end as c from "semi; colon".pairs;
create rule many as on insert to v do instead (
	insert into log_of values (new.i); insert into log_too values (new.i);
	update log_of set i = case new.i when 1 then 2 end where i = 0);
create function touch() returns trigger language plpgsql as $$ begin return new; end; $$;
create trigger "touch; it" before insert or update on one for each row when (new.t <> ';') execute function touch();
create function watch() returns event_trigger language plpgsql as $$ begin end; $$;
create materialized view stored as select id, t from parted where id < 5;
create type mood as enum ('fine; thanks', E'it''s \\ odd');
create domain short as text check (value <> ';' and length(value) < 10);
create table typed (
	m mood default 'fine; thanks', s short, a text[], j jsonb, b bytea, x xml, i interval, ts timestamptz);
insert into typed values (E'it''s \\ odd', 'a"b', array['x;', null, E'\\', '"', '{}'], '{"a": "\\n;"}', '\x005c0a',
	'<a>;</a>', '1 day', '2026-03-29 01:30:00+00'), (default, null, '{}', null, '', null, null, null);
create sequence counted increment by 5 start with 100; select nextval('counted');
create index on typed ((s || ';'));
create policy p on one using (t <> 'commit;'); alter table one enable row level security;
create aggregate total (int) (sfunc = int4pl, stype = int, initcond = '0');
create statistics st on i, t from "semi; colon".pairs;
create publication pub for table empty;
comment on function dollars() is E'a;\n\\! touch x\n$$ -- '' \\restrict a';
comment on schema "semi; colon" is 'x; -- y /* z';
select lo_from_bytea(5001, decode(repeat('00ff5c272e0a', 20000), 'hex')), lo_from_bytea(5002, ''), lo_create(5003);
comment on large object 5001 is 'large; object';
`

// richSource is a database with all of that, and with an event trigger.
func richSource(t *testing.T) string {
	t.Helper()
	source := pgtest.Database(t)
	pgtest.Do(t, source, `create schema "semi; colon"; create table "semi; colon".log (t text)`)
	pgtest.Do(t, source, strings.Replace(rich, `create schema "semi; colon";`, "", 1))
	err := pgtest.Shared(t).Exec(t.Context(), databaseOf(source),
		"create event trigger watching on ddl_command_end execute function watch()")
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// A copy is what its source is, to the last byte of a dump, however the source is dumped.
func TestCopyOfARichSchema(t *testing.T) {
	t.Parallel()
	source := richSource(t)
	for what, c := range map[string]struct {
		format pgdump.Format
		args   string
	}{
		"plain": {pgdump.Plain, ""}, "custom": {pgdump.Custom, ""}, "inserts": {pgdump.Plain, "--inserts"},
		"many rows": {pgdump.Plain, "--rows-per-insert=7"}, "columns": {pgdump.Custom, "--column-inserts"},
		"quoted": {pgdump.Plain, "--quote-all-identifiers"}, "no dollars": {pgdump.Plain, "--disable-dollar-quoting"},
		"clean": {pgdump.Plain, "--clean --if-exists"}, "backslashes": {pgdump.Plain, ""},
		"backslashes, custom":  {pgdump.Custom, "--disable-dollar-quoting"},
		"backslashes, inserts": {pgdump.Plain, "--inserts"},
		"through the root":     {pgdump.Plain, "--load-via-partition-root"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			url := source
			if strings.HasPrefix(what, "backslashes") {
				url += "&standard_conforming_strings=off"
			}
			do := dumpOptions(t)
			do.Format, do.Compression, do.Args = c.format, compress.None, strings.Fields(c.args)
			whole, _ := dump(t, url, do)
			off := "SET standard_conforming_strings = off"
			if c.format == pgdump.Plain && bytes.Contains(whole, []byte(off)) != strings.HasPrefix(what, "backslashes") {
				t.Errorf("%s: %v", off, url == source)
			}
			target := superuserDatabase(t)
			_, err := restoreURL(t.Context(), target, pgdump.RestoreOptions{
				Major: do.Major, Root: do.Root, Format: c.format, WantSHA256: hash(whole),
			}, bytes.NewReader(whole))
			if err != nil {
				t.Fatal(err)
			}
			servertest.Equal(t, "the copy", contents(t, target), contents(t, source))
		})
	}
}

// superuserDatabase is an empty database to which the URL connects as the server's superuser, who may create event
// triggers.
func superuserDatabase(t *testing.T) string {
	t.Helper()
	return pgtest.Shared(t).URL(databaseOf(pgtest.Database(t)))
}

// Many small objects take a few round trips, and not one each. A table with rows takes one.
func TestRestoreTakesFewRoundTrips(t *testing.T) {
	t.Parallel()
	source := pgtest.Database(t)
	const tables = 150
	pgtest.Do(t, source, `do $$ begin for i in 1 .. 150 loop
		execute format('create table small_%s (i serial primary key, t text); insert into small_%s (t) values (1)', i, i);
	end loop; end $$`)
	do := dumpOptions(t)
	do.Compression = compress.None
	whole, _ := dump(t, source, do)
	target := pgtest.Database(t)
	address, _, _ := strings.Cut(target[strings.IndexByte(target, '@')+1:], "/")
	proxy, err := wiretest.NewProxy(address, 2*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	proxied, err := proxy.URL(target)
	if err != nil {
		t.Fatal(err)
	}
	_, err = restoreURL(t.Context(), proxied, pgdump.RestoreOptions{Major: do.Major, Format: pgdump.Plain},
		bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	traffic := proxy.Traffic()
	t.Logf("%+v", traffic)
	if traffic.RoundTrips > tables+60 {
		t.Errorf("%d round trips for %d tables", traffic.RoundTrips, tables)
	}
}
