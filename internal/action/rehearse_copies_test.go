package action

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// Where there are no branches, the copy is on the tenant's own server: with its data if nobody uses the database.
func TestRehearsalOnACopy(t *testing.T) {
	f, catalog := newFleet(t, named("unused")...), catalogDatabase(t)
	askAll(t, catalog, "create table schools (name text, database text); "+
		"insert into schools select s, lower(s) || '_' || current_database() from (values ('North'), ('South')) v(s)")
	inputs := []string{"tenant-source=catalog", "database-url=" + catalog, "neon-api-key=", "neon-api-url=",
		"catalog-query=select name, name as id, database from schools", "create-missing=true", "rehearse=all"}
	f.run(t, t.Context(), inputs...).says(t, "North  nothing to rehearse: it does not exist yet",
		"North  created, 3 applied")
	databases := askAll(t, catalog, "select database from schools order by name")
	north, south := sibling(t, catalog, databases[0]), sibling(t, catalog, databases[1])
	for _, url := range []string{north, south} {
		askAll(t, url, fill)
	}
	f.write(t, "20250101090300_wider.sql", widen)
	connected, err := pgx.Connect(t.Context(), south)
	if err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), inputs...)
	o.counts(t, 2, 0, 0, 0)
	_ = connected.Close(context.Background())
	same(t, "North's copy", string(detail[migrate.Detail](t, o, "North").Rehearsal.On), "copy")
	same(t, "South's copy", string(detail[migrate.Detail](t, o, "South").Rehearsal.On), "schema")
	o.says(t, "1 of them without the data")
	limited := f.run(t, t.Context(), append(inputs, "rehearse-fail-on=rewrite>1GB")...)
	limited.counts(t, 0, 2, 0, 0)
	left := askAll(t, catalog, "select datname from pg_database where datname like 'neon_tenants_scratch_%' and "+
		"datdba = current_user::regrole")
	same(t, "databases", len(left), 0)
}

// The schema public's files are rehearsed with the tenants', and run only after all of them have passed.
func TestRehearsalOfSchemas(t *testing.T) {
	e := newEstate(t, "acme", "umbra")
	e.createdb(t)
	e.writePublic(t, "20240101000000_plans.sql", "create table plans (id int primary key);")
	inputs := []string{"public-migrations-path=db/public", "rehearse=all"}
	e.run(t, inputs...).counts(t, 2, 0, 0, 0)
	e.writePublic(t, "20240101000100_more.sql", "alter table plans add column name text;")
	e.write(t, "20250101090300_plan.sql", "alter table users add column plan int references public.plans;\n"+
		"alter table users alter column name type varchar(80);")
	e.do(t, "drop table umbra.users cascade")
	o := e.run(t, inputs...)
	o.counts(t, 0, 0, 1, 1)
	o.says(t, "umbra  failed", `relation "users" does not exist`)
	same(t, "columns of plans", e.do(t, "select attname::text from pg_attribute where attrelid = 'plans'::regclass and "+
		"attnum > 0"), []string{"id"})
	o = e.run(t, append(inputs, "tenants=acme")...)
	o.counts(t, 1, 0, 0, 0)
	got := o.rehearsed(t)
	if got.Cost.WithoutData != 2 || len(got.Files) != 1 || len(got.Public) != 1 ||
		!slices.ContainsFunc(got.Files[0].Rewrites, func(u migrate.FleetUse) bool { return u.Table == "users" }) {
		t.Errorf("%+v", got)
	}
	e.run(t, append(inputs, "rehearse-fail-on=rewrite>1GB")...).says(t, "cannot be measured with tenant-source: schemas")

	t.Log("public's own files keep everybody from being touched")
	e.writePublic(t, "20240101000200_wrong.sql", "alter table nowhere add column a int;")
	e.writePublic(t, "20240101000300_role.sql", "create role somebody;")
	o = e.run(t, append(inputs, "tenants=acme")...)
	o.says(t, "rehearse the schema public: db/public/20240101000300_role.sql has a CREATE ROLE")
	if err := os.Remove(filepath.Join(e.workspace, "db", "public", "20240101000300_role.sql")); err != nil {
		t.Fatal(err)
	}
	o = e.run(t, append(inputs, "tenants=acme")...)
	o.says(t, "rehearse the schema public: db/public/20240101000200_wrong.sql:2:1: ", "no tenant was touched")
	same(t, "left behind", e.do(t, "select datname from pg_database where datname like 'neon_tenants_scratch_%' and "+
		"datdba = current_user::regrole"), []string{})
}

// A copy has the settings that the database has, for everybody and for the role.
func TestRehearsalOnACopyWithSettings(t *testing.T) {
	servertest.Long(t)
	f, catalog := newFleet(t, named("unused")...), catalogDatabase(t)
	askAll(t, catalog, "create table schools as select 'North' as name, 'north_' || current_database() as database")
	inputs := []string{"tenant-source=catalog", "database-url=" + catalog, "neon-api-key=", "neon-api-url=",
		"catalog-query=select name, name as id, database from schools", "create-missing=true", "rehearse=all",
		"migrations-table=public.schema_migrations"}
	f.run(t, t.Context(), inputs...).counts(t, 1, 0, 0, 0)
	north := sibling(t, catalog, askAll(t, catalog, "select database from schools")[0])
	askAll(t, north, `create schema "My app"; create table "My app".things (id int);
		do $$ begin
			execute format('alter database %I set search_path = "My app", public', current_database());
			execute format('alter database %I set timezone = ''Asia/Tokyo''', current_database());
			execute format('alter database %I set work_mem = ''1MB''', current_database());
			execute format('alter role %I in database %I set work_mem = ''2MB''', current_user, current_database());
		end $$`)
	f.write(t, "20250101090300_things.sql", "alter table things add column n int;\n"+
		"select 1 / (current_setting('timezone') = 'Asia/Tokyo' and current_setting('work_mem') = '2MB')::int;")
	for _, kind := range []string{"copy", "schema"} {
		connected, err := pgx.Connect(t.Context(), north)
		if err != nil {
			t.Fatal(err)
		}
		if kind == "copy" {
			_ = connected.Close(t.Context())
		}
		o := f.run(t, t.Context(), append(inputs, "dry-run=true")...)
		o.counts(t, 1, 0, 0, 0)
		_ = connected.Close(context.Background())
		same(t, "copied", string(detail[migrate.Detail](t, o, "North").Rehearsal.On), kind)
	}
	f.run(t, t.Context(), inputs...).counts(t, 1, 0, 0, 0)
}
