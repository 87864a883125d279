package fingerprint_test

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// look returns a fingerprint and the objects that it covers.
func look(t testing.TB, url string, o fingerprint.Options) (fingerprint.Fingerprint, []fingerprint.Object) {
	t.Helper()
	c, err := connect(t.Context(), url, postgres.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if o.Table.Name == "" {
		o.Table.Name = "schema_migrations"
	}
	f, err := fingerprint.Take(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := fingerprint.Describe(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	if f.Objects != len(objects) {
		t.Errorf("%d objects are hashed, %d described", f.Objects, len(objects))
	}
	return f, objects
}

// buildSchema creates a schema, and runs statements in it that name no schema.
func buildSchema(t testing.TB, url, schema, sql string) {
	t.Helper()
	name := pgtest.Identifier(schema)
	pgtest.Do(t, url, "create schema "+name+"; set search_path = "+name+"; "+sql)
}

// everything is one of each kind of object, without a schema.
const everything = `
create type mood as enum ('sad', 'ok', 'happy');
create type pair as (a integer, b text collate "C");
create domain email as text default 'x@y' not null constraint has_at check (value like '%@%');
create type span as range (subtype = float8, subtype_diff = float8mi);
create function greet(name text, times integer default 2) returns text
  language sql immutable strict parallel safe set search_path from current
  as $$ select repeat('hi ' || name, times) $$;
create function body(x integer) returns integer language sql return x + 1;
create procedure tidy() language plpgsql security definer as $$ begin null; end $$;
create aggregate total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
create table users (id bigint generated always as identity primary key, email text not null unique,
  name varchar(10) collate "C" default 'x', feeling mood default 'ok', born timestamptz default '2020-01-01 12:00+02',
  total numeric(10,2) generated always as (1.5) stored, check (length(name) > 0));
create table orders (id serial primary key, user_id bigint references users (id) on delete cascade deferrable,
  at daterange, exclude using gist (at with &&));
create table logs (at date not null, line text) partition by range (at);
create unlogged table scratch (like users);
create table kids (age integer) inherits (scratch);
create unique index users_email_idx on users (lower(email)) where name is not null;
create index on orders (user_id);
create index on logs (at);
create view people with (security_barrier) as select u.id, u.name from users u where u.name <> 'x';
create materialized view sums as select user_id, count(*) as n from orders group by 1;
create unique index on sums (user_id);
create sequence ticket start 100 increment 5 cycle maxvalue 1000;
create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger users_touch before update of name on users for each row
  when (old.name is distinct from new.name) execute function touch();
create rule no_delete as on delete to scratch do instead nothing;
alter table users enable row level security;
create policy own on users for select using (name = current_user);
create policy mine on users as restrictive to current_user with check (true);
create statistics users_stats (dependencies) on email, name from users;
create table schema_migrations (version varchar primary key);
`

const people = "create or replace view people with (security_barrier) as select u.id, u.name from users u "

func TestFingerprintSeesEveryChange(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, everything)
	norm, before := look(t, url, fingerprint.Options{})
	for _, c := range []struct{ change, back, want string }{
		{"alter table users add extra integer", "alter table users drop extra", "+ column users.extra integer"},
		{
			"alter table logs alter line type varchar(10)", "alter table logs alter line type text",
			"~ column logs.line text -> character varying(10)",
		},
		{"alter table users alter name set not null", "alter table users alter name drop not null", "not null"},
		{
			"alter table users alter name set default 'y'", "alter table users alter name set default 'x'",
			"-> character varying(10) collate \"C\" default 'y'",
		},
		{
			"drop index orders_user_id_idx", "create index on orders (user_id)",
			"- index orders_user_id_idx ON orders USING btree (user_id)",
		},
		{
			"alter table orders add check (id > 0)", "alter table orders drop constraint orders_id_check",
			"+ constraint orders.orders_id_check CHECK ((id > 0))",
		},
		{
			"alter table orders drop constraint orders_user_id_fkey",
			"alter table orders add foreign key (user_id) references users (id) on delete cascade deferrable",
			"- constraint orders.orders_user_id_fkey FOREIGN KEY",
		},
		{
			"alter table users disable trigger users_touch", "alter table users enable trigger users_touch",
			"EXECUTE FUNCTION touch(), disabled",
		},
		{
			"alter table users disable row level security", "alter table users enable row level security",
			"~ table users row level security -> (plain)",
		},
		{
			"alter policy own on users using (true)", "alter policy own on users using (name = current_user)",
			"-> permissive for select to public using (true)",
		},
		{"alter sequence ticket increment 6", "alter sequence ticket increment 5", "increment 5 from"},
		{"alter sequence users_id_seq cache 7", "alter sequence users_id_seq cache 1", "cache 7 owned by users.id"},
		{
			"create or replace function touch() returns trigger language plpgsql as $$ begin\nnull; return new; end $$",
			"create or replace function touch() returns trigger language plpgsql as $$ begin return new; end $$",
			"~ function touch()\n    -  begin return new; end \n    +  begin\n    + null; return new; end ",
		},
		{
			"create or replace function body(x integer) returns integer language sql return x + 2",
			"create or replace function body(x integer) returns integer language sql return x + 1",
			"    + RETURN (x + 2)",
		},
		{
			"alter function greet stable", "alter function greet immutable",
			"~ function greet(name text, times integer)\n    - (name text",
		},
		{
			people + "where u.name <> 'y'", people + "where u.name <> 'x'", "~ view people\n    - ",
		},
		{
			"alter view people reset (security_barrier)", "alter view people set (security_barrier)",
			"    - with (security_barrier=true)",
		},
		{
			"alter domain email drop not null", "alter domain email set not null",
			"~ domain email text not null default",
		},
		{
			"alter type pair rename attribute a to z", "alter type pair rename attribute z to a",
			`~ type pair composite (a integer, b text collate "C") -> composite (z integer, b text collate "C")`,
		},
		{
			"create table t (id serial primary key, a int unique); create index on t (a)", "drop table t",
			"+ table t (2 columns, 2 constraints, 1 index, 1 sequence)",
		},
		{
			"create table schema_migrations_2 (i int)", "drop table schema_migrations_2",
			"+ table schema_migrations_2 (1 column)",
		},
		{
			"create schema other; create table other.t (i int)", "drop schema other cascade",
			"+ schema other\n+ table other.t (1 column)",
		},
		{
			"drop statistics users_stats", "create statistics users_stats (dependencies) on email, name from users",
			"- statistics users_stats (f) on email, name from users",
		},
		{
			"alter type mood add value 'new' before 'ok'", "",
			"~ type mood enum ('sad', 'ok', 'happy') -> enum ('sad', 'new', 'ok', 'happy')",
		},
	} {
		pgtest.Do(t, url, c.change)
		got, after := look(t, url, fingerprint.Options{})
		diff := strings.Join(fingerprint.Diff(before, after), "\n")
		if got.Hash == norm.Hash || !strings.Contains(diff, c.want) {
			t.Errorf("%s: the hash differs: %t; want %q in\n%s", c.change, got.Hash != norm.Hash, c.want, diff)
		}
		if c.back != "" {
			pgtest.Do(t, url, c.back)
			continue
		}
		// Everything else has been undone, so this restores the beginning.
		pgtest.Do(t, url, "drop type mood cascade; create type mood as enum ('sad', 'ok', 'happy'); "+
			"alter table users add feeling mood default 'ok'; alter table scratch add feeling mood")
		if again, objects := look(t, url, fingerprint.Options{}); again.Hash != norm.Hash {
			t.Errorf("not the same again:\n%s", strings.Join(fingerprint.Diff(before, objects), "\n"))
		}
	}
}

// What differs between databases without anybody's doing, or on purpose, is no drift.
func TestFingerprintSeesNothingElse(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, everything)
	norm, before := look(t, url, fingerprint.Options{})
	for _, change := range []string{
		"insert into users (email) values ('a@b'); select nextval('ticket'); refresh materialized view sums; analyze",
		"create table logs_2020 partition of logs for values from ('2020-01-01') to ('2021-01-01'); " +
			"create index on logs_2020 (line)",
		"insert into schema_migrations values ('1'); create index on schema_migrations (version)",
		// This makes it the last column.
		"alter table users drop name cascade; alter table users add name varchar(10) collate \"C\" default 'x'",
		"create table gone (i int); drop table gone; grant select on users to public; " +
			"comment on table users is 'x'; alter table users set (fillfactor = 50)",
		"alter table users alter email set statistics 500; create temporary table t (i int)",
	} {
		pgtest.Do(t, url, change)
		if strings.Contains(change, "drop name") {
			pgtest.Do(t, url, `alter table users add check (length(name) > 0);
				create unique index users_email_idx on users (lower(email)) where name is not null;
				create view people with (security_barrier) as select u.id, u.name from users u where u.name <> 'x';
				create trigger users_touch before update of name on users for each row
					when (old.name is distinct from new.name) execute function touch();
				create policy own on users for select using (name = current_user);
				create statistics users_stats (dependencies) on email, name from users`)
		}
		if got, after := look(t, url, fingerprint.Options{}); got.Hash != norm.Hash {
			t.Errorf("%s:\n%s", change, strings.Join(fingerprint.Diff(before, after), "\n"))
		}
	}
	// The settings of a database or a role do not count either.
	database := pgtest.Ask(t, url, "select quote_ident(current_database())")[0]
	for _, setting := range []string{
		"timezone = 'Asia/Tokyo'", "datestyle = 'SQL, DMY'", "search_path = users, nowhere",
		"quote_all_identifiers = on", "bytea_output = escape",
	} {
		pgtest.Do(t, url, "alter database "+database+" set "+setting)
	}
	if got, after := look(t, url, fingerprint.Options{}); got.Hash != norm.Hash {
		t.Errorf("settings:\n%s", strings.Join(fingerprint.Diff(before, after), "\n"))
	}
}

// Schemas that the same statements made are equal, whatever their names; and none of the functions in them is called.
func TestFingerprintOfSchemas(t *testing.T) {
	url := pgtest.Database(t)
	const raises = " language plpgsql as $$ begin raise exception 'called'; end $$; "
	trap := "create function lower(text) returns text" + raises +
		"create function count(integer) returns integer" + raises +
		"create function same(oid, oid) returns boolean" + raises +
		"create operator = (leftarg = oid, rightarg = oid, function = same); " +
		"create function concat_ws(text, text, text) returns text" + raises +
		"create function quote_ident(name) returns text" + raises +
		"create table pg_class (i integer); create table users2 (i integer)"
	names := []string{
		"plain", "users", "pg", "Tenant \"A\"; drop schema public --", `back\slash'quote`, "ünïcode 東京", "select",
		strings.Repeat("x", 63), "public2", "money", "$$", "{{home}}", "{{uncommon}}", "{{catalog pg_class}}",
	}
	var first fingerprint.Fingerprint
	var norm []fingerprint.Object
	for _, name := range names {
		buildSchema(t, url, name, everything+trap)
		got, objects := look(t, url, fingerprint.Options{Schema: name})
		if name == names[0] {
			first, norm = got, objects
			continue
		}
		if got.Hash != first.Hash {
			t.Errorf("%s:\n%s", name, strings.Join(fingerprint.Diff(norm, objects), "\n"))
		}
	}
	// A change counts in its own schema only.
	pgtest.Do(t, url, `alter table "select".users add extra integer`)
	if got, _ := look(t, url, fingerprint.Options{Schema: "users"}); got.Hash != first.Hash {
		t.Error("another schema's column counts")
	}
	got, objects := look(t, url, fingerprint.Options{Schema: "select"})
	if got.Hash == first.Hash {
		t.Error("the schema's own column does not count")
	}
	servertest.Equal(t, "difference", fingerprint.Diff(norm, objects), []string{"+ column users.extra integer"})
	got, objects = look(t, url, fingerprint.Options{Schema: "nowhere"})
	if len(objects) != 0 || got.Hash == first.Hash {
		t.Errorf("a missing schema: %+v, %v", got, objects)
	}
}

// No setting stays in the session, even after an error.
func TestFingerprintLeavesTheSessionAsItWas(t *testing.T) {
	url := pgtest.Database(t)
	c, err := connect(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, schema := range []string{"", "no\x00where", "a"} {
		if _, err := fingerprint.Take(t.Context(), c, fingerprint.Options{Schema: schema}); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Exec(t.Context(), "create table here (i int)"); err != nil {
		t.Fatal(err)
	}
	if got := pgtest.Ask(t, url, "select 'public.here'::regclass")[0]; got != "here" {
		t.Errorf("got %s", got)
	}
}

func TestRequiredTables(t *testing.T) {
	url := pgtest.Database(t)
	hostile := `we"ird'; drop table a; --`
	pgtest.Do(t, url, "create table a (i int); create view v as select 1; create sequence s; "+
		"create schema \"other\"; create table other.b (i int); "+
		"create table "+pgtest.Identifier(hostile)+" (i int)")
	var required []postgres.Table
	for _, name := range []string{
		"a", "b", "v", "s", "other.b", "nowhere.a", "public.a", "A", hostile, `x"'\;--`, "a_pkey",
	} {
		table, err := postgres.ParseTable(name)
		if err != nil {
			t.Fatal(err)
		}
		required = append(required, table)
	}
	got, _ := look(t, url, fingerprint.Options{Required: required})
	servertest.Equal(t, "missing", got.Missing, []string{"b", "s", "nowhere.a", "A", `x"'\;--`, "a_pkey"})
	got, _ = look(t, url, fingerprint.Options{Required: required[:5], Schema: "other"})
	servertest.Equal(t, "missing in the schema", got.Missing, []string{"a", "v", "s"})
}

// An extension counts, but neither its objects nor its version.
func TestFingerprintAndExtensions(t *testing.T) {
	url := pgtest.Database(t)
	norm, before := look(t, url, fingerprint.Options{})
	database := pgtest.Ask(t, url, "select current_database()")[0]
	err := pgtest.Shared(t).Exec(t.Context(), database,
		"create schema ext; create extension pg_trgm schema ext; create extension citext")
	if err != nil {
		t.Skip(err) // contrib is not installed
	}
	got, after := look(t, url, fingerprint.Options{})
	servertest.Equal(t, "difference", fingerprint.Diff(before, after),
		[]string{"+ extension citext schema public", "+ schema ext", "+ extension pg_trgm schema ext"})
	if got.Hash == norm.Hash || len(got.Extensions) != 2 || !strings.HasPrefix(got.Extensions[1], "pg_trgm 1.") {
		t.Errorf("got %+v", got)
	}
}

// Drizzle's table does not count, nor what comes with it: a sequence, and a schema that holds nothing else.
func TestDrizzlesTableDoesNotCount(t *testing.T) {
	const table = ".__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)"
	drizzles := func(schema string) fingerprint.Options {
		name := postgres.Table{Schema: schema, Name: "__drizzle_migrations"}
		return fingerprint.Options{Table: postgres.Ledger{Table: name, Format: postgres.Drizzle}}
	}
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create table a (id serial)")
	for _, o := range []fingerprint.Options{drizzles("drizzle"), drizzles("public"), drizzles("")} {
		without, _ := look(t, url, o)
		schema := o.Table.Schema
		if schema == "" {
			schema = "public"
		}
		pgtest.Do(t, url, "create schema if not exists "+schema+"; create table "+schema+table)
		if with, objects := look(t, url, o); with.Hash != without.Hash {
			t.Errorf("%+v: %v", o, objects)
		}
		pgtest.Do(t, url, "create sequence "+schema+".other")
		if other, _ := look(t, url, o); other.Hash == without.Hash {
			t.Errorf("%+v: another sequence does not count", o)
		}
		pgtest.Do(t, url, "drop sequence "+schema+".other; drop table "+schema+".__drizzle_migrations; "+
			"drop schema if exists drizzle")
	}
}
