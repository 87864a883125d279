package action

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// drizzleDir writes a directory of drizzle-kit 0.x into the workspace, of alternating tags and contents, whose times
// are 1, 2 and so on.
func (f *organisation) drizzleDir(t *testing.T, dir string, tagsAndContents ...string) {
	t.Helper()
	var tags []string
	var times []int
	for i := 0; i < len(tagsAndContents); i += 2 {
		tags, times = append(tags, tagsAndContents[i]), append(times, i/2+1)
		f.put(t, dir, tagsAndContents[i]+".sql", tagsAndContents[i+1])
	}
	f.journal(t, dir, tags, times...)
}

// journal writes the journal of such a directory.
func (f *organisation) journal(t *testing.T, dir string, tags []string, times ...int) {
	t.Helper()
	var entries []string
	for i, tag := range tags {
		entries = append(entries, fmt.Sprintf(`{"when": %d, "tag": %q}`, times[i], tag))
	}
	f.put(t, dir, "meta/_journal.json", `{"dialect": "postgresql", "entries": [`+strings.Join(entries, ", ")+`]}`)
}

// drizzleFolder writes a migration of drizzle-kit 1.0 into the workspace.
func (f *organisation) drizzleFolder(t *testing.T, name, text string) {
	t.Helper()
	f.put(t, "drizzle", name+"/migration.sql", text)
}

// put writes a file into a directory of the workspace.
func (f *organisation) put(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(f.workspace, dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runDrizzle is run for drizzle's files.
func (f *organisation) runDrizzle(t *testing.T, inputs ...string) outcome {
	t.Helper()
	return f.run(t, t.Context(), append([]string{"migrations-format=drizzle"}, inputs...)...)
}

// theirs makes a tenant what drizzle 0.x itself leaves, with other names of what nobody compares.
const theirs = `create schema drizzle; create table users (id int primary key);
	create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);
	insert into drizzle.__drizzle_migrations (hash, created_at) values
	(encode(sha256('create table users (id int primary key);'), 'hex'), 1)`

// A fleet that drizzle itself has migrated in part goes on, is healthy, and is equal in all tenants, however the first
// file got there.
func TestDrizzleFleet(t *testing.T) {
	f := newFleet(t, named("a", "b")...)
	query(t, f.projects[0], theirs)
	first := []string{"0000_users", "create table users (id int primary key);"}
	f.drizzleDir(t, "drizzle", first...)
	o := f.runDrizzle(t)
	o.counts(t, 1, 1, 0, 0)
	o.says(t, "b  1 applied")
	if got := query(t, f.projects[1], "select hash || created_at from drizzle.__drizzle_migrations"); got !=
		query(t, f.projects[0], "select hash || created_at from drizzle.__drizzle_migrations") {
		t.Errorf("recorded %s", got)
	}
	o = f.runDrizzle(t, "mode=health-check", "fail-on=pending,unknown-versions,drift")
	o.counts(t, 2, 0, 0, 0)

	f.drizzleDir(t, "drizzle", append(first, "0001_posts", "create table posts ();--> statement-breakpoint\nselect 1")...)
	f.runDrizzle(t, "mode=health-check", "fail-on=pending").says(t, "0001_posts.sql")
	f.runDrizzle(t, "rehearse=all", "waves=1,100%").counts(t, 2, 0, 0, 0)
	f.runDrizzle(t).counts(t, 0, 2, 0, 0)

	f.drizzleDir(t, "drizzle", "0000_users", "create table users (id int primary key, name text);", "0001_posts",
		"create table posts ();--> statement-breakpoint\nselect 1", "0002_more", "select 2")
	o = f.runDrizzle(t, "changed-files=fail")
	o.counts(t, 0, 0, 2, 0)
	o.says(t, "drizzle/0000_users.sql was changed after it had been applied", "put the old contents back")
	o = f.runDrizzle(t)
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "changed-files: 1 file is no longer what was applied: 0000_users.sql (2 tenants)")
}

// A run is undone also if it gave the table of drizzle 0.x the form of 1.0.
func TestDrizzleUndo(t *testing.T) {
	f := newFleetWith(t, neontest.Options{}, named("a")...)
	query(t, f.projects[0], theirs)
	f.drizzleFolder(t, "19700101000000_users", "create table users (id int primary key);")
	f.drizzleFolder(t, "20250102000000_posts", "create table posts ()")
	o := f.run(t, t.Context(), withPoints("migrations-format=drizzle")...)
	o.counts(t, 1, 0, 0, 0)
	if got := query(t, f.projects[0], "select count(name) from drizzle.__drizzle_migrations"); got != "2" {
		t.Errorf("%s names", got)
	}
	f.keep(t, "report.json", o)
	o = f.run(t, t.Context(), undo("migrations-format=drizzle")...)
	o.counts(t, 1, 0, 0, 0)
	if got := query(t, f.projects[0], "select count(*) from information_schema.columns "+
		"where table_name = '__drizzle_migrations'"); got != "3" {
		t.Errorf("%s columns", got)
	}
}

// Tenants that are schemas have the table in their own; the schema public's is where a configuration that says nothing
// has it, or in public.
func TestDrizzleSchemas(t *testing.T) {
	e := newEstate(t, "a", "+b")
	e.drizzleDir(t, "drizzle", "0000_users", "create table users (id int)")
	e.drizzleDir(t, "public", "0000_plans", "create table plans (id int)")
	inputs := []string{"migrations-format=drizzle", "public-migrations-path=public", "create-missing=true"}
	e.run(t, inputs...).counts(t, 2, 0, 0, 0)
	same(t, "tables", e.relations(t), []string{
		"a.__drizzle_migrations", "a.users", "b.__drizzle_migrations", "b.users", "drizzle.__drizzle_migrations",
		"public.plans"})
	e.run(t, inputs...).counts(t, 0, 2, 0, 0)
	e.run(t, "migrations-format=drizzle", "mode=health-check", "fail-on=pending,drift,orphans").counts(t, 2, 0, 0, 0)

	e.do(t, "alter table drizzle.__drizzle_migrations set schema public")
	o := e.run(t, inputs...)
	o.counts(t, 0, 2, 0, 0)
	o.says(t, "nothing pending")
	e.do(t, "create table drizzle.__drizzle_migrations ()")
	e.run(t, inputs...).says(t, `both "public"."__drizzle_migrations" and "drizzle"."__drizzle_migrations" exist`)
	e.do(t, "alter table drizzle.__drizzle_migrations rename to other")
	e.run(t, inputs...).counts(t, 0, 2, 0, 0)
}

// A tenant is created where only the table of an empty record is, and refused where something else is.
func TestDrizzleCreateTenant(t *testing.T) {
	e := newEstate(t)
	e.drizzleDir(t, "drizzle", "0000_users", "create table users (id int)")
	e.do(t, "create schema acme; create table acme.__drizzle_migrations (id serial primary key, hash text not null, "+
		"created_at bigint)")
	create := []string{"migrations-format=drizzle", "mode=create-tenant", "tenant-name=acme"}
	e.run(t, create...).counts(t, 1, 0, 0, 0)
	same(t, "rows", e.do(t, "select created_at::text from acme.__drizzle_migrations"), []string{"1"})
	e.do(t, "create schema other; create sequence other.s; create table other.__drizzle_migrations "+
		"(id serial primary key, hash text not null, created_at bigint)")
	create[2] = "tenant-name=other"
	e.run(t, create...).says(t, "it holds something that no migration created: sequence other.s")
}
