package action

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// byHand is the example's schema as somebody made it without the files, up to the second or the third.
func byHand(t *testing.T, files int) string {
	t.Helper()
	found, err := filepath.Glob("../../migrations/example/*.sql")
	if err != nil || len(found) < files {
		t.Fatal(found, err)
	}
	var sql strings.Builder
	for _, file := range found[:files] {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- migrate:down")
		sql.WriteString(up)
	}
	return sql.String()
}

const (
	versionsOf = "select string_agg(version, ' ' order by version) from schema_migrations"
	second     = "20250101090100"
	third      = "20250101090200"
)

// scratch lists the throwaway databases of the server.
func scratch(t *testing.T, p neontest.Project) string {
	t.Helper()
	return query(t, p, "select string_agg(datname, ' ') from pg_database where datname like 'neon_tenants_scratch_%' "+
		"and datdba = current_user::regrole")
}

// Tenants that have the tables and no record get one, and the files after the baseline. Others are told what to do, and
// keep what they have.
func TestBaseline(t *testing.T) {
	f := newFleet(t, named("adopted", "recorded", "ahead", "behind", "different", "empty", "emptied")...)
	adopted, recorded, ahead, behind, different, empty, emptied := f.projects[0], f.projects[1], f.projects[2],
		f.projects[3], f.projects[4], f.projects[5], f.projects[6]
	query(t, adopted, byHand(t, 2)+"; insert into users (email, name) values ('ada@example.com', 'Ada')")
	f.run(t, t.Context(), "tenants=recorded").counts(t, 1, 0, 0, 0)
	query(t, ahead, byHand(t, 3))
	query(t, behind, byHand(t, 1))
	query(t, different, byHand(t, 2)+"; alter table users add column nickname text; drop index projects_owner_id_idx")
	query(t, emptied, byHand(t, 2)+"; create table schema_migrations (version varchar primary key)")
	f.write(t, "20250101090300_add_seats.sql", "alter table users add column seats int not null default 1;")

	dry := f.run(t, t.Context(), "baseline="+second, "dry-run=true", "tenants=adopted,recorded,empty")
	dry.counts(t, 3, 0, 0, 0)
	dry.says(t, "adopted  2 would be recorded if its schema is theirs, 2 pending", "recorded  1 pending")
	same(t, "record after a dry run", query(t, adopted, "select to_regclass('schema_migrations')"), "")

	o := f.run(t, t.Context(), "baseline="+second)
	o.counts(t, 3, 0, 4, 0)
	o.says(t, "adopted  2 recorded, 2 applied", "recorded  1 applied", "emptied  2 recorded, 2 applied",
		"the tenants' schemas are compared with", "its schema is that of the files up to "+third+", not up to "+second,
		"give it baseline: "+third, "its schema is that of the files up to 20250101090000",
		"records no versions and is empty",
		"- index projects_owner_id_idx", "+ column users.nickname text")
	all := "20250101090000 " + second + " " + third + " 20250101090300"
	for _, p := range []neontest.Project{adopted, recorded, emptied} {
		same(t, p.Name, query(t, p, versionsOf), all)
	}
	same(t, "data", query(t, adopted, "select name || seats from users"), "Ada1")
	for _, p := range []neontest.Project{ahead, behind, different, empty} {
		same(t, p.Name, query(t, p, "select to_regclass('schema_migrations')"), "")
	}
	same(t, "left behind", scratch(t, adopted), "")

	t.Log("what it advises helps")
	f.run(t, t.Context(), "baseline="+third, "tenants=ahead").says(t, "ahead  3 recorded, 1 applied")
	f.run(t, t.Context(), "tenants=empty").says(t, "empty  4 applied")
	f.run(t, t.Context(), "baseline="+second, "tenants=adopted,recorded,ahead,empty").counts(t, 0, 4, 0, 0)
}

// A baseline can be rehearsed: the tenant's branch is compared, and the files after the baseline run there first.
func TestBaselineIsRehearsed(t *testing.T) {
	servertest.Long(t)
	f := newFleet(t, named("same", "other")...)
	query(t, f.projects[0], byHand(t, 2))
	query(t, f.projects[1], byHand(t, 2)+"; alter table users add column nickname text")
	o := f.run(t, t.Context(), "baseline="+second, "rehearse=all", "dry-run=true")
	o.counts(t, 0, 0, 1, 1)
	o.says(t, "same  1 file in ", "other  failed", "+ column users.nickname text")
	query(t, f.projects[1], "alter table users drop column nickname")
	f.run(t, t.Context(), "baseline="+second, "rehearse=all").counts(t, 2, 0, 0, 0)
	f.leavesNoBranch(t)
	for _, p := range f.projects {
		same(t, p.Name, query(t, p, versionsOf), "20250101090000 "+second+" "+third)
	}
}

// A dump of one tenant serves as the first file, which has to name no version of psql's.
func TestBaselineFromADump(t *testing.T) {
	f := newFleet(t, named("acme", "umbra")...)
	for _, p := range f.projects {
		query(t, p, byHand(t, 3)+"; create view open_tasks as select title from tasks where status in ('open', 'late')")
	}
	dump, err := exec.CommandContext(t.Context(), filepath.Join(pgtest.Shared(t).BinDir, "pg_dump"), "--schema-only",
		"--no-owner", "--no-privileges", f.projects[0].URL).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(f.workspace, "db", "migrations")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(f.workspace, "db", "migrations"), 0o750); err != nil {
		t.Fatal(err)
	}
	f.write(t, "20250101090000_all.sql", regexp.MustCompile(`(?m)^\\.*$`).ReplaceAllString(string(dump), ""))
	o := f.run(t, t.Context(), "baseline=20250101090000")
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "acme  1 recorded", "umbra  1 recorded")
}

