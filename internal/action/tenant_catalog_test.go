package action

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// A Neon tenant is registered in the catalog by the run that completes it, and stays there, as dropped, when it goes.
func TestANeonTenantsLifeIsRecorded(t *testing.T) {
	t.Parallel()
	f, catalog := newFleet(t), catalogDatabase(t)
	const state = "select name || ' ' || coalesce(schema_version, '-') || ' ' || (dropped_at is not null) from project " +
		"order by name"
	f.write(t, "20250301000000_wrong.sql", "select 1/0;")
	f.run(t, t.Context(), create("new", "catalog-url="+catalog)...).counts(t, 0, 0, 1, 0)
	if got := askAll(t, catalog, state); len(got) != 0 {
		t.Errorf("a tenant that is not complete is recorded: %v", got)
	}
	f.write(t, "20250301000000_wrong.sql", "select 1;")
	f.run(t, t.Context(), create("new", "catalog-url="+catalog)...).counts(t, 1, 0, 0, 0)
	same(t, "recorded", askAll(t, catalog, state), []string{"new 20250301000000 false"})
	f.run(t, t.Context(), drop("new", "catalog-url="+catalog, "without-backup=true")...).counts(t, 1, 0, 0, 0)
	same(t, "recorded", askAll(t, catalog, state), []string{"new 20250301000000 true"})
}

// A drop that was cut off before the row went is completed by the next run, however much later.
func TestADropIsCompletedWhoseDatabaseIsGone(t *testing.T) {
	t.Parallel()
	f, v, catalog := newFleet(t), newVault(t), catalogDatabase(t)
	inputs := func(more ...string) []string {
		return v.inputs(append(more, "tenant-source=catalog", "database-url="+catalog, "neon-api-key=", "neon-api-url=")...)
	}
	f.run(t, t.Context(), inputs(create("wholly gone")...)...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), inputs(create("cut off")...)...).counts(t, 1, 0, 0, 0)
	askAll(t, catalog, "drop database \"wholly gone\"")
	if err := pgtest.Shared(t).Exec(t.Context(), "postgres", "update pg_database set datconnlimit = -2 where datname = "+
		"'cut off'"); err != nil { // as a DROP DATABASE that was killed leaves it
		t.Fatal(err)
	}
	for _, name := range []string{"wholly gone", "cut off"} {
		for _, dry := range []string{"dry-run=true", "dry-run=false"} {
			o := f.run(t, t.Context(), inputs(drop(name, dry)...)...)
			o.counts(t, 1, 0, 0, 0)
			o.says(t, "dropped without a new backup: nothing of it was left but its entry in the list")
		}
	}
	same(t, "listed", len(askAll(t, catalog, "select name from project where dropped_at is null")), 0)
	same(t, "keys", len(v.keys(t)), 0)
}

// What every server has, and the catalog's own database, is not dropped whoever lists it.
func TestDatabasesThatAreNeverDropped(t *testing.T) {
	f, catalog := newFleet(t), catalogDatabase(t)
	inputs := func(more ...string) []string {
		return append(more, "tenant-source=catalog", "database-url="+catalog, "neon-api-key=", "neon-api-url=")
	}
	f.run(t, t.Context(), inputs(create("acme")...)...).counts(t, 1, 0, 0, 0)
	own := mustConfig(t, catalog).Database
	for _, name := range []string{"postgres", "template0", "template1", own} {
		askAll(t, catalog, "insert into project (name, database) select "+pgtest.Literal(name)+", "+pgtest.Literal(name))
		for _, how := range []string{"dry-run=true", "dry-run=false"} {
			if o := f.run(t, t.Context(), inputs(drop(name, "without-backup=true", how)...)...); o.err == nil {
				t.Errorf("%s, %s:\n%s", name, how, o.log)
			} else {
				o.says(t, "is not dropped: ")
			}
		}
	}
	v := newVault(t)
	askAll(t, sibling(t, catalog, "acme"), "insert into users (email, name) values ('a@x', 'Ann')")
	o := f.run(t, t.Context(), v.inputs(inputs(drop("acme")...)...)...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "acme  dropped with the new backup "+o.outputs["backup-key"])
	same(t, "databases",
		askAll(t, catalog, "select count(*)::text from pg_database where datname in ('acme', 'postgres', 'template0', "+
			"'template1', "+pgtest.Literal(own)+")"), []string{"4"})
	if keys := v.keys(t); len(keys) != 2 {
		t.Errorf("the bucket has %v", keys)
	}
}
