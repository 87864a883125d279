package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// dependents are what depends on the schema acme, by what it is: SQL that creates it, and what is named of it.
var dependents = map[string]struct {
	sql    string
	want   []string
	from16 []string // want, from PostgreSQL 16 on; nil: the same
	since  int      // the version of PostgreSQL that has it; zero: all
}{
	// Nothing of others.
	"an empty schema": {want: []string{}},
	"a schema with everything in it": {sql: `create table acme.a (i serial primary key, k int generated always as identity,
			g int generated always as (1) stored, t text default 'x' check (t <> ''), e text[]);
		create type acme.e as enum ('x', 'y'); create type acme.c as (x int, y acme.e); create domain acme.d as text;
		create table acme.b (i int references acme.a on delete cascade, e acme.e default 'x', r acme.c, d acme.d);
		create index on acme.b (e); create statistics acme.s on i, e from acme.b;
		create function acme.f(acme.a) returns int language sql as 'select 1';
		create function acme.tr() returns trigger language plpgsql as 'begin return new; end';
		create trigger t before insert on acme.a for each row execute function acme.tr();
		create rule r as on delete to acme.b do instead nothing; alter table acme.a enable row level security;
		create policy p on acme.a using (acme.f(a) = 1);
		create view acme.v as select *, acme.f(a) from acme.a; create materialized view acme.m as select * from acme.v;
		create table acme.p (i int primary key, t text) partition by range (i);
		create table acme.p1 partition of acme.p for values from (0) to (1); create index on acme.p (t);
		create table acme.q (i int references acme.p); create table acme.h () inherits (acme.a);
		create aggregate acme.agg(int) (sfunc = int4pl, stype = int); create sequence acme.s2;
		create operator acme.=== (leftarg = int, rightarg = int, function = int4eq);
		create collation acme.col from "C"; create text search dictionary acme.dict (template = simple);
		create text search configuration acme.conf (parser = "default");
		alter text search configuration acme.conf add mapping for word with acme.dict;
		create procedure acme.pr() language sql as ''; create type acme.range as range (subtype = int)`, want: []string{}},
	"default privileges": {sql: "alter default privileges in schema acme grant select on tables to public",
		want: []string{}},
	"uses of others' objects": {sql: `create table other.o (i int primary key); create type other.e as enum ('x');
		create table acme.a (i int references other.o, e other.e); create view acme.v as select * from other.o;
		create table other.p (i int) partition by range (i);
		create table acme.p1 partition of other.p for values from (0) to (1); create table acme.h () inherits (other.o)`,
		want: []string{}},
	"publications of its tables": {sql: `create table acme.a (i int); create publication a for table acme.a`,
		want: []string{}},
	"a publication of all its tables": {sql: `create table acme.a (i int); create publication a for tables in schema acme`,
		want: []string{}, since: 15},
	"casts of its types": {sql: `create type acme.e as enum ('x');
		create function acme.f(acme.e) returns int immutable language sql as 'select 1';
		create cast (acme.e as int) with function acme.f(acme.e)`, want: []string{}},
	"an extension of its own": {sql: `create extension citext schema acme; create extension hstore schema acme;
		create table acme.a (i int, c acme.citext primary key, h acme.hstore); create index on acme.a using gin (h)`,
		want: []string{}},
	"an extension with a table": {sql: `create extension earthdistance schema acme cascade;
		create table acme.a (p acme.earth)`, want: []string{}},

	// What hangs on others' tables.
	"a default": {sql: `create sequence acme.s; create table other.t (i int default nextval('acme.s'))`,
		want: []string{"default value for other.t.i"}},
	"a default that uses an extension": {sql: `create extension "uuid-ossp" schema acme;
		create table other.t (i uuid default acme.uuid_generate_v4())`,
		want: []string{"default value for other.t.i"}},
	"an index that uses an extension": {sql: `create extension pg_trgm schema acme;
		create table other.t (t text); create index t_idx on other.t using gin (t acme.gin_trgm_ops)`,
		want: []string{"index other.t_idx"}},
	"an index over a function": {sql: `create function acme.f(int) returns int immutable language sql as 'select $1';
		create table other.t (i int); create index t_idx on other.t (acme.f(i))`,
		want: []string{"index other.t_idx"}},
	"a check constraint": {sql: `create function acme.f(int) returns bool immutable language sql as 'select true';
		create table other.t (i int constraint positive check (acme.f(i)))`,
		want: []string{"table constraint positive on other.t"}},
	"a trigger": {sql: `create function acme.f() returns trigger language plpgsql as 'begin return new; end';
		create table other.t (i int);
		create trigger audit before insert on other.t for each row execute function acme.f()`,
		want: []string{"trigger audit on other.t"}},
	"a trigger of a partitioned table": {sql: `create table other.t (i int) partition by range (i);
		create table other.t1 partition of other.t for values from (0) to (1);
		create function acme.f() returns trigger language plpgsql as 'begin return new; end';
		create trigger audit before insert on other.t for each row execute function acme.f()`,
		want: []string{"trigger audit on other.t"}},
	"a policy": {sql: `create table acme.members (i int); create table other.t (i int);
		create policy members on other.t using (i in (select i from acme.members))`,
		want: []string{"policy members on other.t"}},
	"a rule": {sql: `create table acme.log (i int); create table other.t (i int);
		create rule logged as on insert to other.t do also insert into acme.log values (1)`,
		want: []string{"rule logged on other.t"}},
	"a foreign key": {sql: `create table acme.a (i int primary key);
		create table other.t (i int constraint fk references acme.a)`,
		want: []string{"table constraint fk on other.t"}},
	"a foreign key to a partition": {sql: `create table other.p (i int primary key) partition by range (i);
		create table acme.p1 partition of other.p for values from (0) to (1);
		create table other.t (i int constraint fk references other.p)`,
		want: []string{"table constraint fk on other.t"}},
	"an exclusion constraint": {sql: `create extension btree_gist schema acme;
		create table other.t (i int, constraint once exclude using gist (i acme.gist_int4_ops with =))`,
		want: []string{"table constraint once on other.t"}},
	"statistics of others": {sql: `create table acme.a (i int, j int); create statistics other.s on i, j from acme.a`,
		want: []string{"statistics object other.s"}},
	"a filter of a publication": {sql: `create table other.t (i int primary key);
		create publication p for table other.t where (i < 'acme'::regnamespace::oid::int)`,
		want: []string{"publication relation other.t in publication p"}, since: 15},

	// Columns with data.
	"a column of a type": {sql: `create type acme.e as enum ('x'); create table other.t (i int, e acme.e);
		create index on other.t (e)`,
		want: []string{"table column other.t.e"}},
	"a column of an array": {sql: `create type acme.e as enum ('x'); create table other.t (i int, "odd col" acme.e[])`,
		want: []string{`table column other.t."odd col"`}},
	"a column of a domain": {sql: `create domain acme.d as int; create table other.t (i int, d acme.d)`,
		want: []string{"table column other.t.d"}},
	"a column of a row type": {sql: `create table acme.a (i int); create table other.t (i int, a acme.a)`,
		want: []string{"table column other.t.a"}},
	"a column of an extension's type": {sql: `create extension citext schema acme;
		create table other.t (email acme.citext primary key, i int references other.t2 (i))`,
		want: []string{"table column other.t.email"}},
	"a column with a collation": {sql: `create collation acme.c from "C";
		create table other.t (i int, t text collate acme.c)`,
		want: []string{"table column other.t.t"}},
	"a generated column": {sql: `create function acme.f(int) returns int immutable language sql as 'select $1';
		create table other.t (i int, g int generated always as (acme.f(i)) stored)`,
		want: []string{"table column other.t.g"}},
	"a partition key": {sql: `create type acme.e as enum ('x'); create table other.t (e acme.e) partition by list (e);
		create table other.t1 partition of other.t for values in ('x')`,
		want: []string{"table other.t"}},
	"a partition key over a function": {sql: `
		create function acme.f(int) returns int immutable language sql as 'select $1';
		create table other.t (i int) partition by range (acme.f(i))`,
		want: []string{"table other.t"}},

	// Others' own objects.
	"a view": {sql: `create table acme.a (i int); create view other.v as select * from acme.a;
		create view other.w as select * from other.v`,
		want: []string{"view other.v", "view other.w"}},
	"a view over a function": {sql: `create function acme.f() returns int language sql as 'select 1';
		create view other.v as select acme.f()`,
		want: []string{"view other.v"}},
	"a materialized view": {sql: `create table acme.a (i int); create materialized view other.m as select * from acme.a;
		create index on other.m (i)`,
		want: []string{"materialized view other.m"}},
	"a function over a row type": {sql: `create table acme.a (i int);
		create function other.f(acme.a) returns int language sql as 'select 1'`,
		want: []string{"function other.f(acme.a)"}},
	"a function that returns a table's rows": {sql: `create table acme.a (i int);
		create function other.f() returns setof acme.a language plpgsql as 'begin return; end'`,
		want: []string{"function other.f()"}},
	"a function with a parsed body": {sql: `create table acme.a (i int);
		create function other.f() returns bigint begin atomic select count(*) from acme.a; end`,
		want: []string{"function other.f()"}},
	"an aggregate": {sql: `create function acme.f(int, int) returns int language sql as 'select 1';
		create aggregate other.agg(int) (sfunc = acme.f, stype = int)`,
		want: []string{"aggregate other.agg(integer)"}},
	"a partition": {sql: `create table acme.p (i int primary key) partition by range (i);
		create table other.p1 partition of acme.p for values from (0) to (1)`,
		want: []string{"table other.p1"}},
	"a table that inherits": {sql: `create table acme.a (i serial primary key);
		create table other.h (j serial) inherits (acme.a)`,
		want: []string{"table other.h"}},
	"a typed table": {sql: `create type acme.c as (i int); create table other.t of acme.c`,
		want: []string{"table other.t"}},
	"a domain": {sql: `create type acme.e as enum ('x'); create domain other.d as acme.e;
		create table other.t (i int, d other.d)`,
		want: []string{"table column other.t.d", "type other.d"}},
	"a domain's constraint": {sql: `create function acme.f(int) returns bool immutable language sql as 'select true';
		create domain other.d as int constraint positive check (acme.f(value))`,
		want: []string{"domain constraint positive on other.d"}},
	"a composite type": {sql: `create type acme.e as enum ('x'); create type other.c as (i int, e acme.e)`,
		want: []string{"composite type column other.c.e"}},
	"a range type": {sql: `create type acme.e as enum ('x'); create type other.r as range (subtype = acme.e)`,
		want: []string{"type other.r"}},
	"an operator": {sql: `create function acme.f(int, int) returns bool language sql as 'select true';
		create operator other.=== (leftarg = int, rightarg = int, function = acme.f)`,
		want: []string{"operator other.===(integer,integer)"}},
	"an operator class": {sql: `create function acme.f(int, int) returns int immutable language sql as 'select 0';
		create operator class other.c for type int using btree as operator 1 <, operator 2 <=, operator 3 =,
			operator 4 >=, operator 5 >, function 1 acme.f(int, int)`,
		want: []string{"operator class other.c USING btree"}},
	"a part of an operator family": {sql: `create operator family other.f using btree;
		create function acme.f(int, bigint) returns int immutable language sql as 'select 0';
		alter operator family other.f using btree add function 1 (int, bigint) acme.f(int, bigint)`,
		want: []string{"function of access method function 1 (integer, bigint) of other.f USING btree"}},
	"a text search dictionary": {sql: `create extension unaccent schema acme;
		create text search dictionary other.d (template = acme.unaccent, rules = unaccent);
		create text search configuration other.c (copy = english);
		alter text search configuration other.c alter mapping for word with other.d, simple`,
		want: []string{"text search configuration other.c", "text search dictionary other.d"}},
	"a conversion": {sql: `create function acme.f(int, int, cstring, internal, int, bool) returns int
			language c strict as '$libdir/utf8_and_iso8859_1', 'iso8859_1_to_utf8';
		create conversion other.c for 'LATIN1' to 'UTF8' from acme.f`,
		want: []string{"conversion other.c"}},
	"a cast of others": {sql: `create type other.a as enum ('x');
		create function acme.f(other.a) returns int immutable language sql as 'select 1';
		create cast (other.a as int) with function acme.f(other.a)`,
		want: []string{"cast (other.a AS integer)"}},
	"an event trigger": {sql: `create function acme.f() returns event_trigger language plpgsql as 'begin end';
		create event trigger watch on ddl_command_end execute function acme.f()`,
		want: []string{"event trigger watch"}},
	"a foreign server": {sql: `create extension postgres_fdw schema acme;
		create server s foreign data wrapper postgres_fdw; create user mapping for public server s;
		create foreign table other.t (i int) server s`,
		want: []string{"foreign table other.t", "server s", "user mapping public on server s"}},
	"an extension that needs one": {sql: `create extension cube schema acme;
		create extension earthdistance schema other; create table other.t (e other.earth)`,
		want: []string{"extension earthdistance", "table column other.t.e"}},
	"an extension elsewhere with a part here": {sql: `create extension hstore schema other; create table acme.a (i int);
		alter extension hstore add table acme.a; create table other.t (h other.hstore)`,
		want: []string{"extension hstore", "table column other.t.h"}},
	"a constant of its name": {sql: `create table other.t (i regnamespace default 'acme'::regnamespace)`,
		want: []string{"default value for other.t.i"}},
	"a transform": {sql: `create type other.e as (i int);
		create function acme.f(internal) returns internal immutable language c as '$libdir/hstore', 'hstore_recv';
		create transform for other.e language sql (from sql with function acme.f(internal))`,
		want: []string{"transform for other.e on language sql"}, from16: []string{"transform for other.e language sql"}},
	"a language": {sql: `create function acme.h() returns language_handler language c
			as '$libdir/plpgsql', 'plpgsql_call_handler';
		create language tongue handler acme.h;
		create function other.f() returns int language tongue as ''`,
		want: []string{"function other.f()", "language tongue"}},
	"an access method": {sql: `create function acme.h(internal) returns index_am_handler language c
			as '$libdir/bloom', 'blhandler';
		create access method am type index handler acme.h`,
		want: []string{"access method am"}},
}

