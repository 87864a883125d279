package migration_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A connection that breaks while the version is recorded leaves open whether it was, and that is what is said.
func TestTheRecordOfAMigrationIsLost(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, `create table schema_migrations (version varchar primary key);
		create function held() returns trigger language plpgsql as $$ begin
			if to_regclass('ran') is not null then perform pg_advisory_xact_lock(4711); end if; return new; end $$;
		create trigger held before insert on schema_migrations for each row execute function held()`)
	holder, err := pgx.Connect(t.Context(), direct)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(t.Context(), "select pg_advisory_lock(4711)"); err != nil {
		t.Fatal(err)
	}
	through, proxy := wiretest.Breakable(t, direct)
	done := make(chan error, 1)
	go func() {
		_, err := migrate(t.Context(), through, files(t, "1_a.sql", alone("create table ran ()")), options())
		done <- err
	}()
	servertest.WaitFor(t, func() bool {
		return len(done) > 0 || pgtest.Ask(t, direct, "select count(*)::text from pg_locks where locktype = 'advisory' "+
			"and objid = 4711 and not granted and database = (select oid from pg_database where datname = "+
			"current_database())")[0] == "1"
	})
	proxy.Stop()
	err = <-done
	if err == nil || !strings.Contains(err.Error(), "it was run, and it is not known whether it was recorded: ") ||
		causeOf(t, err) != migration.RecordUnknown || !strings.Contains(remedies.Of(err),
		`look whether "public"."schema_migrations" has version 1; if not, insert it by hand`) {
		t.Errorf("got %v; %s", err, remedies.Of(err))
	}
}

// causeOf is the cause of a migration's error, which must be one.
func causeOf(t testing.TB, err error) postgres.Cause {
	t.Helper()
	var failed *migration.Error
	if !errors.As(err, &failed) {
		t.Fatalf("got error %v", err)
	}
	return failed.Cause()
}

// try runs one statement over a connection of its own.
func try(t testing.TB, url, sql string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), sql)
	return err
}

const invalidIndexes = "select indexrelid::regclass::text from pg_index where not indisvalid order by 1"

// An index that could not be built fails the tenant until it is dropped, also if the file passes over it, as IF NOT
// EXISTS does. The statement of the remedy is the one that helps.
func TestInvalidIndexIsNeverRecorded(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, `create schema "Odd"; create table "Odd"."T" (i int); insert into "Odd"."T" values (1), (1)`)
	m := files(t, "1_a.sql", alone(`create unique index concurrently if not exists "T i" on "Odd"."T" (i)`),
		"2_b.sql", up("select 1"))
	var remedy string
	for _, want := range []string{
		`(SQLSTATE 23505); it left an invalid index: "Odd"."T i"`, // duplicates
		`1_a.sql: it leaves an invalid index: "Odd"."T i"`,        // passed over
	} {
		got, err := migrate(t.Context(), url, m, options())
		if causeOf(t, err) != migration.IndexInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		servertest.Equal(t, "pending", got.Pending, []string{"1_a.sql", "2_b.sql"})
		servertest.Equal(t, "recorded", recorded(t, url), []string{})
		remedy = remedies.Of(err)
	}
	_, drop, _ := strings.Cut(remedy, "run ")
	drop, _, _ = strings.Cut(drop, ";")
	pgtest.Do(t, url, drop)
	pgtest.Do(t, url, `delete from "Odd"."T"`)
	if _, err := migrate(t.Context(), url, m, options()); err != nil {
		t.Error(err)
	}
	servertest.Equal(t, "recorded", recorded(t, url), []string{"1", "2"})
	servertest.Equal(t, "invalid", pgtest.Ask(t, url, invalidIndexes), []string{})
}