// Files that make no new tenant are nobody's baseline.
func TestBaselineOfFilesThatFail(t *testing.T) {
	f := newFleet(t, named("acme", "umbra")...)
	for _, p := range f.projects {
		query(t, p, byHand(t, 3))
	}
	f.write(t, "20250101090050_broken.sql", "alter table nowhere add column a int;")
	o := f.run(t, t.Context(), "baseline="+third)
	o.counts(t, 0, 0, 2, 0)
	o.says(t, "the files up to "+third+" cannot be run in an empty database", "20250101090050_broken.sql:2:1",
		"nothing was changed")
	same(t, "left behind", scratch(t, f.projects[0]), "")
	same(t, "record", query(t, f.projects[0], "select to_regclass('schema_migrations')"), "")

	f.run(t, t.Context(), "baseline=2025").says(t, "input baseline: no file in migrations-path has the version \"2025\"; "+
		"the first is 20250101090000 and the last "+third)
}

// In schemas names mean the tenant's own, and what all share comes from the files of the schema public.
func TestBaselineOfSchemas(t *testing.T) {
	e := newEstate(t, "acme", "umbra", "+fresh")
	e.writePublic(t, "20240101000000_plans.sql", "create table plans (id int primary key);")
	e.write(t, "20250101090150_plan.sql", "create table subscriptions (plan int references public.plans);")
	const more = "; create table subscriptions (plan int references public.plans)"
	e.do(t, "create table public.plans (id int primary key)")
	e.do(t, "set search_path = acme; "+byHand(t, 2)+more)
	e.do(t, "set search_path = umbra; "+byHand(t, 2)+more+"; create view everybody as select name from users")
	inputs := []string{"baseline=20250101090150", "public-migrations-path=db/public", "create-missing=true"}
	dry := e.run(t, append(inputs, "dry-run=true")...)
	dry.says(t, "acme  3 would be recorded if its schema is theirs, 1 pending", "fresh  would be created, 4 pending")
	e.do(t, "create table public.schema_migrations (version varchar primary key); "+
		"insert into public.schema_migrations values ('20240101000000')")
	denied := e.run(t, inputs...)
	denied.counts(t, 1, 0, 2, 0)
	denied.says(t, "create a throwaway database: ERROR: permission denied to create database",
		"let the role create databases: alter role … createdb")
	e.createdb(t)
	o := e.run(t, inputs...)
	o.counts(t, 1, 1, 1, 0)
	o.says(t, "acme  3 recorded, 1 applied", "+ view everybody")
	same(t, "versions", e.do(t, "select count(*) from acme.schema_migrations"), []string{"4"})
	e.run(t, append(inputs, "tenants=acme,fresh")...).counts(t, 0, 2, 0, 0)
	same(t, "left behind", e.do(t, "select datname from pg_database where datname like 'neon_tenants_scratch_%' "+
		"and datdba = current_user::regrole"), []string{})
}

// The throwaway database has the tenant's own encoding and locale, which no file makes and nobody can change.
func TestBaselineInOtherLocales(t *testing.T) {
	f, catalog := newFleet(t), catalogDatabase(t)
	for name, locale := range map[string]string{
		"acme": "encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'", "umbra": "encoding 'UTF8' lc_collate 'C' lc_ctype 'C'",
	} {
		askAll(t, catalog, "create database "+name+" template template0 "+locale)
		askAll(t, sibling(t, catalog, name), byHand(t, 2))
	}
	o := f.run(t, t.Context(), "tenant-source=catalog", "database-url="+catalog, "neon-api-key=", "neon-api-url=",
		"catalog-query=select v as name, v as database from (values ('acme'), ('umbra')) v(v)", "baseline="+second)
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "acme  2 recorded, 1 applied", "umbra  2 recorded, 1 applied")
}

// A record that is to be in a schema of its own is missing like any other.
func TestBaselineWhoseRecordHasNoSchema(t *testing.T) {
	f := newFleet(t, named("acme")...)
	acme := f.projects[0]
	query(t, acme, byHand(t, 2)+"; insert into users (email, name) values ('ada@example.com', 'Ada')")
	f.write(t, "20250101090050_rename.sql", "update users set name = 'nobody';")
	o := f.run(t, t.Context(), "baseline="+second, "migrations-table=ops.versions")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "- schema ops")
	same(t, "data", query(t, acme, "select name from users"), "Ada")
	query(t, acme, "create schema ops")
	f.run(t, t.Context(), "baseline="+second, "migrations-table=ops.versions").says(t, "acme  3 recorded, 1 applied")
	same(t, "data", query(t, acme, "select name from users"), "Ada")
}

// A tenant whose table somebody keeps locked is not waited for longer than a migration's statement would wait.
func TestBaselineOfALockedTable(t *testing.T) {
	f := newFleet(t, named("acme")...)
	query(t, f.projects[0], byHand(t, 3))
	holder, err := pgx.Connect(t.Context(), f.projects[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(t.Context(), "begin; lock table users"); err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), "baseline="+third, "statement-lock-timeout=50ms")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "canceling statement due to lock timeout", "run at a quieter hour, or raise statement-lock-timeout")
	same(t, "record", query(t, f.projects[0], "select to_regclass('schema_migrations')"), "")
}
