package action

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/mode/tenant"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// tracked lists the tracker's names.
func (e *estate) tracked(t *testing.T) []string {
	t.Helper()
	return e.do(t, `select name from schema_tracker order by name collate "C"`)
}

// rows counts what a schema's tables hold, beside the record of the migrations.
func (e *estate) rows(t *testing.T, schema string) string {
	t.Helper()
	return strings.Join(e.do(t, `select tablename || ' ' || (xpath('/row/n/text()', query_to_xml(format(
			'select count(*) n from %I.%I', schemaname, tablename), true, true, '')))[1]::text
		from pg_tables where schemaname = `+pgtest.Literal(schema)+`
			and tablename <> 'schema_migrations' order by tablename`), ", ")
}

func TestASchemaIsCreatedAndDropped(t *testing.T) {
	servertest.Long(t)
	e, v := newEstate(t, "globex"), newVault(t)
	e.run(t).counts(t, 1, 0, 0, 0)
	e.run(t, create("acme_corp", "dry-run=true")...).says(t, "acme_corp  would be created and migrated")
	same(t, "after the dry run", e.relations(t), tables("globex"))

	o := e.run(t, create("acme_corp")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "acme_corp  created, 3 applied")
	same(t, "tenant-id", o.outputs["tenant-id"], "acme_corp")
	same(t, "tables", e.relations(t), tables("acme_corp", "globex"))
	same(t, "tracked", e.tracked(t), []string{"acme_corp", "globex"})
	same(t, "rows of a new tenant", e.rows(t, "acme_corp"), e.rows(t, "globex")) // nothing is inserted into it
	e.run(t, create("acme_corp")...).counts(t, 0, 1, 0, 0)

	e.do(t, "insert into acme_corp.users (email, name) values ('a@x', 'Ann'); insert into globex.users (email, name) "+
		"values ('b@x', 'Bob')")
	before := e.rows(t, "globex")
	dropIt := v.inputs(drop("acme_corp")...)
	e.run(t, append(dropIt, "dry-run=true")...).says(t, "would be dropped after a new backup")
	o = e.run(t, dropIt...)
	o.counts(t, 1, 0, 0, 0)
	same(t, "tables", e.relations(t), tables("globex"))
	same(t, "tracked", e.tracked(t), []string{"globex"})
	same(t, "the other tenant's rows", e.rows(t, "globex"), before)
	if keys := v.keys(t); len(keys) != 2 || !slices.Contains(keys, o.outputs["backup-key"]) {
		t.Errorf("the bucket has %v, backup-key is %q", keys, o.outputs["backup-key"])
	}
	if d := detail[tenant.DropDetail](t, o, "acme_corp"); !d.Dropped || !d.BackupMade {
		t.Errorf("detail %+v", d)
	}
	e.run(t, dropIt...).says(t, "is none of the 1 listed tenants")
}

// A migration that fails drops no schema and registers none, and what was left of a run that was cut off is completed.
func TestASchemaThatWasLeftHalfMade(t *testing.T) {
	t.Parallel()
	e := newEstate(t, "+listed_only")
	e.write(t, "20250301000000_wrong.sql", "create table more (); select 1/0;")
	for range 2 {
		o := e.run(t, create("late")...)
		o.counts(t, 0, 0, 1, 0)
		o.says(t, "division by zero", "the tenant was created and is kept", "run again with the same tenant-name")
		same(t, "tracked", e.tracked(t), []string{"listed_only"})
		same(t, "tables", e.relations(t), tables("late")) // to the last good version
	}
	e.write(t, "20250301000000_wrong.sql", "create table more ();")
	o := e.run(t, create("late")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "late  1 applied, registered")
	same(t, "tracked", e.tracked(t), []string{"late", "listed_only"})
	// Made and never migrated; listed and never made.
	e.do(t, "create schema made_only")
	e.run(t, create("made_only")...).says(t, "made_only  4 applied, registered")
	e.run(t, create("listed_only")...).says(t, "listed_only  created, 4 applied")
	e.run(t).counts(t, 0, 3, 0, 0)
}

