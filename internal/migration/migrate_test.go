package migration_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// files writes migration files, given as alternating names and contents, and loads them.
func files(t testing.TB, namesAndContents ...string) *migration.Files {
	t.Helper()
	m, err := load(t, namesAndContents...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// up makes a file's contents from its migrate:up part.
func up(sql string) string { return "-- migrate:up\n" + sql + "\n-- migrate:down\n" }

// alone is up outside a transaction.
func alone(sql string) string {
	return "-- migrate:up transaction:false\n" + sql + "\n-- migrate:down\n"
}

func options() migration.Options {
	table, _ := postgres.ParseTable("schema_migrations")
	return migration.Options{
		Table: postgres.Ledger{Table: table}, LockTimeout: 20 * time.Second, StatementLockTimeout: 10 * time.Second,
	}
}

// migrate connects, migrates and closes, as a worker does.
func migrate(ctx context.Context, url string, m *migration.Files, o migration.Options) (migration.Result, error) {
	c, err := connect(ctx, url, postgres.Options{})
	if err != nil {
		return migration.Result{}, err
	}
	defer c.Close()
	return migration.Migrate(ctx, c, m, o)
}

func recorded(t testing.TB, url string) []string {
	t.Helper()
	return pgtest.Ask(t, url, "select version from schema_migrations order by version")
}

func appliedFiles(m migration.Result) []string {
	var names []string
	for _, a := range m.Applied {
		names = append(names, a.File)
	}
	return names
}

func TestMigrateFromEmptyThenUnchanged(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t,
		"20250101000000_users.sql", up("create table users (id bigint primary key, name text not null);\n"+
			"create index on users (name);"),
		"20250102000000_rows.sql", up("insert into users select i, 'user ' || i from generate_series(1, 1000) i;\n"+
			"select * from users;"),
		"20250103000000_index.sql", alone("create index concurrently users_name on users (name)"),
	)
	got, err := migrate(t.Context(), url, m, options())
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "applied", appliedFiles(got),
		[]string{"20250101000000_users.sql", "20250102000000_rows.sql", "20250103000000_index.sql"})
	servertest.Equal(t, "versions", []string{got.Before, got.After}, []string{"", "20250103000000"})
	servertest.Equal(t, "recorded", recorded(t, url), []string{"20250101000000", "20250102000000", "20250103000000"})
	servertest.Equal(t, "rows", pgtest.Ask(t, url, "select count(*)::text from users"), []string{"1000"})

	began := time.Now()
	again, err := migrate(t.Context(), url, m, options())
	if err != nil {
		t.Fatal(err)
	}
	want := migration.Result{Before: "20250103000000", After: "20250103000000"}
	servertest.Equal(t, "second run", timed(t, again, began), want)
}

// timed returns a result without its times, which it has checked: the server said one, and ours was read since began.
func timed(t *testing.T, r migration.Result, began time.Time) migration.Result {
	t.Helper()
	if r.At.IsZero() || r.Clock.Before(began) || r.Clock.After(time.Now()) {
		t.Errorf("at %v by the server's clock and %v by ours, of a run since %v", r.At, r.Clock, began)
	}
	r.At, r.Clock = time.Time{}, time.Time{}
	return r
}

func TestFailureNamesThePlace(t *testing.T) {
	for name, c := range map[string]struct{ sql, want, picture string }{
		"name": {
			"-- migrate:up\ncreate table é (i int);\n\nselect 'é',\n  nothing from é;\n-- migrate:down\n",
			`:5:3: column "nothing" does not exist (SQLSTATE 42703)`,
			"    5 |   nothing from é;\n          ^",
		},
		"leading": {
			"-- about this file\n\n-- migrate:up\nselect nothing;\n-- migrate:down\n",
			`:4:8: column "nothing" does not exist (SQLSTATE 42703)`,
			"    4 | select nothing;\n               ^",
		},
		"syntax": {
			up("create table x (i int);\nselec 1;"),
			`:3:1: syntax error at or near "selec" (SQLSTATE 42601)`,
			"    3 | selec 1;\n        ^",
		},
		"unfinished": {
			up("create table x (i int"),
			`:2:22: syntax error at or near ";" (SQLSTATE 42601)`,
			"    2 | create table x (i int\n                             ^",
		},
		"no place": {
			up("select 1; -- one\n/* two; */\nselect 1/0;\nselect 2"),
			`:4:1: division by zero (SQLSTATE 22012)`,
			"    4 | select 1/0;\n        ^",
		},
		"deferred": {
			up("create table p (i int primary key);\n" +
				"create table c (i int references p deferrable initially deferred);\ninsert into c values (1)"),
			`: its transaction could not be committed: insert or update on table "c" ` +
				`violates foreign key constraint "c_i_fkey" (SQLSTATE 23503)`,
			"",
		},
		"alone": {
			alone("select\nnothing"),
			`:3:1: column "nothing" does not exist (SQLSTATE 42703)`,
			"    3 | nothing\n        ^",
		},
		"concurrent": {
			up("create table x (i int);\ncreate index concurrently on x (i)"),
			`:3:1: CREATE INDEX CONCURRENTLY cannot run inside a transaction block (SQLSTATE 25001)`,
			"    3 | create index concurrently on x (i)\n        ^",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			m := files(t,
				"1_a.sql", up("create table a (i int)"), "2_b.sql", c.sql, "3_c.sql", up("create table c3 (i int)"))
			got, err := migrate(t.Context(), url, m, options())
			var failure *migration.Error
			if !errors.As(err, &failure) {
				t.Fatalf("got error %v", err)
			}
			text, picture, _ := strings.Cut(failure.Error(), "\n")
			servertest.Equal(t, "error", text, "db/migrations/2_b.sql"+c.want)
			if failure.Line > 0 {
				servertest.Equal(t, "picture", picture, c.picture)
			}
			if remedies.Of(err) == "" {
				t.Error("no remedy")
			}
			// The database stays at the last good version, and the failed file has left nothing behind.
			servertest.Equal(t, "recorded", recorded(t, url), []string{"1"})
			servertest.Equal(t, "report", []any{appliedFiles(got), got.After, got.Pending},
				[]any{[]string{"1_a.sql"}, "1", []string{"2_b.sql", "3_c.sql"}})
			servertest.Equal(t, "tables", pgtest.Ask(t, url, "select relname::text from pg_class "+
				"where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1"),
				[]string{"a", "schema_migrations"})
		})
	}
}

