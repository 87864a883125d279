package action

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// catalogDatabase is a database whose role may make others, which go with the test.
func catalogDatabase(t *testing.T) string {
	t.Helper()
	text, server := pgtest.Database(t), pgtest.Shared(t)
	cfg, err := pgx.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), "postgres", "alter role "+pgtest.Identifier(cfg.User)+" createdb"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range askAll(t, server.URL("postgres"),
			"select datname from pg_database where datdba = "+pgtest.Literal(cfg.User)+"::regrole and datname <> "+
				pgtest.Literal(cfg.Database)) {
			if err := server.Exec(context.Background(), "postgres",
				"drop database "+pgtest.Identifier(name)+" with (force)"); err != nil {
				t.Error(err)
			}
		}
	})
	return text
}

// askAll returns the first column of the last statement's rows.
func askAll(t *testing.T, url, sql string) []string {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	results, err := conn.PgConn().Exec(context.Background(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, row := range results[len(results)-1].Rows {
		out = append(out, string(row[0]))
	}
	return out
}

// sibling is the URL of another database on the same server, for the same role.
func sibling(t *testing.T, text, database string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	u.Path, u.RawPath = "/"+database, "/"+url.PathEscape(database)
	return u.String()
}

// A catalog of schools of the user's own, one database each, that are made and migrated as rows are added.
func TestDatabasesThatACatalogLists(t *testing.T) {
	f, catalog := newFleet(t, named("unused")...), catalogDatabase(t)
	hostile := `Sk"ole; drop database postgres; -- 東京`
	askAll(t, catalog, "create table schools (school_id int primary key, school_name text, school_database text); "+
		"insert into schools values (1, 'North', 'north'), (2, 'Hostile', "+pgtest.Literal(hostile)+")")
	inputs := []string{"tenant-source=catalog", "database-url=" + catalog, "neon-api-key=", "neon-api-url=",
		"catalog-query=select school_name as name, school_id as id, school_database as database from schools;"}

	o := f.run(t, t.Context(), inputs...)
	o.counts(t, 0, 0, 2, 0)
	o.says(t, `database "north" does not exist`, "create-missing: true")

	o = f.run(t, t.Context(), append(inputs, "create-missing=true", "dry-run=true")...)
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "North  would be created, 3 pending")
	count := "select count(*) from pg_database where datname in ('north', " + pgtest.Literal(hostile) + ")"
	if got := askAll(t, catalog, count); got[0] != "0" {
		t.Errorf("a dry run made %s databases", got[0])
	}

	o = f.run(t, t.Context(), append(inputs, "create-missing=true")...)
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "North  created, 3 applied")
	if d := detail[migrate.Detail](t, o, "Hostile"); !d.Created || len(d.Applied) != 3 {
		t.Errorf("detail: %+v", d)
	}
	for _, database := range []string{"north", hostile} {
		if got := askAll(t, sibling(t, catalog, database), "select count(*) from schema_migrations"); got[0] != "3" {
			t.Errorf("%s has %s versions", database, got[0])
		}
	}
	o.hides(t, mustConfig(t, catalog).Password)

	// Another row comes; two runs meet it at once.
	askAll(t, catalog, "insert into schools values (3, 'South', 'south')")
	var wg sync.WaitGroup
	runs := make([]outcome, 2)
	for i := range runs {
		wg.Go(func() { runs[i] = f.run(t, t.Context(), append(inputs, "create-missing=true")...) })
	}
	wg.Wait()
	created, applied := 0, 0
	for _, o := range runs {
		if o.err != nil {
			t.Errorf("%v\n%s", o.err, o.log)
		}
		d := detail[migrate.Detail](t, o, "South")
		applied += len(d.Applied)
		if d.Created {
			created++
		}
	}
	if created != 1 || applied != 3 {
		t.Errorf("South was created %d times and had %d migrations", created, applied)
	}
	f.run(t, t.Context(), append(inputs, "create-missing=true")...).counts(t, 0, 3, 0, 0)
}

