package migration_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// columnsOf are those of drizzle's table, with their types.
func columnsOf(t testing.TB, url string) string {
	t.Helper()
	return strings.Join(pgtest.Ask(t, url, "select attname || ' ' || format_type(atttypid, atttypmod) || "+
		"case when attnotnull then ' not null' else '' end || coalesce(' ' || pg_get_expr(adbin, adrelid), '') "+
		"from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum "+
		"where attrelid = 'drizzle.__drizzle_migrations'::regclass and attnum > 0 order by attnum"), ", ")
}

const (
	oldColumns = "id integer not null nextval('drizzle.__drizzle_migrations_id_seq'::regclass), hash text not null, " +
		"created_at bigint"
	newColumns = oldColumns + ", name text, applied_at timestamp with time zone now()"
)

// A table of 0.x gets the form of 1.0 with the first folder that is pending, and not before.
func TestDrizzleUpgrade(t *testing.T) {
	texts := []string{"create table a ()", "create table b ()", "create table c ()"}
	journal := journaled(t, []any{1735689600123, "0000_a", 1735776000001, "0001_b", 1735776000999, "0002_c"}, texts...)
	url := pgtest.Database(t)
	if _, err := migrate(t.Context(), url, journal, drizzle()); err != nil {
		t.Fatal(err)
	}
	old := []string{"20250101000000_a", texts[0], "20250102000000_b", texts[1], "20250102000000_c", texts[2]}
	got, err := migrate(t.Context(), url, foldered(t, old...), drizzle())
	if err != nil || len(got.Applied)+len(got.Unknown)+len(got.Edited) > 0 || got.Before != "20250102000000_c" {
		t.Fatalf("%+v, %v", got, err)
	}
	servertest.Equal(t, "columns before", columnsOf(t, url), oldColumns)

	broken := foldered(t, append(old, "20250103000000_d", "select 1/0")...)
	if _, err := migrate(t.Context(), url, broken, drizzle()); err == nil {
		t.Fatal("no error")
	}
	servertest.Equal(t, "columns after a failure", columnsOf(t, url), oldColumns)

	more := foldered(t, append(old, "20250103000000_d", "create table d ()")...)
	if got, err = migrate(t.Context(), url, more, drizzle()); err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "applied", appliedFiles(got), []string{"20250103000000_d/migration.sql"})
	servertest.Equal(t, "columns", columnsOf(t, url), newColumns)
	servertest.Equal(t, "rows", pgtest.Ask(t, url, "select name || ' ' || created_at || ' ' || (applied_at is null) "+
		"from drizzle.__drizzle_migrations order by id"), []string{"20250101000000_a 1735689600123 true",
		"20250102000000_b 1735776000001 true", "20250102000000_c 1735776000999 true", "20250103000000_d 1735862400000 false"})
	if got, err = migrate(t.Context(), url, more, drizzle()); err != nil || len(got.Applied) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A row that no folder belongs to is an error, unless its contents are a folder's.
func TestDrizzleUpgradeOfStrangers(t *testing.T) {
	url := pgtest.Database(t)
	journal := journaled(t, []any{1735689600123, "0000_a", 1735776000001, "0001_b"}, "create table a ()",
		"create table b ()")
	if _, err := migrate(t.Context(), url, journal, drizzle()); err != nil {
		t.Fatal(err)
	}
	renamed := foldered(t, "20250101000000_a", "create table a ()", "20250115000000_b", "create table b ()")
	got, err := migrate(t.Context(), url, renamed, drizzle())
	if err != nil || len(got.Applied)+len(got.Pending) > 0 {
		t.Errorf("by its contents: %+v, %v", got, err)
	}
	edited := foldered(t, "20250101000000_a", "create table a ()", "20250115000000_b", "create table bb ()")
	_, err = migrate(t.Context(), url, edited, drizzle())
	var strangers *migration.StrangersError
	if !errors.As(err, &strangers) || len(strangers.Rows) != 1 || strangers.Rows[0] != "1735776000001" {
		t.Errorf("got %v", err)
	}
	servertest.Equal(t, "columns", columnsOf(t, url), oldColumns)
	o := drizzle()
	o.DryRun = true
	got, err = migrate(t.Context(), url, edited, o)
	servertest.Equal(t, "unknown", got.Unknown, []string{"1735776000001"})
	if err != nil || !slices.Contains(got.Warnings, strangers.Error()) {
		t.Errorf("a dry run: %v, %q", err, got.Warnings)
	}
}

func TestDrizzleTableOfAnotherTool(t *testing.T) {
	m := journaled(t, []any{10, "a"}, "select 1")
	for name, c := range map[string]struct{ sql, want string }{
		"columns": {"(version text)", "has no column id, so it is not drizzle's"},
		"another": {"(id serial, hash text, created_at bigint, dirty bool not null)",
			"has a column \"dirty\", which must be filled"},
		"no time": {"(id serial, hash text, created_at bigint); insert into drizzle.__drizzle_migrations values (1, 'a')",
			`has a row (id 1) whose created_at is "" and no number`},
		"not kept": {"(id serial, hash varchar(9) not null, created_at bigint)", "value too long"},
		"changed": {"(id serial, hash text not null, created_at bigint); create rule r as on insert to " +
			"drizzle.__drizzle_migrations do instead nothing", "the table does not keep versions as they are"},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Database(t)
			pgtest.Do(t, url, "create schema drizzle; create table drizzle.__drizzle_migrations "+c.sql)
			_, err := migrate(t.Context(), url, m, drizzle())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Tenants that are schemas have the table in their own, and all of them are read at once.
func TestDrizzleSchemas(t *testing.T) {
	o := drizzle()
	o.Table = postgres.Ledger{Table: postgres.Table{Name: "__drizzle_migrations"}, Format: postgres.Drizzle}
	o.CreateSchema = true
	for name, m := range map[string]*migration.Files{
		"journal": journaled(t, []any{10, "a"}, "create table a ()"),
		"folders": foldered(t, "20250101000000_a", "create table a ()"),
	} {
		c, err := connect(t.Context(), pgtest.Database(t), postgres.Options{NoSearchPath: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, o.Schema = range []string{"one", "two"} {
			if got, err := migration.Migrate(t.Context(), c, m, o); err != nil || len(got.Applied) != 1 || !got.Creates {
				t.Fatalf("%s: %+v, %v", name, got, err)
			}
		}
		_, err = c.Exec(t.Context(), "create schema three; create table three.__drizzle_migrations (a int, b int, c int)")
		if err != nil {
			t.Fatal(err)
		}
		all, err := migration.ReadSchemas(t.Context(), c, o.Table, []string{"one", "two", "three", "four"})
		if err != nil {
			t.Fatal(err)
		}
		for schema, want := range map[string]bool{"one": true, "two": true, "three": false, "four": false} {
			o.Schema = schema
			got, known, err := all.Migrate(m, o)
			if known != want || err != nil || known && (got.Before != m.Versions()[0] || len(got.Edited) > 0) {
				t.Errorf("%s, %s: %+v, %v, %v", name, schema, got, known, err)
			}
		}
	}
}
