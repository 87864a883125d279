package action

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// What other applications keep under the name of a new tenant, each with what a run says about it. Names without a
// schema are those of the schema or database.
var foreign = map[string][2]string{
	"a table": {"create table users ()", "it holds something that no migration created: table "},
	"Rails": {`create table schema_migrations (version varchar primary key); create table users ();
		insert into schema_migrations values ('20190101000000'), ('20250101090000')`,
		"records what no file in migrations-path has: version 20190101000000"},
	"Ecto": {`create table schema_migrations (version bigint primary key, inserted_at timestamp(0)); create table users ();
		insert into schema_migrations values (20190101000000, now())`,
		"records what no file in migrations-path has: version 20190101000000"},
	"golang-migrate": {`create table schema_migrations (version bigint primary key, dirty boolean not null);
		insert into schema_migrations values (20250101090000, false)`, "so it is another tool's"},
	"a gap": {`create table schema_migrations (version varchar primary key); create table users ();
		insert into schema_migrations values ('20250101090000'), ('20250101090200')`,
		"records later versions but not 20250101090100"},
	"nothing recorded": {`create table schema_migrations (version varchar primary key); create table users ()`,
		"it holds something that no migration created: table "},
}

// Another application's schema is neither migrated nor registered; what a run of ours has left is completed.
func TestWhichSchemasAreAdopted(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	e := newEstate(t)
	all := strings.Join(
		[]string{"select md5(string_agg(x, '' order by x)) from (select nspname || relname || coalesce(attname, '') x",
			"from pg_class c join pg_namespace n on n.oid = relnamespace left join pg_attribute on attrelid = c.oid where " +
				"nspname !~ '^pg_') a"}, " ")
	for name, f := range foreign {
		e.do(t, "create schema taken; set search_path = taken; "+f[0])
		before := e.do(t, all)
		for _, how := range []string{"dry-run=true", "dry-run=false"} {
			o := e.run(t, create("taken", how)...)
			o.counts(t, 0, 0, 1, 0)
			o.says(t, `the database has a schema "taken" that public.schema_tracker does not list, and `, f[1],
				"choose another name; or, if it is that tenant's, insert its name into public.schema_tracker")
		}
		same(t, name, e.do(t, all), before)
		same(t, "tracked after "+name, e.tracked(t), []string{})
		e.do(t, "drop schema taken cascade")
	}
	t.Log("what it advises helps")
	e.do(t, "create schema ours; create table ours.theirs (); insert into schema_tracker values ('ours')")
	e.run(t, create("ours")...).says(t, "ours  3 applied")

	t.Log("runs that were cut off: after creating it, after some migrations, before registering it")
	e.do(t, "create schema begun")
	e.run(t, create("begun", "dry-run=true")...).says(t, "begun  exists, and would be migrated and registered")
	e.run(t, create("begun")...).says(t, "begun  3 applied, registered")
	for _, cut := range []string{
		"drop table begun.tasks; delete from begun.schema_migrations where version = '20250101090200'",
		"select 1",
		"drop schema begun cascade; create schema begun; create table begun.schema_migrations (version varchar primary key)",
	} {
		e.do(t, "delete from schema_tracker where name = 'begun'; "+cut)
		e.run(t, create("begun")...).counts(t, 1, 0, 0, 0)
		same(t, "tracked", e.tracked(t), []string{"begun", "ours"})
		e.run(t, create("begun")...).counts(t, 0, 1, 0, 0)
	}
}

// The same holds for a catalog's databases.
func TestWhichDatabasesAreAdopted(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f, catalog := newFleet(t), catalogDatabase(t)
	name := "taken_" + mustConfig(t, catalog).Database
	inputs := func(more ...string) []string {
		return append(create(name, more...),
			"tenant-source=catalog", "database-url="+catalog, "neon-api-key=", "neon-api-url=")
	}
	renew := func(sql string) {
		t.Helper()
		askAll(t, catalog, `drop database if exists "`+name+`" with (force)`)
		askAll(t, catalog, `create database "`+name+`" template template0`)
		askAll(t, sibling(t, catalog, name), sql)
	}
	for what, d := range foreign {
		renew(d[0])
		for _, how := range []string{"dry-run=true", "dry-run=false"} {
			o := f.run(t, t.Context(), inputs(how)...)
			o.counts(t, 0, 0, 1, 0)
			o.says(t, "the server has a database ", " that the catalog does not list, and ", d[1], "choose another name")
		}
		if n := askAll(t, sibling(t, catalog, name),
			"select 'x' from pg_class where relname in ('tasks', 'projects')"); len(n) != 0 {
			t.Errorf("%s: migrated", what)
		}
	}
	renew("select 1")
	f.run(t, t.Context(), inputs("dry-run=true")...).says(t, "exists, and would be migrated and registered")
	for _, cut := range []string{
		"select 1", "drop table tasks; delete from schema_migrations where version = '20250101090200'",
	} {
		askAll(t, sibling(t, catalog, name), cut)
		f.run(t, t.Context(), inputs()...).counts(t, 1, 0, 0, 0)
		f.run(t, t.Context(), inputs()...).counts(t, 0, 1, 0, 0)
		askAll(t, catalog, "delete from project")
	}
	f.run(t, t.Context(), inputs()...).says(t, "registered")
}
