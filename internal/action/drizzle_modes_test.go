package action

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A backup has drizzle's table: what is restored goes on where the tenant was.
func TestDrizzleBackup(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("a", "b")...), newVault(t)
	files := []string{"0000_users", "create table users (id int primary key);", "0001_posts", "create table posts ();"}
	f.drizzleDir(t, "drizzle", files...)
	f.runDrizzle(t).counts(t, 2, 0, 0, 0)
	o := f.runDrizzle(t, v.inputs("mode=backup")...)
	o.counts(t, 2, 0, 0, 0)
	if d := detail[backup.Detail](t, o, "a"); d.SchemaVersion != "2" || v.manifest(t, d.Key).SchemaVersion != "2" {
		t.Errorf("the backup says %+v", d)
	}
	f.runDrizzle(t, v.inputs("mode=backup", "skip-unchanged=true")...).counts(t, 0, 2, 0, 0)

	target := pgtest.Database(t)
	restored := func(dir string) outcome {
		return f.runDrizzle(t, "tenant-source=secrets", "neon-api-key=", "neon-api-url=", "migrations-path="+dir,
			"tenant-secrets="+string(mustJSON(t, map[string]string{"A_DATABASE_URL": target})))
	}
	f.drizzleDir(t, "next", append(files, "0002_more", "create table more ()")...)
	for _, overwrite := range []string{"false", "true"} {
		f.run(t, t.Context(), v.inputs("mode=restore", "tenants=a", "restore-url="+target, "overwrite="+overwrite)...).
			counts(t, 1, 0, 0, 0)
		restored("drizzle").counts(t, 0, 1, 0, 0)
		restored("next").says(t, "1 applied")
	}
	f.runDrizzle(t, v.inputs("mode=drop-tenant", "tenant-name=a", "confirm=a")...).says(t, "dropped with the backup")
	f.runDrizzle(t, "mode=create-tenant", "tenant-name=c").says(t, "c  created, 2 applied")
}

// Shards with canaries, one report of them, and a second try of what failed are the same with drizzle's files, whose
// contents are what drizzle's hash says.
func TestDrizzleShards(t *testing.T) {
	f := newFleet(t, named("Acme", "Globex", "Hooli", "Initech")...)
	users, more := "create table users (id int)", "create table more (id int)"
	f.drizzleDir(t, "drizzle", "0000_users", users, "0001_more", more)
	query(t, f.projects[2], "create table more (by_hand text)")
	for _, shard := range []string{"1/2", "2/2"} {
		file := filepath.Join(f.workspace, "reports", shard[:1]+".json")
		f.runDrizzle(t, "shard="+shard, "report-file="+file)
	}
	o := f.merge(t)
	o.counts(t, 3, 0, 1, 0)
	o.says(t, "::error file=drizzle/0001_more.sql,line=1::Hooli: ")
	again := []string{"retry-failed=true", "previous-report=reports/*.json"}
	f.drizzleDir(t, "drizzle", "0000_users", users+" ", "0001_more", more)
	f.runDrizzle(t, again...).says(t, "0000_users.sql is not what the earlier run applied to")
	f.drizzleDir(t, "drizzle", "0000_users", users, "0001_more", more)
	query(t, f.projects[2], "drop table more")
	f.runDrizzle(t, again...).counts(t, 1, 0, 0, 0)
}