// Whose an invalid index is decides whether it fails a file.
func TestWhoseInvalidIndex(t *testing.T) {
	// A failed build leaves an invalid index on the table dup.
	const leave = "create unique index concurrently dup_i on dup (i)"
	for name, c := range map[string]struct {
		sql    string
		schema string
		fails  bool
	}{
		"of another table":       {sql: "create index concurrently on other (i)"},
		"named":                  {sql: "create index concurrently if not exists dup_i on dup (i)", fails: true},
		"on a table that is":     {sql: "reindex table concurrently public.dup", fails: true},
		"of an earlier rebuild":  {sql: "reindex index concurrently rebuilt", fails: true},
		"in the schema rebuilt":  {sql: "reindex schema concurrently public", fails: true},
		"of a schema of its own": {sql: "create index concurrently dup_i on dup (i)", schema: "one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, "create table dup (i int); insert into dup values (1), (1); create table other (i int); "+
				"create table r (i int); create index rebuilt on r (i); create schema one; create table one.dup (i int)")
			if err := try(t, url, leave); err == nil {
				t.Fatal("the index was built")
			}
			if strings.HasPrefix(c.sql, "reindex index") { // what a cancelled one leaves
				pgtest.Do(t, url, "alter index dup_i rename to rebuilt_ccnew1")
			}
			o := postgres.Options{NoSearchPath: c.schema != ""}
			conn, err := connect(t.Context(), url, o)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = migration.Migrate(t.Context(), conn, files(t, "1_a.sql", alone(c.sql)), inSchema(c.schema))
			if (err != nil) != c.fails {
				t.Fatalf("got %v", err)
			}
			if c.fails && causeOf(t, err) != migration.IndexInvalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

// An index of a partitioned table is invalid until its partitions have theirs, and one that another session builds
// is not ours to judge.
func TestIndexesThatAreMeantToBeInvalid(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create table p (i int) partition by list (i); create table p1 partition of p for values in (1); "+
		"create table t (i int, j int)")
	m := files(t, "1_a.sql", alone("create index p_i on only p (i)"))
	if _, err := migrate(t.Context(), url, m, options()); err != nil {
		t.Errorf("partitioned: %v", err)
	}
	holder := pgtest.Session(t, url)
	holder("begin; insert into t values (1)")
	built := make(chan error, 1)
	go func() { built <- try(t, url, "create index concurrently t_j on t (j)") }()
	servertest.WaitFor(t, func() bool { return len(pgtest.Ask(t, url, invalidIndexes)) == 2 })
	m = files(t, "1_a.sql", up("select 1"), "2_b.sql", alone("select count(*) from t"))
	if _, err := migrate(t.Context(), url, m, options()); err != nil {
		t.Errorf("being built: %v", err)
	}
	holder("commit")
	if err := <-built; err != nil {
		t.Error(err)
	}
}

// CONCURRENTLY waits for other transactions longer than lock_timeout says; a cancel during that wait leaves an invalid
// index, which is named.
func TestConcurrentlyWaits(t *testing.T) {
	for name, end := range map[string]string{"the transaction ends": "", "the run is cancelled": "57014"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, "create table t (i int)")
			holder := pgtest.Session(t, url)
			holder("begin; insert into t values (1)")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := options()
			o.StatementLockTimeout = time.Millisecond
			failed := make(chan error, 1)
			go func() {
				_, err := migrate(ctx, url, files(t, "1_a.sql", alone("create index concurrently t_i on t (i)")), o)
				failed <- err
			}()
			servertest.WaitFor(t, func() bool {
				return len(pgtest.Ask(t, url, "select pid::text from pg_stat_activity where datname = current_database() "+
					"and query like '%create index%' and wait_event_type = 'Lock'")) > 0
			})
			time.Sleep(20 * time.Millisecond) // well over the timeout
			if end == "" {
				holder("commit")
			} else {
				cancel()
			}
			err := <-failed
			if end == "" && err == nil {
				return
			}
			if end == "" || !strings.Contains(err.Error(), end) || causeOf(t, err) != migration.IndexInvalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What a transaction:false file leaves when it fails is what its error says.
func TestWhatStandsOutside(t *testing.T) {
	for name, c := range map[string]struct {
		sql    string
		cause  postgres.Cause
		tables []string
	}{
		"several are one transaction": {"create table a (); select 1/0", migration.RolledBack, []string{}},
		"after its own transaction": {
			"begin; create table a (); commit; select 1/0", migration.AppliedInPart, []string{"a"},
		},
		"in its own transaction":  {"begin; create table a (); select 1/0; commit", migration.RolledBack, []string{}},
		"a transaction left open": {"begin; create table a ()", migration.RolledBack, []string{}},
		"a second one left open": {
			"begin; create table a (); commit; begin; create table b ()", migration.AppliedInPart, []string{"a"},
		},
		"one that commits in between": {
			"do $$ begin create table a (); commit; perform 1/0; end $$", migration.AppliedInPart, []string{"a"},
		},
		"one statement": {"insert into nowhere values (1)", migration.RolledBack, []string{}},
		"an index on a missing column": {
			"create index concurrently on schema_migrations (nothing)", migration.RolledBack, []string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			got, err := migrate(t.Context(), url, files(t, "1_a.sql", alone(c.sql)), options())
			if cause := causeOf(t, err); cause != c.cause || remedies.Of(err) == "" {
				t.Errorf("%s: %v", cause, err)
			}
			servertest.Equal(t, "applied", len(got.Applied), 0)
			servertest.Equal(t, "tables", pgtest.Ask(t, url, "select relname::text from pg_class where relkind = 'r' "+
				"and relnamespace = 'public'::regnamespace and relname <> 'schema_migrations' order by 1"), c.tables)
			servertest.Equal(t, "recorded", recorded(t, url), []string{})
		})
	}
}

// A file that gives the lock back is noticed: inside a transaction it is rolled back, outside it is recorded, and the
// files after it are not run.
func TestLockGivenBack(t *testing.T) {
	for name, c := range map[string]struct {
		sql      string
		cause    postgres.Cause
		recorded []string
	}{
		"inside":  {up("create table a (); select pg_advisory_unlock_all()"), migration.RolledBack, []string{"0"}},
		"outside": {alone("select pg_advisory_unlock_all()"), migration.LockReleased, []string{"0", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Database(t)
			m := files(t, "0_z.sql", up("select 1"), "1_a.sql", c.sql, "2_b.sql", up("create table b ()"))
			_, err := migrate(t.Context(), url, m, options())
			if causeOf(t, err) != c.cause || !strings.Contains(err.Error(), "released the lock") {
				t.Errorf("got %v", err)
			}
			servertest.Equal(t, "recorded", recorded(t, url), c.recorded)
			servertest.Equal(t, "tables", pgtest.Ask(t, url, "select coalesce(to_regclass('a'), to_regclass('b'))::text "+
				"where coalesce(to_regclass('a'), to_regclass('b')) is not null"), []string{})
		})
	}
}