// hides checks that the texts stand nowhere but in masks.
func (o outcome) hides(t *testing.T, secrets ...string) {
	t.Helper()
	var shown strings.Builder
	for line := range strings.Lines(o.log + "\n" + o.summary + "\n" + o.reportText + "\n" + fmt.Sprint(o.outputs)) {
		if !strings.HasPrefix(line, "::add-mask::") {
			shown.WriteString(line)
		}
	}
	for _, s := range secrets {
		if strings.Contains(shown.String(), s) {
			t.Errorf("a secret shows: %s", s)
		}
	}
}

func TestRowsOfACatalog(t *testing.T) {
	f, catalog, other := newFleet(t, named("ACME")...), catalogDatabase(t), pgtest.Database(t)
	cfg, _ := pgx.ParseConfig(catalog)
	askAll(t, catalog, fmt.Sprintf(
		"create table places (name text, url text, database text, neon_project_id text); insert into places values "+
			"('url', %s, null, null), ('neon', null, null, %s), ('none', null, '', null), ('several', "+
			"'postgresql://u:hush@h/d', null, 'p-1'), ('own', null, %s, null), "+
			"('long', null, %s, null), ('server', null, 'template1', null), ('missing elsewhere', %s, null, null), ('no url', "+
			"'mysql://u:hush@h/d', null, null)",
		pgtest.Literal(other), pgtest.Literal(f.projects[0].ID), pgtest.Literal(cfg.Database),
		pgtest.Literal(strings.Repeat("ü", 32)), pgtest.Literal(sibling(t, other, "nowhere"))))
	inputs := []string{"tenant-source=catalog", "database-url=" + catalog, "catalog-query=select * from places",
		"create-missing=true"}
	o := f.run(t, t.Context(), inputs...)
	o.counts(t, 2, 0, 7, 0)
	o.says(t, "does not say where to connect", "sets url and neon_project_id, but only one of them may be set",
		"is that of the catalog's own database", "has 64 bytes", "every server has for itself",
		"so there is none that create-missing could create", "does not begin with postgres://")
	o.hides(t, "hush", mustConfig(t, other).Password, mustConfig(t, catalog).Password)
	if got := askAll(t, other, "select count(*) from schema_migrations"); got[0] != "3" {
		t.Errorf("the tenant of a url has %s versions", got[0])
	}
	o = f.run(t, t.Context(), append(inputs, "neon-api-key=", "neon-api-url=", "tenants=neon")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "neon-api-key is empty")
	o = f.run(t, t.Context(), append(inputs, "catalog-query=select name from places")...)
	o.says(t, `none of the columns url, database and neon_project_id; it has the columns "name"`)
	o = f.run(t, t.Context(), "tenant-source=catalog", "catalog-query=;", "create-missing=true", "database-url=",
		"catalog-url=mysql://x", "allow-insecure=perhaps")
	o.says(t, "- database-url: ", "- catalog-query: ", "- catalog-url: ", "- allow-insecure: ")
	if strings.Count(o.log, "- allow-insecure: ") != 1 {
		t.Errorf("said more than once:\n%s", o.log)
	}
	f.run(t, t.Context(), "create-missing=true").says(t, "create-missing: this source lists only tenants that exist")
}

