package fingerprint_test

import (
	"context"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// kindCase is a change of a schema that counts, and what a reader sees of it.
type kindCase struct {
	before       string // what both schemas have
	change, back string
	want         string // "": the change does not count
	whole        bool   // it concerns a database, not a schema
	role         bool   // it needs a role with the tenant's name
}

var kindCases = map[string]kindCase{
	"a collation that is not deterministic": {
		before: "create collation c (provider = icu, locale = 'en-u-ks-level2'); create table t (a text collate c)",
		change: "alter table t alter a type text; drop collation c; create collation c (provider = icu, " +
			"locale = 'en-u-ks-level2', deterministic = false); alter table t alter a type text collate c",
		back: "alter table t alter a type text; drop collation c; create collation c (provider = icu, " +
			"locale = 'en-u-ks-level2'); alter table t alter a type text collate c",
		want: "~ collation c provider i locale 'en-u-ks-level2' -> " +
			"provider i locale 'en-u-ks-level2' not deterministic",
	},
	"triggers of foreign keys that are disabled": {
		before: "create table p (id integer primary key); create table c (p integer references p)",
		change: "alter table c disable trigger all", back: "alter table c enable trigger all",
		want: "not checked on changes of c",
	},
	"those of the table that is referenced": {
		before: "create table p (id integer primary key); create table c (p integer references p)",
		change: "alter table p disable trigger all", back: "alter table p enable trigger all",
		want: "not checked on changes of p",
	},
	"a text search configuration": {
		before: "create text search configuration s (copy = english)",
		change: "alter text search configuration s alter mapping for word with simple",
		back:   "alter text search configuration s alter mapping for word with english_stem",
		want:   "~ text search configuration s\n    - 2 with english_stem\n    + 2 with simple",
	},
	"a text search dictionary": {
		before: "create text search dictionary d (template = simple, accept = true)",
		change: "alter text search dictionary d (accept = false)",
		back:   "alter text search dictionary d (accept = true)",
		want:   "~ text search dictionary d template simple accept = 'true' -> template simple accept = 'false'",
	},
	"a table that is published": {
		before: "create table t (a integer primary key, b integer); create publication {own}",
		change: "alter publication {own} add table t", back: "alter publication {own} drop table t",
		want: "+ published table t.(its own)",
	},
	"the columns that are published": {
		before: "create table t (a integer primary key, b integer); create publication {own} for table t (a)",
		change: "alter publication {own} set table t (b, a)", back: "alter publication {own} set table t (a)",
		want: "~ published table t.(its own) (a) -> (a, b)",
	},
	"what a publication publishes": {
		before: "create publication p", change: "alter publication p set (publish = 'insert')",
		back: "alter publication p set (publish = 'insert, update, delete, truncate')",
		want: "~ publication p insert, update, delete, truncate -> insert", whole: true,
	},
	"replica identity by another index": {
		before: "create table t (a integer not null, b integer not null); create unique index x on t (a); " +
			"create unique index y on t (b); alter table t replica identity using index x",
		change: "alter table t replica identity using index y", back: "alter table t replica identity using index x",
		want: "~ table t replica identity index x -> replica identity index y",
	},
	"options of a server, which may be secret": {
		before: "create foreign data wrapper w; create server s foreign data wrapper w options (host 'a', " +
			"password 'hidden1', dbname '{own}')",
		change: "alter server s options (set host 'b')", back: "alter server s options (set host 'a')", whole: true,
		want: "~ server s foreign data wrapper w options (dbname (its own), host 'a', password) -> " +
			"foreign data wrapper w options (dbname (its own), host 'b', password)",
	},
	"secret options of a server": {
		before: "create foreign data wrapper w; create server s foreign data wrapper w options (password 'hidden1')",
		change: "alter server s options (set password 'hidden2')",
		back:   "alter server s options (set password 'hidden1')", whole: true,
	},
	"options of a foreign table": {
		before: "create foreign data wrapper {own}; create server {own} foreign data wrapper {own}; " +
			"create foreign table t (a integer options (column_name 'x')) server {own} options (schema_name '{own}')",
		change: "alter foreign table t alter a options (set column_name 'y')",
		back:   "alter foreign table t alter a options (set column_name 'x')",
		want:   "~ options t.a column_name 'x' -> column_name 'y'",
	},
	"an extension in another schema": {
		before: "create extension citext", change: "create schema e; alter extension citext set schema e",
		back: "alter extension citext set schema public; drop schema e",
		want: "~ extension citext schema public -> schema e", whole: true,
	},
	"a cast": {
		before: "create type m as enum ('a'); " +
			"create function i(m) returns integer language sql immutable as 'select 1'",
		change: "create cast (m as integer) with function i(m) as assignment", back: "drop cast (m as integer)",
		want: "+ cast m as integer function i(m) as assignment",
	},
	"an operator": {
		before: "create function e(text, text) returns boolean language sql immutable as 'select true'; " +
			"create operator === (leftarg = text, rightarg = text, function = e)",
		change: "drop operator === (text, text); " +
			"create operator === (leftarg = text, rightarg = text, function = e, hashes)",
		back: "drop operator === (text, text); create operator === (leftarg = text, rightarg = text, function = e)",
		want: "~ operator === (text, text) function e(text,text) -> function e(text,text) hashes",
	},
	"an operator class": {
		before: "create operator class o for type integer using btree as operator 1 <, " +
			"function 1 btint4cmp(integer, integer)",
		change: "alter operator family o using btree add operator 3 = (integer, bigint)",
		back:   "alter operator family o using btree drop operator 3 (integer, bigint)",
		want:   "~ operator family o using btree\n    + operator 3 =(integer,bigint) s",
	},
	"a conversion": {
		before: "create conversion v for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
		change: "drop conversion v; create default conversion v for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
		back:   "drop conversion v; create conversion v for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
		want:   "~ conversion v LATIN1 to UTF8",
	},
	"an aggregate": {
		before: "create aggregate g (integer) (sfunc = int4pl, stype = integer)",
		change: "create or replace aggregate g (integer) (sfunc = int4pl, stype = integer, initcond = 5)",
		back:   "create or replace aggregate g (integer) (sfunc = int4pl, stype = integer)",
		want:   "initcond '5'",
	},
	"a partition of a list of texts": {
		before: "create table l (r text) partition by list (r); create table l_a partition of l for values in ('a')",
		change: "create table l_b partition of l for values in ('b')", back: "drop table l_b",
		want: "+ partition l.l_b FOR VALUES IN ('b')",
	},
	"a partition of a hash": {
		before: "create table h (i integer) partition by hash (i)",
		change: "create table h_0 partition of h for values with (modulus 2, remainder 0)", back: "drop table h_0",
		want: "+ partition h.h_0 FOR VALUES WITH (modulus 2, remainder 0)",
	},
	"a default partition": {
		before: "create table r (i integer) partition by range (i)",
		change: "create table r_d partition of r default", back: "drop table r_d", want: "+ partition r.r_d DEFAULT",
	},
	"a partition of a range": {
		before: "create table r (i integer) partition by range (i)",
		change: "create table r_1 partition of r for values from (1) to (2)", back: "drop table r_1",
	},
	"a partition of a list of numbers or dates": {
		before: "create table n (i integer) partition by list (i); create table d (a date) partition by list (a)",
		change: "create table n_1 partition of n for values in (1); " +
			"create table d_1 partition of d for values in ('2020-01-01')",
		back: "drop table n_1, d_1",
	},
	"a partition with a serial of its own": {
		before: "create table r (i integer, s integer) partition by range (i)",
		change: "create table r_1 (i integer, s serial not null); alter table r_1 alter s drop not null; " +
			"alter table r attach partition r_1 for values from (1) to (2)",
		back: "drop table r_1",
	},
	"storage parameters of an index": {
		before: "create table t (a integer, b text); create index x on t (a) include (b) where b <> ' WITH '; " +
			"create materialized view m as select 1 as a; create index g on t using gin (to_tsvector('simple', b))",
		change: "alter index x set (fillfactor = 60, deduplicate_items = off); alter materialized view m set " +
			"(fillfactor = 50, autovacuum_enabled = off); alter index g set (fastupdate = off)",
		back: "alter index x reset (fillfactor, deduplicate_items); alter materialized view m reset " +
			"(fillfactor, autovacuum_enabled); alter index g reset (fastupdate)",
	},
	"options of a view": {
		before: "create view v as select 1 as a", change: "alter view v set (security_barrier)",
		back: "alter view v reset (security_barrier)", want: "    + with (security_barrier=true)",
	},
	"an index that orders otherwise": {
		before: "create table t (a integer, b text); create index x on t (a, b)",
		change: "drop index x; create index x on t (a desc, b text_pattern_ops)",
		back:   "drop index x; create index x on t (a, b)",
		want:   "~ index x ON t USING btree (a, b) -> ON t USING btree (a DESC, b text_pattern_ops)",
	},
	"a constraint that is not validated": {
		before: "create table t (a integer); alter table t add constraint k check (a > 0) not valid",
		change: "alter table t validate constraint k",
		back:   "alter table t drop constraint k, add constraint k check (a > 0) not valid",
		want:   "~ constraint t.k CHECK ((a > 0)) NOT VALID -> CHECK ((a > 0))",
	},
	"the order of a list that is searched": {
		before: "create function f() returns integer language sql set search_path = pg_catalog, {home} as 'select 1'",
		change: "alter function f() set search_path = {home}, pg_catalog",
		back:   "alter function f() set search_path = pg_catalog, {home}",
		want:   "set search_path=(its own), pg_catalog",
	},
	"a policy's role": {
		role:   true,
		before: "create table t (a integer); create policy p on t to {own}",
		change: "alter policy p on t to public", back: "alter policy p on t to {own}",
		want: "~ policy t.p permissive for all to its own role -> permissive for all to public",
	},
	"an argument of a trigger": {
		before: "create table t (a text); create function f() returns trigger language plpgsql as 'begin end'; " +
			"create trigger g before update on t for each row when (new.a <> 'x') execute function f('{own}', 'x')",
		change: "drop trigger g on t; create trigger g before update on t for each row when (new.a <> 'x') " +
			"execute function f('y', 'x')",
		back: "drop trigger g on t; create trigger g before update on t for each row when (new.a <> 'x') " +
			"execute function f('{own}', 'x')",
		want: "~ trigger t.g CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW",
	},
}

// What changes how an application behaves counts, in a tenant's database as in its schema, and only that. Two tenants
// made by the same statements are equal, whatever their names.
func TestWhichKindsCount(t *testing.T) {
	s := pgtest.Shared(t)
	for name, c := range kindCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servertest.OneOf(t, 4)
			url := newDatabase(t, s, "a")
			tenants := []kindTenant{
				{url: url, own: databaseName(t, url), home: "public"}, {url: newDatabase(t, s, "b"), home: "public"},
			}
			tenants[1].own = databaseName(t, tenants[1].url)
			c.check(t, s, tenants)
			if !c.whole {
				c.check(t, s, []kindTenant{{url: url, own: "one", schema: "one", home: "one"},
					{url: url, own: "Other \"one\"", schema: "Other \"one\"", home: "Other \"one\""}})
			}
		})
	}
}