// TestDependentsAreWhatTheServerDrops compares, for each kind of object, what the queries find with what DROP SCHEMA …
// CASCADE really removes from the catalogs, all of which are read before and after.
func TestDependentsAreWhatTheServerDrops(t *testing.T) {
	c := superuser(t)
	for name, d := range dependents {
		t.Run(name, func(t *testing.T) {
			if pgtest.Shared(t).Version < d.since {
				t.Skip("this version does not have it")
			}
			do := func(sql string) {
				t.Helper()
				if _, err := c.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
					t.Fatal(err)
				}
			}
			defer func() { _, _ = c.Exec(context.Background(), "rollback") }()
			do(`begin; create schema acme; create schema other; create table other.t2 (i int primary key)`)
			do(d.sql)
			do("set local search_path = ''")
			got := collect[string](t, c, postgres.DependentsSQL("acme"))
			want := d.want
			if d.from16 != nil && pgtest.Shared(t).Version >= 16 {
				want = d.from16
			}
			servertest.Equal(t, "named", got, want)
			before, going := catalogs(t, c), objects(t, c, postgres.GoingSQL("acme"))
			do("savepoint s")
			_, err := c.PgConn().Exec(t.Context(), postgres.CascadeSQL("acme")).ReadAll()
			var refused *pgconn.PgError
			if errors.As(err, &refused) && refused.Code == "2BP01" && len(d.want) > 0 {
				do("rollback to s; drop schema acme cascade")
			} else if err != nil || len(d.want) > 0 {
				t.Errorf("the drop gives %v", err)
			}
			after := catalogs(t, c)
			maps.DeleteFunc(before, func(o object, _ bool) bool { return after[o] })
			if text := differences(before.whole(), going.whole()); text != "" {
				t.Error(text)
			}
		})
	}
}

