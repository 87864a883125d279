package fingerprint_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestEveryStatementIsRead(t *testing.T) {
	if unread, all := fingerprint.Unread(); unread > 0 || all < 18 {
		t.Errorf("%d of %d statements are read by nothing", unread, all)
	}
}

// PostgreSQL's own numbers are those of its sources on every major.
func TestNumbersOfCatalogs(t *testing.T) {
	url := pgtest.Database(t)
	names := slices.Sorted(maps.Keys(fingerprint.Catalogs))
	got := pgtest.Ask(t, url, "select coalesce(to_regclass('pg_catalog.' || n)::oid::text, '') from unnest('{"+
		strings.Join(names, ",")+"}'::text[]) n")
	for i, name := range names {
		missing := name == "pg_publication_namespace" && got[i] == "" // before 15
		if !missing && got[i] != fmt.Sprint(fingerprint.Catalogs[name]) {
			t.Errorf("%s has the number %s, not %d", name, got[i], fingerprint.Catalogs[name])
		}
	}
}

// Whatever owns a sequence, it counts, unless it is a partition.
func TestSequencesAndTheirOwners(t *testing.T) {
	url := pgtest.Database(t)
	buildSchema(t, url, "s", `
		create sequence alone;
		create table schema_migrations (version varchar primary key, id serial);
		create table "Some" ("Key" serial);
		create view v as select 1 as a;
		create sequence viewed owned by v.a;
		create table parted (i serial, k integer) partition by list (k);
		create table part partition of parted for values in (1);
		create sequence of_part owned by part.k`)
	_, objects := look(t, url, fingerprint.Options{Schema: "s"})
	var got []string
	for _, o := range objects {
		if o.Kind == "sequence" {
			_, owner, _ := strings.Cut(o.Definition, " owned by ")
			got = append(got, o.Name+" of "+owner)
		}
	}
	servertest.Equal(t, "the sequences", got, []string{`"Some_Key_seq" of "Some"."Key"`, "alone of ",
		"parted_i_seq of parted.i", "schema_migrations_id_seq of schema_migrations.id", "viewed of v.a"})
}

// Reports and records keep hashes, and later releases compare with them: another hash needs another
// fingerprint.Version. What is created here is printed alike by all majors.
func TestTheHashStaysWhatItWas(t *testing.T) {
	url := pgtest.Database(t)
	buildSchema(t, url, "stays", `
		create type mood as enum ('sad', 'it''s "ok"', 'back\slash');
		create type pair as (a integer, b text collate "C");
		create domain email as text default 'x@y' not null constraint has_at check (value like '%@%')
			constraint again check (value <> '');
		create table users (id bigint generated always as identity primary key, email text not null unique,
			born timestamptz default '2020-01-01 12:00+02', check (length(email) > 0 and id > 0),
			twice bigint generated always as (3 * 2) stored);
		create table "Orders" (id serial primary key, user_id bigint references users on delete cascade);
		create unlogged table kids (age integer) inherits ("Orders");
		create index on "Orders" (user_id desc) where id > 1;
		create unique index "some" on users (email, id) with (fillfactor = 60) where email <> ' WITH (';
		alter table users enable row level security;
		create policy own on users for select using (email = current_user and id > 1);
		create view people with (security_barrier) as select 1 as one;
		create materialized view sums as select 2 as two;
		create sequence ticket start 100 increment 5 cycle maxvalue 1000;
		create function greet(name text, times integer default 2) returns text language sql immutable strict
			parallel safe set search_path from current set work_mem = '4MB' as $$ select E'a\tb\\\x01ü' || "name"
			$$;
		create procedure tidy() language plpgsql security definer as $$ begin null; end $$;
		create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
		create trigger users_touch before update of email on users for each row
			when (old.email is distinct from new.email) execute function touch('stays', 'x');
		create rule no_delete as on delete to kids do instead nothing;
		create collation sorted (locale = 'C')`)
	f, objects := look(t, url, fingerprint.Options{Schema: "stays"})
	const want = "0d26c8ee501f31b8c7e48746a4b4ce0470f7e5146d552dcc3daf5c239669da05"
	if f.Hash != want {
		t.Errorf("got %s for %+v", f.Hash, objects)
	}
}

func TestStorageParametersOfIndexes(t *testing.T) {
	for name, c := range map[string]struct {
		definition string
		options    []string
		want       string
	}{
		"none":     {" USING btree (a)", nil, " USING btree (a)"},
		"one":      {" USING btree (a) WITH (fillfactor='60')", []string{"fillfactor=60"}, " USING btree (a)"},
		"several":  {"x WITH (fillfactor='6', fastupdate=off) y", []string{"fillfactor=6", "fastupdate=off"}, "x y"},
		"a name":   {"x WITH (\"all\"=on)", []string{"all=on"}, "x"},
		"a text":   {"x WITH (a=b) WHERE (c <> ' WITH (d'::text)", []string{"a=b"}, "x WHERE (c <> ' WITH (d'::text)"},
		"an equal": {"x WITH (a='b=c')", []string{"a=b=c"}, "x"},
		"another":  {"x WITH (a=b)", []string{"a=c"}, "x WITH (a=b)"},
	} {
		if got := fingerprint.WithoutOptions(c.definition, c.options); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
