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