// A sleeper is woken by a new file and by an edited one, if only in white space, which drizzle's hash counts. Its
// record has drizzle's hashes: it is named with the others while it sleeps, and errors show what drizzle's table has.
func TestDrizzleSleepers(t *testing.T) {
	sameClocks(t)
	f, catalog := newFleet(t, named("a", "b")...), catalogDatabase(t)
	const before, after, warning = "create table users (id int);", "create  table users (id int);",
		"1 file is no longer what was applied: 0000_users.sql (2 tenants)"
	run := func(inputs ...string) outcome {
		t.Helper()
		f.ResetCalls()
		return f.runDrizzle(t, append(inputs, "catalog-url="+catalog, "leave-asleep=true")...)
	}
	awake := func(n int, o outcome) {
		t.Helper()
		if got := f.resolved(); got != n {
			t.Errorf("%d connection strings were asked for:\n%s", got, o.log)
		}
	}
	f.drizzleDir(t, "drizzle", "0000_users", before)
	run().counts(t, 2, 0, 0, 0)
	awake(0, run())
	f.drizzleDir(t, "drizzle", "0000_users", after)
	for _, n := range []int{2, 0} {
		o := run()
		awake(n, o)
		o.says(t, warning)
		if strings.Count(o.reportText, `"changed_files"`) != 2 {
			t.Errorf("the report does not name both: %s", o.reportText)
		}
	}
	o := run("changed-files=fail")
	awake(0, o)
	hash := query(t, f.projects[0], "select left(hash, 12) from drizzle.__drizzle_migrations")
	now := query(t, f.projects[0], "select left(encode(sha256('"+after+"'), 'hex'), 12)")
	o.says(t, "was recorded with the digest "+hash+"… and now has "+now+"…", "no tenant was touched")
	f.runDrizzle(t, "changed-files=fail", "tenants=a").says(t, "the digest "+hash+"… and now has "+now+"…")
	if o := run("changed-files=ignore"); strings.Contains(o.log, "0000_users.sql") {
		t.Errorf("it is not ignored:\n%s", o.log)
	}
	run().says(t, warning) // drizzle's table has the old hash still

	f.drizzleDir(t, "drizzle", "0000_users", before, "0001_posts", "create table posts ()")
	o = run()
	o.counts(t, 2, 0, 0, 0)
	awake(2, o)
	same(t, "versions", askAll(t, catalog, "select distinct schema_version from project"), []string{"2"})
	f.runDrizzle(t, "tenant-source=catalog", "database-url="+catalog, "changed-files=fail").counts(t, 0, 2, 0, 0)
}

// A tenant whose role may not do what drizzle's table needs is left as it is, with what it lacks.
func TestDrizzleRights(t *testing.T) {
	f := newFleet(t, named("no create", "no insert", "no usage")...)
	f.drizzleDir(t, "drizzle", "0000_users", "create table users ();")
	const table = "create schema drizzle; create table drizzle.__drizzle_migrations " +
		"(id serial primary key, hash text not null, created_at bigint)"
	as := func(i int, sql string) {
		t.Helper()
		name := databaseOf(t, f.projects[i])
		names := strings.NewReplacer("ROLE", pgtest.Identifier(query(t, f.projects[i], "select current_user")),
			"DATABASE", pgtest.Identifier(name))
		if err := pgtest.Shared(t).Exec(t.Context(), name, names.Replace(sql)); err != nil {
			t.Fatal(err)
		}
	}
	as(0, "alter database DATABASE owner to postgres; revoke create on database DATABASE from ROLE")
	as(1, table+"; grant usage on schema drizzle to ROLE; grant select on drizzle.__drizzle_migrations to ROLE")
	as(2, table)
	o := f.runDrizzle(t)
	o.counts(t, 0, 0, 3, 0)
	o.says(t, `no create: drizzle/0000_users.sql: the table of versions, "drizzle"."__drizzle_migrations", could not be `+
		`created: permission denied for database`,
		`no insert: drizzle/0000_users.sql: its version could not be recorded in "drizzle"."__drizzle_migrations"`,
		`no usage: the role may not read "drizzle"."__drizzle_migrations"`, "grant it the privilege")
	for _, p := range f.projects {
		if query(t, p, "select to_regclass('users') is null") != "t" {
			t.Errorf("%s was changed", p.Name)
		}
	}

	// To record is no right to give the table the form of 1.0.
	as(1, "grant insert on drizzle.__drizzle_migrations to ROLE; "+
		"grant usage on sequence drizzle.__drizzle_migrations_id_seq to ROLE")
	f.runDrizzle(t, "tenants=no insert").counts(t, 1, 0, 0, 0)
	if err := os.RemoveAll(filepath.Join(f.workspace, "drizzle")); err != nil {
		t.Fatal(err)
	}
	f.drizzleFolder(t, "19700101000000_users", "create table users ();")
	f.drizzleFolder(t, "20250102000000_posts", "create table posts ();")
	o = f.runDrizzle(t, "tenants=no insert", "rehearse=all")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, `"drizzle"."__drizzle_migrations", could not be upgraded: must be owner of table`,
		"connect as one that has it", "this was a copy, and no tenant was touched")
}

