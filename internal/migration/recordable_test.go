package migration_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A table that does not take a version, or gives it back as another one, would have the file run again by every run. A
// file outside a transaction could not be taken back, so it does not run at all.
func TestTableThatDoesNotKeepVersions(t *testing.T) {
	const changed = "the table does not keep versions as they are"
	for name, c := range map[string]struct{ sql, text string }{
		"a number": {"create table schema_migrations (version bigint)", changed},
		"padded":   {"create table schema_migrations (version char(20))", changed},
		"a rule": {"create table schema_migrations (version varchar); " +
			"create rule r as on insert to schema_migrations do instead nothing", changed},
		"a constraint": {"create table schema_migrations (version varchar, ran boolean check (ran is not null))", "23514"},
		"a view": {"create table m (version varchar, dirty boolean not null); " +
			"create view schema_migrations as select version from m", "23502"},
	} {
		for way, file := range map[string]string{
			"in a transaction": up("create table t ()"), "outside": alone("create table t ()"),
		} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				url := pgtest.Database(t)
				pgtest.Do(t, url, c.sql)
				_, err := migrate(t.Context(), url, files(t, "001_a.sql", file), options())
				if err == nil || !strings.Contains(err.Error(), c.text) || remedies.Of(err) == "" {
					t.Errorf("got %v", err)
				}
				servertest.Equal(t, "tables", pgtest.Ask(t, url, "select relname::text from pg_class where relname = 't'"),
					[]string{})
				servertest.Equal(t, "recorded", recorded(t, url), []string{})
			})
		}
	}
}

// The same table gets no baseline.
func TestTableThatKeepsNoBaseline(t *testing.T) {
	for name, sql := range map[string]string{
		"numbers": "create table schema_migrations (version bigint)",
		"a rule that swallows one of them": "create table schema_migrations (version varchar); create rule r as on insert " +
			"to schema_migrations where new.version = '001' do instead nothing",
		"no privilege": "create table schema_migrations (version varchar); " +
			"revoke insert on schema_migrations from current_user",
		"read only": "do $$ begin execute format('alter database %I set default_transaction_read_only = on', " +
			"current_database()); end $$",
	} {
		url := pgtest.Database(t)
		pgtest.Do(t, url, sql)
		result, err := migrate(t.Context(), url, files(t, "001_a.sql", up("create table a ()"), "002_b.sql",
			up("create table b ()"), "003_c.sql", up("create table c ()")), adopting("002", nil))
		if err == nil || !strings.Contains(err.Error(), "the baseline was not recorded") || len(result.Recorded) > 0 {
			t.Errorf("%s: got %v, %+v", name, err, result)
		}
		servertest.Equal(t, name, pgtest.Ask(t, url, "select relname::text from pg_class where relname in ('a', 'b', 'c')"),
			[]string{})
		if name != "read only" {
			servertest.Equal(t, name, recorded(t, url), []string{})
		}
	}
}

// The cause tells who has to do something: whoever grants privileges, or whoever names the table.
func TestTableThatMayNotBeWritten(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create table schema_migrations (version varchar); "+
		"revoke insert on schema_migrations from current_user")
	_, err := migrate(t.Context(), url, files(t, "1_a.sql", alone("create table t ()")), options())
	var table *postgres.TableError
	if !errors.As(err, &table) || table.Cause != postgres.VersionsRefused {
		t.Fatalf("got %v", err)
	}
	pgtest.Do(t, url, "grant insert on schema_migrations to current_user") // the remedy
	if _, err := migrate(t.Context(), url, files(t, "1_a.sql", alone("create table t ()")), options()); err != nil {
		t.Error(err)
	}
}

// A server that takes no writes, such as one whose disk is full, is no reason to name another table.
func TestServerThatTakesNoRecord(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create table schema_migrations (version varchar); do $$ begin execute format("+
		"'alter database %I set default_transaction_read_only = on', current_database()); end $$")
	_, err := migrate(t.Context(), url, files(t, "1_a.sql", alone("create table t ()")), options())
	if !postgres.HasCode(err, "25006") || errors.As(err, new(*postgres.TableError)) ||
		!strings.Contains(err.Error(), "1_a.sql was not run") {
		t.Errorf("got %v, remedy %q", err, remedies.Of(err))
	}
}