// kindTenant is a database, or a schema of one.
type kindTenant struct{ url, own, schema, home string }

func databaseName(t *testing.T, url string) string {
	return pgtest.Ask(t, url, "select current_database()")[0]
}

func (k kindTenant) do(t *testing.T, sql string) {
	t.Helper()
	path := ""
	if k.schema != "" {
		path = "set search_path = " + pgtest.Identifier(k.schema) + "; "
	}
	pgtest.Do(t, k.url, path+strings.NewReplacer("'{own}'", pgtest.Literal(k.own), "{own}", pgtest.Identifier(k.own),
		"{home}", pgtest.Identifier(k.home)).Replace(sql))
}

// check changes the second tenant, and changes it back.
func (c kindCase) check(t *testing.T, s *pgtest.Server, tenants []kindTenant) {
	t.Helper()
	for _, k := range tenants {
		if k.schema != "" {
			pgtest.CreateSchemas(t, k.url, k.schema)
		}
		if c.role {
			k.do(t, "create role {own}")
			database := databaseName(t, k.url)
			t.Cleanup(func() {
				_ = s.Exec(context.Background(), database, "drop owned by "+pgtest.Identifier(k.own),
					"drop role "+pgtest.Identifier(k.own))
			})
		}
		k.do(t, c.before)
	}
	norm, before := look(t, tenants[0].url, fingerprint.Options{Schema: tenants[0].schema})
	second := func(same bool) []fingerprint.Object {
		t.Helper()
		f, objects := look(t, tenants[1].url, fingerprint.Options{Schema: tenants[1].schema, Uncommon: !same})
		if diff := fingerprint.Diff(before, objects); same != (f.Hash == norm.Hash) || same != (diff == nil) {
			t.Errorf("equal: %t, want %t:\n%s", f.Hash == norm.Hash, same, strings.Join(diff, "\n"))
		}
		return objects
	}
	second(true)
	tenants[1].do(t, c.change)
	after := second(c.want == "")
	if diff := strings.Join(fingerprint.Diff(before, after), "\n"); !strings.Contains(diff, c.want) {
		t.Errorf("want %q in\n%s", c.want, diff)
	}
	tenants[1].do(t, c.back)
	second(true)
	for _, o := range append(before, after...) {
		if strings.Contains(o.Definition, "hidden") {
			t.Errorf("a secret is described: %+v", o)
		}
	}
}
