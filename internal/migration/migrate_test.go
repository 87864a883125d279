package migration_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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
	return migration.Options{Table: table, LockTimeout: 20 * time.Second, StatementLockTimeout: 10 * time.Second}
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

	again, err := migrate(t.Context(), url, m, options())
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "second run", again, migration.Result{Before: "20250103000000", After: "20250103000000"})
}

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
			`: its version could not be recorded in "public"."schema_migrations": insert or update on table "c" ` +
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
	got, err := migration.Migrate(t.Context(), c, m, dry)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "dry run", got, migration.Result{
		Before: "2", After: "2", Pending: []string{"3_c.sql"}, Unknown: []string{"2"},
	})
	servertest.Equal(t, "recorded", recorded(t, url), []string{"1", "2"})
}

// Many runs migrate one database at the same time, some of them late: each migration is run once.
func TestConcurrentRuns(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t,
		"1_a.sql", up("create table log (t text);"),
		"2_b.sql", up("insert into log values ('b'); select pg_sleep(0.3)"),
		"3_c.sql", alone("insert into log values ('c')"))
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 8 {
		wg.Go(func() {
			got, err := migrate(t.Context(), url, m, options())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += len(got.Applied)
		})
	}
	wg.Wait()
	servertest.Equal(t, "applied in all", total, 3)
	servertest.Equal(t, "log", pgtest.Ask(t, url, "select t from log order by t"), []string{"b", "c"})
}

func TestLockHeldTooLong(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t, "1_a.sql", up("select pg_sleep(30)"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _, _ = migrate(ctx, url, m, options()) }()
	servertest.WaitFor(t, func() bool {
		return len(pgtest.Ask(t, url, "select pid::text from pg_locks where locktype = 'advisory' "+
			"and database = (select oid from pg_database where datname = current_database())")) == 1
	})
	o := options()
	o.LockTimeout = 300 * time.Millisecond
	_, err := migrate(t.Context(), url, m, o)
	var lock *migration.LockError
	const text = "another run holds the migration lock (server process "
	if !errors.As(err, &lock) || !strings.Contains(err.Error(), text) ||
		!strings.Contains(err.Error(), ", neon-tenants-action, connected for ") {
		t.Errorf("got %v", err)
	}
	cancel()
	<-done
}

// afterOneTry returns once another session has waited for this one's lock on the table busy and given up, or at the end
// of the test.
func afterOneTry(conn *pgx.Conn, over <-chan struct{}) {
	for _, waiting := range []string{"1", "0"} {
		var now string
		for now != waiting {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
			}
			_ = conn.QueryRow(context.Background(), "select count(*)::text from pg_locks "+
				"where relation = 'busy'::regclass and not granted").Scan(&now)
		}
	}
}

// A migration that meets another session's table lock is rolled back and retried, and never leaves half of its work.
func TestLockTimeoutIsRetried(t *testing.T) {
	for name, c := range map[string]struct {
		sql      string
		released bool // once the first try has given up
		ok       bool
	}{
		"released in time":  {up("insert into log values (1); alter table busy add column j int"), true, true},
		"never released":    {up("insert into log values (1); alter table busy add column j int"), false, false},
		"with own commit":   {up("insert into log values (1); commit; alter table busy add column j int"), true, false},
		"in no transaction": {alone("alter table busy add column j int"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, "create table busy (i int); create table log (i int)")
			conn, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), "begin; lock table busy"); err != nil {
				t.Fatal(err)
			}
			over, released := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(released)
				if c.released {
					afterOneTry(conn, over)
				} else {
					<-over
				}
				_ = conn.Close(context.Background())
			}()
			defer func() { close(over); <-released }()
			o := options()
			o.StatementLockTimeout = 500 * time.Millisecond
			_, err = migrate(t.Context(), url, files(t, "1_a.sql", c.sql), o)
			if (err == nil) != c.ok {
				t.Fatalf("got error %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), "55P03") {
				t.Errorf("got error %v", err)
			}
			if c.ok {
				servertest.Equal(t, "log", pgtest.Ask(t, url, "select count(*)::text from log"), []string{"1"})
			}
		})
	}
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

func TestOwnCommitIsWarnedOf(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t, "1_a.sql", up("create table a (i int); commit; create table b (i int)"))
	got, err := migrate(t.Context(), url, m, options())
	if err != nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "COMMIT of its own") {
		t.Errorf("got %+v, %v", got, err)
	}
}