func TestCreateTenantInACatalog(t *testing.T) {
	f, catalog := newFleet(t, named("unused")...), catalogDatabase(t)
	inputs := []string{"mode=create-tenant", "tenant-source=catalog", "database-url=" + catalog, "catalog-url=" + catalog,
		"min-tenants=0", "neon-api-key=", "neon-api-url="}
	for _, name := range []string{"acme", `a"b'; drop database postgres; --`, "select"} {
		f.run(t, t.Context(), append(inputs, "tenant-name="+name)...).counts(t, 1, 0, 0, 0)
		f.run(t, t.Context(), append(inputs, "tenant-name="+name)...).counts(t, 0, 1, 0, 0)
	}
	listed := "select string_agg(database, ',' order by database collate \"C\") from project where dropped_at is null"
	if got := askAll(t, catalog, listed); got[0] != `a"b'; drop database postgres; --,acme,select` {
		t.Errorf("listed are %s", got[0])
	}
	for name, want := range map[string]string{
		strings.Repeat("x", 64): "has 64 bytes", "postgres": "every server has for itself", "a\tb": "control character",
		mustConfig(t, catalog).Database: "the catalog's own database",
	} {
		f.run(t, t.Context(), append(inputs, "tenant-name="+name)...).says(t, want)
	}
	// A migration that fails leaves a database that is not listed; the next run completes it.
	f.write(t, "20250301000000_fails.sql", "select 1/0;")
	f.run(t, t.Context(), append(inputs, "tenant-name=late")...).counts(t, 0, 0, 1, 0)
	if got := askAll(t, catalog, listed); strings.Contains(got[0], "late") {
		t.Errorf("listed are %s", got[0])
	}
	f.write(t, "20250301000000_fails.sql", "select 1;")
	f.run(t, t.Context(), append(inputs, "tenant-name=late")...).counts(t, 1, 0, 0, 0)
	if got := askAll(t, catalog, listed); !strings.Contains(got[0], "late") {
		t.Errorf("listed are %s", got[0])
	}
	// Dropped: the database and the listing go, the row stays for the record; and made once more.
	hostile := `a"b'; drop database postgres; --`
	drop := append(inputs, "mode=drop-tenant", "tenant-name="+hostile, "confirm="+hostile, "without-backup=true")
	f.run(t, t.Context(), append(drop, "dry-run=true")...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), drop...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), drop...).says(t, "is none of the 3 listed tenants")
	if got := askAll(t, catalog, listed); got[0] != "acme,late,select" {
		t.Errorf("listed are %s", got[0])
	}
	if got := askAll(t, catalog,
		"select (select count(*) from pg_database where datname = "+pgtest.Literal(hostile)+") || ' ' || count(*) from "+
			"project where dropped_at is not null"); got[0] != "0 1" {
		t.Errorf("databases and dropped rows: %s", got[0])
	}
	// A listed database that somebody has dropped by hand is dropped all the same.
	askAll(t, catalog, "drop database late")
	f.run(t, t.Context(), append(inputs, "mode=drop-tenant", "tenant-name=late", "confirm=late",
		"without-backup=true")...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), append(inputs, "tenant-name="+hostile)...).counts(t, 1, 0, 0, 0)
	if got := askAll(t, catalog, listed); got[0] != hostile+",acme,select" {
		t.Errorf("listed are %s", got[0])
	}
	f.run(t, t.Context(), append(inputs, "tenant-name=late", "catalog-query=select name, database from project")...).says(
		t, "catalog-query: is set, and only its author knows the tables behind it")
}

func mustConfig(t *testing.T, url string) *pgx.ConnConfig {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// modeNames that would be taken for something else by pg_dump's connection strings, by SQL, or by a shell.
func TestDatabasesOfAnyNameAreBackedUp(t *testing.T) {
	servertest.Long(t)
	f, v, catalog := newFleet(t, named("unused")...), newVault(t), catalogDatabase(t)
	names := []string{`a"b'c; $(id) \ 東京`, "dbname=postgres host=nowhere", "postgresql://u:p@nowhere/x", " select "}
	inputs := []string{"tenant-source=catalog", "database-url=" + catalog, "catalog-url=" + catalog, "neon-api-key=",
		"neon-api-url="}
	f.run(t, t.Context(), append(inputs, "min-tenants=0", "allow-empty=true")...)
	for i, name := range names {
		askAll(t, catalog, fmt.Sprintf("insert into project (name, database) values ('tenant %d', %s)", i,
			pgtest.Literal(name)))
	}
	f.run(t, t.Context(), append(inputs, "create-missing=true")...).counts(t, len(names), 0, 0, 0)
	for i, name := range names {
		askAll(t, sibling(t, catalog, name), fmt.Sprintf("insert into users (email, name) values ('x@y', 'of tenant %d')", i))
	}
	o := f.run(t, t.Context(), v.inputs(append(inputs, "mode=backup")...)...)
	o.counts(t, len(names), 0, 0, 0)
	target := pgtest.Database(t)
	f.run(t, t.Context(),
		v.inputs(append(inputs, "mode=restore", "tenants=tenant 2", "restore-url="+target)...)...).counts(t, 1, 0, 0, 0)
	if got := askAll(t, target, "select name from users"); len(got) != 1 || got[0] != "of tenant 2" {
		t.Errorf("restored %q", got)
	}
	got := askAll(t, catalog,
		"select count(*) from project where last_backup_key is not null and schema_version is not null")
	if got[0] != fmt.Sprint(len(names)) {
		t.Errorf("%s backups are recorded", got[0])
	}
}