// What a file sets for its session does not keep it from being recorded.
func TestRecordedWhateverTheFileSets(t *testing.T) {
	for _, sql := range []string{
		"set role pg_monitor", "set session authorization default; set role pg_monitor",
		"set default_transaction_read_only = on", "set statement_timeout = 50", "set search_path = nowhere",
		"begin; select 1; commit; set role pg_monitor",
	} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			owner := pgtest.Ask(t, url, "select quote_ident(current_user::text)")[0]
			if err := pgtest.Shared(t).Exec(t.Context(), "postgres", "grant pg_monitor to "+owner); err != nil {
				t.Fatal(err)
			}
			m := files(t, "1_a.sql", alone("create table a (); "+sql), "2_b.sql", up("create table b ()"))
			if strings.HasPrefix(sql, "begin") {
				m = files(t, "1_a.sql", alone(sql), "2_b.sql", up("create table b ()"))
			}
			if _, err := migrate(t.Context(), url, m, options()); err != nil {
				t.Error(err)
			}
			servertest.Equal(t, "recorded", recorded(t, url), []string{"1", "2"})
		})
	}
}

// IF NOT EXISTS passes over an invalid index also inside a transaction. The statement of the remedy helps.
func TestInvalidIndexPassedOverInTransaction(t *testing.T) {
	for _, sql := range []string{
		"create unique index if not exists t_i on t (i)",
		`select 1; CREATE UNIQUE INDEX IF NOT EXISTS "t_i" ON ONLY public."t" USING btree (i)`,
	} {
		for _, schema := range []string{"", "public"} {
			t.Run(sql+schema, func(t *testing.T) {
				t.Parallel()
				url := pgtest.Database(t)
				pgtest.Do(t, url, "create table t (i int); insert into t values (1), (1)")
				if err := try(t, url, "create unique index concurrently t_i on t (i)"); err == nil {
					t.Fatal("the index was built")
				}
				m := files(t, "1_a.sql", up("create index if not exists other on t (i)"), "2_b.sql", up(sql))
				one := func() (migration.Result, error) {
					conn, err := connect(t.Context(), url, postgres.Options{NoSearchPath: schema != ""})
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					return migration.Migrate(t.Context(), conn, m, inSchema(schema))
				}
				got, err := one()
				if causeOf(t, err) != migration.IndexInvalid || len(got.Applied) != 1 {
					t.Errorf("got %v, %v", got.Applied, err)
				}
				_, drop, _ := strings.Cut(remedies.Of(err), "run ")
				drop, _, _ = strings.Cut(drop, ";")
				servertest.Equal(t, "remedy", drop, `drop index concurrently "public"."t_i"`)
				pgtest.Do(t, url, drop)
				pgtest.Do(t, url, "delete from t")
				if _, err := one(); err != nil {
					t.Error(err)
				}
				servertest.Equal(t, "invalid", pgtest.Ask(t, url, invalidIndexes), []string{})
			})
		}
	}
}

// A statement that succeeds is recorded, whenever a cancel arrives; the next file is not started, and says so.
func TestCancelBetweenStatementAndRecord(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create table gate (); create table schema_migrations (version varchar primary key)")
	lock := func(sql string) *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		if _, err := conn.Exec(t.Context(), "begin; "+sql); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	waits := func(query string) {
		servertest.WaitFor(t, func() bool {
			return len(pgtest.Ask(t, url, "select pid::text from pg_stat_activity where datname = current_database() "+
				"and query like '"+query+"%' and wait_event_type = 'Lock'")) > 0
		})
	}
	gate := lock("lock table gate in access share mode")
	ctx, cancel := context.WithCancelCause(t.Context())
	type outcome struct {
		m   migration.Result
		err error
	}
	done := make(chan outcome, 1)
	m := files(t, "1_a.sql", alone("drop table gate"), "2_b.sql", up("create table never ()"))
	go func() {
		m, err := migrate(ctx, url, m, options())
		done <- outcome{m, err}
	}()
	waits("-- migrate:up transaction:false")
	// The record waits for this lock, while the statement is done.
	holder := lock("lock table schema_migrations in share mode")
	if _, err := gate.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	waits("insert into")
	cancel(errors.New("enough"))
	if _, err := holder.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	got := <-done
	servertest.Equal(t, "applied", appliedFiles(got.m), []string{"1_a.sql"})
	servertest.Equal(t, "recorded", recorded(t, url), []string{"1"})
	if got.err == nil || !strings.Contains(got.err.Error(), "2_b.sql was not started: enough") {
		t.Errorf("got %v", got.err)
	}
}
