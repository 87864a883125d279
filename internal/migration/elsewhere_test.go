package migration_test

import (
	"errors"
	neturl "net/url"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestCheckSchemas(t *testing.T) {
	for name, c := range map[string]struct{ sql, want string }{
		"path":               {"select 1;\nset search_path = public", "1_a.sql: line 3: changes the search_path"},
		"local path":         {"set local search_path to acme, public", "line 2: changes the search_path"},
		"session path":       {"SET SESSION Search_Path TO public", "line 2: changes the search_path"},
		"schema":             {"set schema 'public'", "line 2: changes the search_path"},
		"set_config":         {"select pg_catalog.set_config('search_path', 'public', false)", "line 2: changes"},
		"emptied":            {"set search_path = ''; select pg_catalog.set_config('search_path', '', false)", ""},
		"reset":              {"reset search_path", ""},
		"another setting":    {"set local statement_timeout = 0; select set_config('work_mem', '4MB', true)", ""},
		"of a function":      {"create function f() returns int language sql set search_path = public return 1", ""},
		"extension":          {"create extension if not exists citext", "line 2: CREATE EXTENSION without a schema"},
		"extension, cascade": {"create extension citext cascade", "line 2: CREATE EXTENSION without a schema"},
		"extension, placed":  {"create extension if not exists citext with schema public", ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := files(t, "1_a.sql", up(c.sql)).CheckSchemas()
			var problems *migration.FilesError
			if errors.As(err, &problems) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A file that puts something into another schema is named, once for each tenant that runs or would run it.
func TestWarnsOfOtherSchemas(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.CreateSchemas(t, url, "one", "two")
	conn := openShared(t, url)
	m := files(t,
		"1_dump.sql", up("select pg_catalog.set_config('search_path', '', false);\n"+
			"create table if not exists public.users (i int);\n"+
			"create unique index if not exists users_i on only \"public\".users (i);\n"+
			"create or replace view public.\"V\" as select 1"),
		"2_own.sql", up("create table one.a (i int); create index on one.a (i); create table b (i int); "+
			"create temporary table t (i int); create trigger x after insert on one.a for each row "+
			"execute function suppress_redundant_updates_trigger()"))
	want := []string{"db/migrations/1_dump.sql puts something outside of the schema that is migrated: " +
		"line 3: table public.users, line 4: index public.users, line 5: view public.V"}
	o := inSchema("one")
	for _, o.DryRun = range []bool{true, false} {
		got, err := migration.Migrate(t.Context(), conn, m, o)
		if err != nil {
			t.Fatal(err)
		}
		servertest.Equal(t, "warnings", got.Warnings, want)
	}
	got, err := migration.Migrate(t.Context(), conn, m, inSchema("one"))
	if err != nil || len(got.Warnings) > 0 {
		t.Errorf("again: %v, %v", got.Warnings, err)
	}
	o = inSchema("two")
	o.DryRun = true
	got, err = migration.Migrate(t.Context(), conn, m, o)
	const own = "line 2: table one.a, line 2: index one.a"
	if err != nil || len(got.Warnings) != 2 || !strings.Contains(got.Warnings[1], own) {
		t.Errorf("another's schema: %q, %v", got.Warnings, err)
	}
}

// What is done once for every schema, and what leaves it, is named.
func TestPutElsewhere(t *testing.T) {
	for sql, want := range map[string]string{
		"insert into public.plans values (1)":                "line 2: rows of public.plans",
		`INSERT INTO "Odd"."T" select 1`:                     "line 2: rows of Odd.T",
		"alter table t set schema public":                    "line 2: table public.t",
		"alter extension citext set schema public":           "",
		"insert into one.t values (1)":                       "",
		"insert into t select * from public.plans":           "",
		"alter table t add column schema int":                "",
		"alter table t alter column schema set default null": "",
	} {
		url := pgtest.Database(t)
		pgtest.CreateSchemas(t, url, "one")
		o := inSchema("one")
		o.DryRun = true
		got, err := migration.Migrate(t.Context(), openShared(t, url), files(t, "1_a.sql", up(sql)), o)
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(got.Warnings, "\n"); want == "" && all != "" || !strings.HasSuffix(all, want) {
			t.Errorf("%s: %q", sql, all)
		}
	}
}

// Whatever a file does to the search_path in ways that its text does not show, names do not reach another schema.
func TestPathChangedInside(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.CreateSchemas(t, url, "one")
	m := files(t, "1_a.sql", up("do $$ begin execute 'set search_path = public'; end $$; create table a ()"))
	_, err := migration.Migrate(t.Context(), openShared(t, url), m, inSchema("one"))
	if err == nil || !strings.Contains(err.Error(), "it changed the search_path") {
		t.Errorf("got %v", err)
	}
	servertest.Equal(t, "relations", pgtest.Relations(t, url), []string{})
}

// The remedy for a type that is not found is the one that helps where an extension was put into one tenant's schema.
func TestExtensionInOneSchema(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.CreateSchemas(t, url, "one", "two")
	pgtest.Do(t, url, "create extension citext schema one")
	conn := openShared(t, url)
	m := files(t, "1_a.sql", up("create table a (i citext)"))
	_, err := migration.Migrate(t.Context(), conn, m, inSchema("two"))
	remedy := "alter extension citext set schema public"
	if causeOf(t, err) != migration.NameElsewhere || !strings.Contains(remedies.Of(err), remedy) {
		t.Errorf("got %v: %s", err, remedies.Of(err))
	}
	admin, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Do(t, pgtest.Shared(t).URL(strings.TrimPrefix(admin.Path, "/")), remedy)
	m = files(t, "1_a.sql", up("create table a (i public.citext)"))
	if _, err := migration.Migrate(t.Context(), conn, m, inSchema("two")); err != nil {
		t.Error(err)
	}
}