// superuser connects to a new database as one who may create everything.
func superuser(t *testing.T) *pgx.Conn {
	t.Helper()
	server, database := pgtest.Shared(t), ""
	for _, name := range pgtest.Ask(t, pgtest.Database(t), "select current_database()::text") {
		database = name
	}
	c, err := pgx.Connect(t.Context(), server.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func collect[T any](t *testing.T, c *pgx.Conn, sql string) []T {
	t.Helper()
	rows, err := c.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// object is a row of a catalog, or a column.
type object struct{ Class, ID, Column int64 }

type objectSet map[object]bool

// whole leaves out the columns of tables that are in the set themselves.
func (s objectSet) whole() objectSet {
	s = maps.Clone(s)
	maps.DeleteFunc(s, func(o object, _ bool) bool { return o.Column != 0 && s[object{Class: o.Class, ID: o.ID}] })
	return s
}

func objects(t *testing.T, c *pgx.Conn, sql string) objectSet {
	t.Helper()
	rows, err := c.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[object])
	if err != nil {
		t.Fatal(err)
	}
	set := objectSet{}
	for _, o := range all {
		set[o] = true
	}
	return set
}

// catalogs reads every row of every catalog of the database that has an oid, and every column. The labels of an enum
// are left out: they are parts of their type, with no dependency recorded.
func catalogs(t *testing.T, c *pgx.Conn) objectSet {
	t.Helper()
	names := collect[string](t, c, `select c.oid::regclass::text from pg_catalog.pg_class c
		join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = 'oid' and a.attnum > 0
		where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'r' and not c.relisshared
		and c.relname <> 'pg_enum'`)
	var all []string
	for _, name := range names {
		all = append(all, "select tableoid::bigint, oid::bigint, 0 from "+name)
	}
	all = append(all, "select 'pg_catalog.pg_class'::regclass::oid::bigint, attrelid::bigint, attnum::int "+
		"from pg_catalog.pg_attribute where attnum > 0 and not attisdropped")
	return objects(t, c, strings.Join(all, " union all "))
}

// differences says what is in one set only.
func differences(removed, found objectSet) string {
	var all []string
	for o := range removed {
		if !found[o] {
			all = append(all, fmt.Sprintf("the server drops %+v, which was not found", o))
		}
	}
	for o := range found {
		if !removed[o] {
			all = append(all, fmt.Sprintf("the server does not drop %+v, which was found", o))
		}
	}
	return strings.Join(all, "\n")
}
