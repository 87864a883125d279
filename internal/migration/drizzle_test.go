package migration_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func drizzle() migration.Options {
	o := options()
	o.Table = postgres.Ledger{Table: postgres.Table{Name: "__drizzle_migrations"}, Format: postgres.Drizzle}.AtHome()
	return o
}

// rows are what drizzle's table records, without the times at which it did.
func rows(t testing.TB, url string) []string {
	t.Helper()
	return pgtest.Ask(t, url, "select to_jsonb(m) ->> 'id' || ' ' || left(hash, 8) || ' ' || created_at || "+
		"coalesce(' ' || (to_jsonb(m) ->> 'name'), '') from drizzle.__drizzle_migrations m order by id")
}

// hash8 is the beginning of what drizzle records of a file.
func hash8(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:8]
}

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

func TestDrizzleJournal(t *testing.T) {
	url := pgtest.Database(t)
	whens := []any{1700000000001, "0000_a", 1700000000002, "0002_b"}
	a := "create table a (i int)" + breakpoint + "\ninsert into a values (1) -- one " + breakpoint +
		"\ninsert into a values (2)"
	b := "-- nothing"
	m := journaled(t, whens, a, b)
	got, err := migrate(t.Context(), url, m, drizzle())
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "applied", appliedFiles(got), []string{"0000_a.sql", "0002_b.sql"})
	servertest.Equal(t, "versions", []string{got.Before, got.After}, []string{"", "1700000000002"})
	servertest.Equal(t, "rows", rows(t, url),
		[]string{"1 " + hash8(a) + " 1700000000001", "2 " + hash8(b) + " 1700000000002"})
	servertest.Equal(t, "columns", columnsOf(t, url), oldColumns)
	servertest.Equal(t, "statements", pgtest.Ask(t, url, "select count(*)::text from a"), []string{"2"})

	got, err = migrate(t.Context(), url, m, drizzle())
	if err != nil || len(got.Applied)+len(got.Pending)+len(got.Unknown)+len(got.Skipped)+len(got.Edited) > 0 {
		t.Errorf("again: %+v, %v", got, err)
	}
}

func TestDrizzleFolders(t *testing.T) {
	url := pgtest.Database(t)
	m := foldered(t, "20250101000000_a", "create table a (i int)", "20250103000000_c", "create table c (i int)")
	if _, err := migrate(t.Context(), url, m, drizzle()); err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "columns", columnsOf(t, url), newColumns)
	// A late folder is applied, with a warning of the report, or refused.
	late := foldered(t, "20250101000000_a", "create table a (i int)", "20250102000000_b", "create table b (i int)",
		"20250103000000_c", "create table c (i int)")
	strict := drizzle()
	strict.Strict = true
	if _, err := migrate(t.Context(), url, late, strict); !errors.As(err, new(*migration.OrderError)) {
		t.Errorf("got %v", err)
	}
	got, err := migrate(t.Context(), url, late, drizzle())
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "late", got.OutOfOrder, []string{"20250102000000_b/migration.sql"})
	servertest.Equal(t, "versions", []string{got.Before, got.After}, []string{"20250103000000_c", "20250103000000_c"})
	servertest.Equal(t, "rows", rows(t, url), []string{
		"1 " + hash8("create table a (i int)") + " 1735689600000 20250101000000_a",
		"2 " + hash8("create table c (i int)") + " 1735862400000 20250103000000_c",
		"3 " + hash8("create table b (i int)") + " 1735776000000 20250102000000_b"})
	servertest.Equal(t, "applied at", pgtest.Ask(t, url,
		"select count(applied_at)::text from drizzle.__drizzle_migrations"), []string{"3"})
	// What is gone is unknown, by its name.
	got, err = migrate(t.Context(), url, m, drizzle())
	servertest.Equal(t, "unknown", got.Unknown, []string{"20250102000000_b"})
	if err != nil || len(got.Applied) > 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// An entry that is not later than the latest recorded one is skipped, as drizzle skips it; a later time brings it back.