func TestStrictOrder(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t, "10_a.sql", up("select 1"), "30_c.sql", up("select 1"))
	if _, err := migrate(t.Context(), url, m, options()); err != nil {
		t.Fatal(err)
	}
	m = files(t, "10_a.sql", up("select 1"), "20_b.sql", up("create table late (i int)"),
		"30_c.sql", up("select 1"), "40_d.sql", up("select 1"))
	strict := options()
	strict.Strict = true
	_, err := migrate(t.Context(), url, m, strict)
	var order *migration.OrderError
	if !errors.As(err, &order) || order.File != "20_b.sql" || order.Highest != "30" {
		t.Fatalf("strict: got %v", err)
	}
	servertest.Equal(t, "after strict", recorded(t, url), []string{"10", "30"})

	got, err := migrate(t.Context(), url, m, options())
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "lenient", []any{appliedFiles(got), got.OutOfOrder, got.After},
		[]any{[]string{"20_b.sql", "40_d.sql"}, []string{"20_b.sql"}, "40"})
}

func TestUnknownVersionsAndDryRun(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t, "1_a.sql", up("select 1"), "2_b.sql", up("select 1"))
	if _, err := migrate(t.Context(), url, m, options()); err != nil {
		t.Fatal(err)
	}
	dry := options()
	dry.DryRun = true
	c, err := connect(t.Context(), url, postgres.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m = files(t, "1_a.sql", up("select 1"), "3_c.sql", up("create table never (i int)"))
	began := time.Now()
	got, err := migration.Migrate(t.Context(), c, m, dry)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "dry run", timed(t, got, began), migration.Result{
		Before: "2", After: "2", Pending: []string{"3_c.sql"}, Unknown: []string{"2"},
	})
	servertest.Equal(t, "recorded", recorded(t, url), []string{"1", "2"})
}

// To a server that reads backslashes as escapes, a text holds statements that the check of the files does not see.
func TestOwnCommitThatTheCheckOverlooks(t *testing.T) {
	for name, c := range map[string]struct {
		end     string
		warning string
		cause   postgres.Cause
	}{
		"succeeds": {"select 1", "contains a COMMIT of its own", ""},
		"fails":    {"select 1/0", "", migration.AppliedInPart},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Database(t)
			pgtest.Do(t, url, "alter role current_user set standard_conforming_strings = off")
			m := files(t, "1_a.sql", up(`create table a (i int); select '\''; commit; `+c.end+`; select '\'';`))
			got, err := migrate(t.Context(), url, m, options())
			if text := strings.Join(got.Warnings, ""); !strings.Contains(text, c.warning) || (c.warning == "") != (text == "") {
				t.Errorf("warnings: %q", text)
			}
			var failed *migration.Error
			if errors.As(err, &failed) != (c.cause != "") || failed != nil && failed.Cause() != c.cause {
				t.Errorf("got %v", err)
			}
			servertest.Equal(t, "table", pgtest.Ask(t, url, "select to_regclass('a')::text"), []string{"a"})
		})
	}
}

// What was looked into and empty before may have been taken by somebody else since: that is seen under the lock.
func TestOnlyBeginningsAreMigrated(t *testing.T) {
	m := files(t, "10_a.sql", up("create table a ()"), "20_b.sql", up("create table b ()"))
	for versions, want := range map[string]string{
		"":             "",
		"('10')":       "",
		"('10'), (20)": "",
		"('20')":       "records later versions, but not that of 10_a.sql; nothing was applied",
		"('10'), (15)": "records version 15, for which there is no file; nothing was applied",
	} {
		url := pgtest.Database(t)
		pgtest.Do(t, url, "create table schema_migrations (version text)")
		if versions != "" {
			pgtest.Do(t, url, "insert into schema_migrations values "+versions)
		}
		o := options()
		o.Beginning = true
		got, err := migrate(t.Context(), url, m, o)
		switch other := (*migration.BeginningError)(nil); {
		case want == "" && err != nil:
			t.Errorf("%s: %v", versions, err)
		case want != "" && (!errors.As(err, &other) || !strings.HasSuffix(err.Error(), want) || len(got.Applied) > 0):
			t.Errorf("%s: applied %v, %v", versions, got.Applied, err)
		}
	}
}