// modeNames that no schema of a tenant may have are refused before the first connection, and what such names already
// are stays.
func TestNamesThatNoSchemaMayHave(t *testing.T) {
	t.Parallel()
	e := newEstate(t, "sound")
	e.do(t, "create schema other; create table other.theirs ()")
	for _, name := range []string{
		"public", "pg_catalog", "pg_toast", "pg_x", "information_schema", "1a", "a-b", "a b", `a"b`, "a'b", "a;b", "東京", "é",
		strings.Repeat("x", 64), "select", "user", "table", "a.b", "*", "a\x00b",
	} {
		o := e.organisation.run(t, t.Context(), append(create(name), "neon-api-key=", "neon-api-url=",
			"tenant-source=schemas", "database-url=postgresql://u:p@127.0.0.1:1/nowhere")...)
		if o.says(t, "tenant-name: "); o.err == nil || strings.Contains(o.log, "connect to") {
			t.Errorf("%q is not refused before a connection:\n%s", name, o.log)
		}
	}
	e.run(t, create("other")...).says(t, "it holds something that no migration created")
	// Whoever lists it: what is the system's, or the list's own, is never dropped, and what nobody lists neither.
	for _, name := range []string{"public", "pg_catalog", "pg_toast", "information_schema"} {
		e.do(t, "insert into schema_tracker values ("+pgtest.Literal(name)+")")
		for _, how := range []string{"dry-run=true", "dry-run=false"} {
			if o := e.run(t, drop(name, "without-backup=true", how)...); o.err == nil ||
				!strings.Contains(o.log, "is not dropped: ") {
				t.Errorf("%s, %s:\n%s", name, how, o.log)
			}
		}
	}
	e.run(t, drop("other", "without-backup=true")...).says(t, `"other" is none of the 5 listed tenants`)
	same(t, "schemas", e.do(t, "select count(*)::text from pg_namespace where nspname in ('public', 'pg_catalog', "+
		"'pg_toast', 'information_schema', 'other')"), []string{"5"})
	e.run(t, drop("sound", "without-backup=true")...).counts(t, 1, 0, 0, 0)
	// A list in a schema of its own is not dropped with it.
	e.do(t, "create schema registry; create table registry.list (name text primary key); insert into registry.list "+
		"values ('registry')")
	e.run(t, drop("registry", "without-backup=true", "schema-tracker=registry.list")...).says(t, "is not dropped: ")
}

// Hostile names that somebody listed by hand are dropped as they are, and nothing else is.
func TestHostileNamesAreDroppedAsTheyAre(t *testing.T) {
	t.Parallel()
	hostile := []string{`a"; drop schema public cascade; --`, `it's`, "東京", "select", strings.Repeat("x", 63)}
	e := newEstate(t, append(hostile, "sound")...)
	for _, name := range hostile {
		e.run(t, drop(name, "without-backup=true", "tenant-key=id", "dry-run=true")...)
		e.run(t, drop(name, "without-backup=true")...).counts(t, 1, 0, 0, 0)
	}
	same(t, "tracked", e.tracked(t), []string{"sound"})
	same(t, "schemas", e.do(t,
		`select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
			order by nspname collate "C"`), []string{"public", "sound"})
}

// Objects of others that depend on a tenant's schema are named, and nothing is dropped or backed up, until what the
// message advises is done.
func TestASchemaThatOthersUseIsNotDropped(t *testing.T) {
	e, v := newEstate(t, "acme", "globex"), newVault(t)
	e.run(t).counts(t, 2, 0, 0, 0)
	e.do(t, `create extension citext schema acme; create table globex.mail (address acme.citext primary key);
		insert into globex.mail values ('a@x'); create view public.totals as select count(*) from acme.users`)
	refused := func(what string) {
		t.Helper()
		for _, inputs := range [][]string{
			{"without-backup=true", "dry-run=true"}, {"without-backup=true"}, v.inputs("dry-run=true"), v.inputs(),
		} {
			o := e.run(t, append(inputs, drop("acme")...)...)
			o.counts(t, 0, 0, 1, 0)
			o.says(t, `dropping schema "acme" would also drop what depends on it and is not part of it: `+what+
				"; the tenant was not dropped", "alter extension … set schema")
			if strings.Contains(o.log, "set without-backup: true") {
				t.Errorf("advises to give up what is others':\n%s", o.log)
			}
		}
		same(t, "tracked", e.tracked(t), []string{"acme", "globex"})
	}
	refused("table column globex.mail.address; view public.totals")
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(u.Path, "/") // a trusted extension's own objects are the superuser's
	if err := pgtest.Shared(t).Exec(t.Context(), database, "alter extension citext set schema public"); err != nil {
		t.Fatal(err)
	}
	refused("view public.totals")
	e.do(t, "drop view public.totals")
	if keys := v.keys(t); len(keys) != 0 {
		t.Errorf("the bucket has %v", keys)
	}
	e.run(t, v.inputs(drop("acme")...)...).counts(t, 1, 0, 0, 0)
	same(t, "tracked", e.tracked(t), []string{"globex"})
	same(t, "another tenant's data", e.do(t, "select address::text from globex.mail"), []string{"a@x"})
}