func TestDrizzleSkipped(t *testing.T) {
	url := pgtest.Database(t)
	two := journaled(t, []any{10, "0000_a", 30, "0001_c"}, "", "")
	if _, err := migrate(t.Context(), url, two, drizzle()); err != nil {
		t.Fatal(err)
	}
	late := []any{10, "0000_a", 20, "0001_b", 30, "0001_c", 40, "0002_d"}
	texts := []string{"", "create table b ()", "", "create table d ()"}
	strict := drizzle()
	strict.Strict = true
	_, err := migrate(t.Context(), url, journaled(t, late, texts...), strict)
	var skipped *migration.SkippedError
	if !errors.As(err, &skipped) || skipped.File != "0001_b.sql" || skipped.Highest != "30" {
		t.Errorf("got %v", err)
	}
	servertest.Equal(t, "rows", len(rows(t, url)), 2)
	for _, applied := range [][]string{{"0002_d.sql"}, nil} {
		got, err := migrate(t.Context(), url, journaled(t, late, texts...), drizzle())
		if err != nil || len(got.Warnings) != 1 ||
			!strings.Contains(got.Warnings[0], "skipped for good, because a file with a later time is applied") {
			t.Fatalf("%v, %v", got.Warnings, err)
		}
		servertest.Equal(t, "skipped", got.Skipped, []string{"0001_b.sql"})
		servertest.Equal(t, "applied", appliedFiles(got), applied)
	}
	late[2], late[4], late[6] = 10+31, 30, 40
	moved := []any{10, "0000_a", 30, "0001_c", 40, "0002_d", 41, "0001_b"}
	got, err := migrate(t.Context(), url, journaled(t, moved, "", "", texts[3], texts[1]), drizzle())
	if err != nil || len(got.Skipped) > 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	servertest.Equal(t, "brought back", appliedFiles(got), []string{"0001_b.sql"})
}

// Files whose times do not ascend are committed together: whoever comes later would skip those with earlier times.
func TestDrizzleTimesThatDoNotAscend(t *testing.T) {
	whens := []any{10, "a", 50, "b", 30, "c", 40, "d", 60, "e", 70, "f"}
	with := func(d, e string) *migration.Files {
		return journaled(t, whens, "create table a ()", "create table b ()", "create table c ()\n--", d, e,
			"create table f ()")
	}
	url := pgtest.Database(t)
	got, err := migrate(t.Context(), url, with("create table d ();\n\ncreate table c ()", "create table e ()"), drizzle())
	var failed *migration.Error
	if !errors.As(err, &failed) || failed.File != "drizzle/d.sql" || failed.Line != 3 || failed.Column != 1 ||
		failed.Version != "40" {
		t.Fatalf("got %v", err)
	}
	servertest.Equal(t, "versions of the transaction", failed.Versions, []string{"50", "30", "40"})
	servertest.Equal(t, "applied", appliedFiles(got), []string{"a.sql"})
	servertest.Equal(t, "pending", got.Pending, []string{"b.sql", "c.sql", "d.sql", "e.sql", "f.sql"})
	servertest.Equal(t, "tables", pgtest.Ask(t, url, "select relname::text from pg_class "+
		"where relname ~ '^.$' and relkind = 'r' order by 1"), []string{"a"})

	got, err = migrate(t.Context(), url, with("create table d ()", "create table a ()"), drizzle())
	if err == nil {
		t.Fatal("no error")
	}
	servertest.Equal(t, "applied", appliedFiles(got), []string{"b.sql", "c.sql", "d.sql"})
	servertest.Equal(t, "after", []string{got.Before, got.After}, []string{"10", "50"})
	got, err = migrate(t.Context(), url, with("create table d ()", "create table e ()"), drizzle())
	if err != nil || len(got.Skipped) > 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	servertest.Equal(t, "applied", appliedFiles(got), []string{"e.sql", "f.sql"})
	times := pgtest.Ask(t, url, "select created_at::text from drizzle.__drizzle_migrations order by id")
	servertest.Equal(t, "times", times, []string{"10", "50", "30", "40", "60", "70"})
}

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
	if err != nil {
		t.Error(err)
	}
}