// Files that are committed together are applied and recorded, or none of them is, whatever becomes of the connection.
// An undo finds out which, and the next run goes on.
func TestDrizzleLostConnection(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	for name, commits := range map[string]bool{"applied": true, "rolled back": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, named("a")...)
			f.drizzleDir(t, "drizzle", "0000_users", "create table users ()")
			f.runDrizzle(t).counts(t, 1, 0, 0, 0)
			f.drizzleDir(t, "drizzle", "0000_users", "create table users ()", "0001_late", "create table late ()",
				"0002_last", lock+"; create table last ()", "0003_more", "create table more ()")
			f.journal(t, "drizzle", []string{"0000_users", "0001_late", "0002_last", "0003_more"}, 1, 50, 30, 60)
			o := f.loses(t, commits, "migrations-format=drizzle")
			o.says(t, "drizzle/0001_late.sql (with 1 file that is committed together with it): the connection was lost")
			same(t, "in doubt", detail[migrate.Detail](t, o, "a").UndoPoint.InDoubt.Versions, []string{"50", "30"})
			applied := func() string {
				return query(t, f.projects[0], "select concat_ws(' ', to_regclass('late'), to_regclass('last'), "+
					"(select string_agg(created_at::text, ' ' order by id) from drizzle.__drizzle_migrations))")
			}
			unchanged, want := 1, "1"
			if commits {
				unchanged, want = 0, "late last 1 50 30"
			}
			same(t, "after the cut", applied(), want)
			f.run(t, t.Context(), undo("migrations-format=drizzle")...).counts(t, 1-unchanged, unchanged, 0, 0)
			same(t, "after the undo", applied(), "1")
			f.runDrizzle(t).says(t, "3 applied")
			f.runDrizzle(t).counts(t, 0, 1, 0, 0)
		})
	}
}

// The files of the schema public are rehearsed, and every tenant's with them, where drizzle has their record.
func TestDrizzleRehearsalOfPublic(t *testing.T) {
	servertest.Long(t)
	e := newEstate(t, "a")
	e.createdb(t)
	users, plans := []string{"0000_users", "create table users ()"}, []string{"0000_plans", "create table plans ()"}
	inputs := []string{"migrations-format=drizzle", "public-migrations-path=public"}
	e.drizzleDir(t, "drizzle", users...)
	e.drizzleDir(t, "public", plans...)
	e.run(t, inputs...).counts(t, 1, 0, 0, 0)
	e.drizzleDir(t, "drizzle", append(users, "0001_more", "create table more ()")...)
	e.drizzleDir(t, "public", append(plans, "0001_prices", "alter table plans add price int")...)
	for _, schema := range []string{"drizzle", "public"} {
		e.do(t, "alter table if exists drizzle.__drizzle_migrations set schema "+schema)
		o := e.run(t, append(inputs, "rehearse=all", "dry-run=true")...)
		o.counts(t, 1, 0, 0, 0)
		o.says(t, "0001_prices.sql takes", "0001_more.sql takes")
	}
	e.run(t, append(inputs, "rehearse=all")...).counts(t, 1, 0, 0, 0)
	e.run(t, inputs...).counts(t, 0, 1, 0, 0)
}

// What another tool has in the schema public is in nobody's way unless that schema is migrated.
func TestRehearsalBesideAnotherToolsTable(t *testing.T) {
	e := newEstate(t, "a")
	e.createdb(t)
	e.do(t, "create table public.schema_migrations (version text, dirty bool not null)")
	e.run(t).counts(t, 1, 0, 0, 0)
	e.write(t, lateFile, lateSQL)
	e.run(t, "rehearse=all").counts(t, 1, 0, 0, 0)
}
