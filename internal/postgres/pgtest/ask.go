package pgtest

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Ask returns the rows of a query with one text column, over a connection of its own.
func Ask(t testing.TB, url, sql string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Do runs SQL, one statement or several, over a connection of its own.
func Do(t testing.TB, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// Session opens a session that lasts until the test ends, such as one that holds a lock. It returns what runs one or
// several statements in it.
func Session(t testing.TB, url string) (do func(sql string)) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return func(sql string) {
		t.Helper()
		if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// Load runs a script, such as a dump, with psql, which ends at the first error.
func Load(t testing.TB, url string, script io.Reader) error {
	t.Helper()
	psql := exec.CommandContext(t.Context(), filepath.Join(Shared(t).BinDir, "psql"), "--quiet", "--no-psqlrc",
		"--set", "ON_ERROR_STOP=1", "--dbname", url)
	psql.Stdin = script
	if out, err := psql.CombinedOutput(); err != nil {
		return fmt.Errorf("psql: %w: %s", err, out)
	}
	return nil
}

// HostileNames are names for schemas and tables that break code which does not quote.
var HostileNames = []string{
	`a"; drop schema public cascade; --`, `it's`, `back\slash`, "Über Größe", "with space, and comma", "select", "{a}",
	"$1", "a.b", "line\nbreak", strings.Repeat("é", 31) + "x",
}

// CreateSchemas creates schemas with any names.
func CreateSchemas(t testing.TB, url string, names ...string) {
	t.Helper()
	for _, n := range names {
		Do(t, url, "create schema "+Identifier(n))
	}
}

// Relations lists the tables and views outside the system's schemas, as schema.name.
func Relations(t testing.TB, url string) []string {
	t.Helper()
	return Ask(t, url, `select n.nspname || '.' || c.relname
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'v') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
		order by n.nspname collate "C", c.relname collate "C"`)
}
