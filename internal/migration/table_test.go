package migration_test

import (
	"errors"
	"net/url"
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
		"1_dump.sql", up("select pg_catalog.set_config('search_path', '', false);\nset statement_timeout = 60000;\n"+
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
	o.Table.Table, _ = postgres.ParseTable(`Audit "log".Done`)
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

// Without a schema to create it in there is no place for the table, and no key for the lock. That is said at once.
func TestNoSchemaForTheTable(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, "alter role current_user set search_path = nowhere")
	for _, sql := range []string{"", "create schema nowhere"} {
		if sql != "" {
			pgtest.Do(t, url, sql)
		}
		_, err := migrate(t.Context(), url, files(t, "1_a.sql", up("select 1")), options())
		var table *postgres.TableError
		if refused := errors.As(err, &table) && table.Cause == postgres.NoSchema; refused != (sql == "") {
			t.Errorf("after %q: %v", sql, err)
		}
	}
}

// Another tool's table, and one whose rows are hidden, tell nothing about what is applied: nothing is run.
func TestTableThatIsNotOurs(t *testing.T) {
	for name, c := range map[string]struct {
		sql    string
		cause  postgres.Cause
		text   string
		remedy string // SQL that the remedy names; empty: it needs another table
	}{
		"golang-migrate's": {sql: "create table schema_migrations (version bigint primary key, dirty boolean not null); " +
			"insert into schema_migrations values (1, false)", cause: postgres.VersionsNotOurs, text: `a column "dirty"`},
		"without versions": {sql: "create table schema_migrations (name text)", cause: postgres.VersionsNotOurs,
			text: "has no column version"},
		"rows hidden": {sql: "create table schema_migrations (version varchar primary key); " +
			"insert into schema_migrations values ('1'); alter table schema_migrations force row level security, " +
			"enable row level security; create policy p on schema_migrations using (false)",
			cause: postgres.VersionsHidden, text: "row security would hide rows", remedy: "alter table"},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Database(t)
			pgtest.Do(t, url, c.sql)
			m := files(t, "1_a.sql", up("create table never ()"), "2_b.sql", alone("create table never ()"))
			for _, dry := range []bool{true, false} {
				o := options()
				o.DryRun = dry
				_, err := migrate(t.Context(), url, m, o)
				var table *postgres.TableError
				if !errors.As(err, &table) || table.Cause != c.cause || !strings.Contains(err.Error(), c.text) {
					t.Fatalf("got %v", err)
				}
				if _, sql, found := strings.Cut(remedies.Of(err), ": "+c.remedy); c.remedy != "" && !dry {
					sql, _, _ = strings.Cut(sql, ", or")
					if !found {
						t.Fatalf("the remedy is %q", remedies.Of(err))
					}
					pgtest.Do(t, url, c.remedy+sql)
				}
			}
			servertest.Equal(t, "run", pgtest.Ask(t, url, "select relname::text from pg_class where relname = 'never'"),
				[]string{})
			if c.remedy != "" {
				got, err := migrate(t.Context(), url, m, options())
				if err != nil || len(got.Applied) != 1 {
					t.Errorf("after the remedy: %v, %v", got.Applied, err)
				}
			}
		})
	}
}

// More columns do no harm if they need not be filled.
func TestTableWithMoreColumns(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create table schema_migrations (id bigint generated always as identity, at timestamptz not null "+
		"default now(), gone int not null, version varchar primary key, note text); "+
		"alter table schema_migrations drop column gone; insert into schema_migrations (version) values ('1')")
	m := files(t, "1_a.sql", up("create table never ()"), "2_b.sql", up("select 1"))
	for _, want := range []int{1, 0} {
		if got, err := migrate(t.Context(), url, m, options()); err != nil || len(got.Applied) != want {
			t.Errorf("applied %v, %v, want %d", got.Applied, err, want)
		}
	}
}

// The server passes over a schema of the search_path that does not exist, and files would fill the next one.
func TestMissingSchemaOfThePath(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t, "1_a.sql", up("create table a ()"))
	for name, c := range map[string]struct {
		url   string
		table string
	}{
		"given in the URL":   {withParameter(t, url, "search_path", `tenant_x,public`), "schema_migrations"},
		"as an option":       {withParameter(t, url, "options", `-csearch_path=tenant_x,public`), "schema_migrations"},
		"the record named":   {withParameter(t, url, "search_path", `tenant_x,public`), "public.schema_migrations"},
		"after the own name": {withParameter(t, url, "search_path", `"$user",tenant_x,public`), "schema_migrations"},
	} {
		o := options()
		o.Table.Table, _ = postgres.ParseTable(c.table)
		_, err := migrate(t.Context(), c.url, m, o)
		var path *postgres.SearchPathError
		if !errors.As(err, &path) || path.Missing != "tenant_x" || remedies.Of(err) == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	servertest.Equal(t, "relations", pgtest.Relations(t, url), []string{})
	pgtest.Do(t, url, "create schema tenant_x")
	if _, err := migrate(t.Context(), withParameter(t, url, "search_path", "tenant_x,public"), m, options()); err != nil {
		t.Error(err)
	}
	servertest.Equal(t, "relations", pgtest.Relations(t, url), []string{"tenant_x.a", "tenant_x.schema_migrations"})
}

// withParameter adds a parameter to a connection string.
func withParameter(t testing.TB, text, name, value string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery += "&" + name + "=" + url.PathEscape(value)
	return u.String()
}

// With its schema named, the record needs no schema of the search_path, and no name is misled where there is none.
func TestRecordWithoutASchemaOfThePath(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create schema app; alter role current_user set search_path = nowhere")
	o := options()
	o.Table.Table, _ = postgres.ParseTable("app.schema_migrations")
	m := files(t, "1_a.sql", up("create table app.a ()"))
	if got, err := migrate(t.Context(), url, m, o); err != nil || len(got.Applied) != 1 {
		t.Errorf("applied %v, %v", got.Applied, err)
	}
}
