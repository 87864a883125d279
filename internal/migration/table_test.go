package migration_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// The table is as dbmate creates it, so that either tool can use it.
func TestTableIsDbmates(t *testing.T) {
	url := pgtest.Database(t)
	if _, err := migrate(t.Context(), url, files(t, "1_a.sql", up("select 1")), options()); err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "columns", pgtest.Ask(t, url, "select column_name || ' ' || data_type || ' ' || is_nullable "+
		"from information_schema.columns where table_name = 'schema_migrations'"),
		[]string{"version character varying NO"})
}

// Files made by pg_dump empty the session's search_path, which must affect neither later files nor the recording.
func TestEachFileStartsFresh(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t,
		"1_dump.sql", up("select pg_catalog.set_config('search_path', '', false);\nset statement_timeout = 1;\n"+
			"set statement_timeout = 0;\nset default_transaction_read_only = on;\ncreate table public.a (i int)"),
		"2_more.sql", up("create table b (i int)"),
		"3_alone.sql", alone("create table c (i int)"),
	)
	if _, err := migrate(t.Context(), url, m, options()); err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "recorded", recorded(t, url), []string{"1", "2", "3"})
}

func TestTableElsewhere(t *testing.T) {
	url := pgtest.Database(t)
	o := options()
	o.Table, _ = postgres.ParseTable(`Audit "log".Done`)
	m := files(t, "1_a.sql", up("select 1"))
	if _, err := migrate(t.Context(), url, m, o); err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "recorded", pgtest.Ask(t, url, `select version from "Audit ""log"""."Done"`), []string{"1"})
	got, err := migrate(t.Context(), url, m, o)
	if err != nil || len(got.Applied) > 0 {
		t.Errorf("again: %v, %v", got, err)
	}
}

func TestTableInAnotherSchemaOfThePath(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t, "1_a.sql", up("select 1"))
	if _, err := migrate(t.Context(), url, m, options()); err != nil {
		t.Fatal(err)
	}
	pgtest.Do(t, url, "create schema app; alter role current_user set search_path = app, public")
	_, err := migrate(t.Context(), url, m, options())
	var table *postgres.TableError
	if !errors.As(err, &table) || !strings.Contains(remedies.Of(err), "public.schema_migrations") {
		t.Errorf("got %v", err)
	}
}

// Whatever the path looks like, the table is created in its first schema and found there again.
func TestTableInTheFirstSchemaOfThePath(t *testing.T) {
	for _, path := range []string{"app, public", `"My, ""App""", public`, `"My, ""App"""`, "public, app", `"{a}"`} {
		url := pgtest.Database(t)
		pgtest.Do(t, url, `create schema app; create schema "My, ""App"""; create schema "{a}"; `+
			"alter role current_user set search_path = "+path)
		m := files(t, "1_a.sql", up("select 1"))
		for _, want := range []int{1, 0} {
			if got, err := migrate(t.Context(), url, m, options()); err != nil || len(got.Applied) != want {
				t.Errorf("%s: applied %v, %v, want %d", path, got.Applied, err, want)
			}
		}
		same := pgtest.Ask(t, url, "select (to_regclass('schema_migrations') = "+
			"to_regclass(quote_ident(current_schema()) || '.schema_migrations'))::text")
		if same[0] != "true" {
			t.Errorf("%s: the table is elsewhere: %v", path, same)
		}
	}
}