// The table records what was in a file: other line endings are no edit, anything else is.
func TestDrizzleEdited(t *testing.T) {
	url := pgtest.Database(t)
	text := "create table a (\r\n\ti int\r\n)"
	if _, err := migrate(t.Context(), url, journaled(t, []any{10, "a"}, text), drizzle()); err != nil {
		t.Fatal(err)
	}
	unix := strings.ReplaceAll(text, "\r\n", "\n")
	for now, edited := range map[string]bool{text: false, unix: false, unix + "\n": true, "": true} {
		got, err := migrate(t.Context(), url, journaled(t, []any{10, "a"}, now), drizzle())
		if _, is := got.Edited["10"]; is != edited || err != nil {
			t.Errorf("%q: %+v, %v", now, got, err)
		}
	}
	url = pgtest.Database(t)
	if _, err := migrate(t.Context(), url, journaled(t, []any{10, "a"}, unix), drizzle()); err != nil {
		t.Fatal(err)
	}
	got, err := migrate(t.Context(), url, journaled(t, []any{10, "a"}, text), drizzle())
	if len(got.Edited) > 0 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	// Another file had the same time, and is gone.
	pgtest.Do(t, url, "insert into drizzle.__drizzle_migrations (hash, created_at) values ('0123', 10)")
	got, err = migrate(t.Context(), url, journaled(t, []any{10, "a"}, text), drizzle())
	if len(got.Edited) > 0 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDrizzleErrorsAreInTheirPlace(t *testing.T) {
	url := pgtest.Database(t)
	text := "create table a ();" + breakpoint + "\n" + "select 1 " + breakpoint + "\n  select nothing;"
	_, err := migrate(t.Context(), url, foldered(t, "20250101000000_a", text), drizzle())
	if err == nil || !strings.Contains(err.Error(), "drizzle/20250101000000_a/migration.sql:3:10: column \"nothing\"") {
		t.Errorf("got %v", err)
	}
	_, err = migrate(t.Context(), url, foldered(t, "20250101000000_a",
		"create table b (i int);"+breakpoint+"\ncreate index concurrently on b (i);"), drizzle())
	var failed *migration.Error
	if !errors.As(err, &failed) || failed.Cause() != migration.NoTransaction || failed.Line != 2 {
		t.Errorf("got %v", err)
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

func TestDrizzleBaseline(t *testing.T) {
	for name, m := range map[string]*migration.Files{
		"journal": journaled(t, []any{10, "0000_a", 20, "0001_b", 30, "0002_c"}, "select 1/0", "select 1/0", "select 1"),
		"folders": foldered(t, "20250101000000_a", "select 1/0", "20250102000000_b", "select 1/0", "20250103000000_c", ""),
	} {
		url := pgtest.Database(t)
		o := adopting(m.Labels()[1], nil)
		o.Table, o.Strict = drizzle().Table, true
		got, err := migrate(t.Context(), url, m, o)
		if err != nil {
			t.Fatal(name, err)
		}
		servertest.Equal(t, "recorded", got.RecordedVersions, m.Versions()[:2])
		servertest.Equal(t, "applied", appliedFiles(got), m.Names()[2:])
		servertest.Equal(t, "rows", len(rows(t, url)), 3)
		if got, err = migrate(t.Context(), url, m, drizzle()); err != nil || len(got.Applied)+len(got.Edited) > 0 {
			t.Errorf("%s again: %+v, %v", name, got, err)
		}
	}
}

// A baseline must not leave out for good what comes after it.
func TestDrizzleBaselineBeforeAnEarlierTime(t *testing.T) {
	url := pgtest.Database(t)
	m := journaled(t, []any{10, "a", 50, "b", 30, "c", 60, "d"}, "", "", "", "")
	for version, refused := range map[string]bool{"b": true, "c": false} {
		o := adopting(version, nil)
		o.Table, o.DryRun = drizzle().Table, true
		_, err := migrate(t.Context(), url, m, o)
		var baseline *migration.BaselineError
		if errors.As(err, &baseline) != refused || refused && !strings.Contains(err.Error(), "c.sql, which comes after it") {
			t.Errorf("%s: %v", version, err)
		}
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
