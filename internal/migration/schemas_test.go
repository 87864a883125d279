package migration_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// openShared opens a connection as workers share it among the schemas of a database.
func openShared(t testing.TB, url string) *postgres.Conn {
	t.Helper()
	c, err := connect(t.Context(), url, postgres.Options{NoSearchPath: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func inSchema(name string) migration.Options {
	o := options()
	o.Schema = name
	return o
}

// One connection serves schemas of any name, one after another; each gets its own tables, and public none.
func TestOneConnectionServesManySchemas(t *testing.T) {
	url := pgtest.Database(t)
	names := append([]string{"acme", "public_", "Acme"}, pgtest.HostileNames...)
	pgtest.CreateSchemas(t, url, names...)
	m := files(t,
		"1_a.sql", up("create table a (i int)"),
		"2_b.sql", alone("create index concurrently on a (i)"),
		"3_c.sql", up("create view v as select * from a"))
	c := openShared(t, url)
	for _, want := range []int{3, 0} {
		for _, n := range names {
			got, err := migration.Migrate(t.Context(), c, m, inSchema(n))
			if err != nil || len(got.Applied) != want || got.After != "3" {
				t.Fatalf("%q: applied %v, %v; want %d", n, got.Applied, err, want)
			}
		}
	}
	var want []string
	for _, n := range slices.Sorted(slices.Values(names)) {
		want = append(want, n+".a", n+".schema_migrations", n+".v")
	}
	servertest.Equal(t, "relations", pgtest.Relations(t, url), want)
}

// Whatever a migration leaves behind in the session, even if it fails, the next schema does not see it.
func TestNothingLeaksIntoTheNextSchema(t *testing.T) {
	for name, c := range map[string]struct {
		sql   string
		fails bool
	}{
		"search_path":               {up("set search_path = public; create table if not exists elsewhere ()"), true},
		"search_path by set_config": {up("select pg_catalog.set_config('search_path', 'public', false)"), true},
		"an empty search_path":      {up("select pg_catalog.set_config('search_path', '', false)"), false},
		"a failure":                 {up("create table x (); select nothing"), true},
		"failure after a commit": {alone("create table x (); commit; set search_path = public; " +
			"set statement_timeout = 1; select nothing"), true},
		"failure outside":     {alone("set search_path = public; set statement_timeout = 1; select nothing"), true},
		"outside":             {alone("set search_path = public"), false},
		"an open transaction": {alone("begin; select nothing"), true},
		"reset":               {up("reset all"), false},
		"settings": {up("set statement_timeout = 60000; set statement_timeout = 0; " +
			"set default_transaction_read_only = on; set role none; set row_security = off"), false},
		"temporary table":    {up("create temporary table a (j text)"), false},
		"temporary, failing": {alone("create temporary table a (j text); select nothing"), true},
		"prepared":           {up("prepare p as select 1; listen l"), false},
		"cursor":             {up("declare c cursor with hold for select 1"), false},
		"lock":               {up("select pg_advisory_lock(42)"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.CreateSchemas(t, url, "one", "two")
			conn := openShared(t, url)
			before := sessionState(t, conn)
			m := files(t, "1_a.sql", c.sql)
			if _, err := migration.Migrate(t.Context(), conn, m, inSchema("one")); (err != nil) != c.fails {
				t.Fatalf("got %v", err)
			}
			servertest.Equal(t, "session", sessionState(t, conn), before)
			m = files(t, "1_a.sql", up("create table a (i int); insert into a values (1)"))
			got, err := migration.Migrate(t.Context(), conn, m, inSchema("two"))
			if err != nil || len(got.Applied) != 1 {
				t.Fatalf("the next schema: %v, %v", got, err)
			}
			servertest.Equal(t, "rows", pgtest.Ask(t, url, "select i::text from two.a"), []string{"1"})
			servertest.Equal(t, "in public", pgtest.Ask(t, url, "select relname::text from pg_class "+
				"where relnamespace = 'public'::regnamespace and relname <> 'elsewhere'"), []string{})
		})
	}
}

// sessionState is what could leak from one schema to the next, as the session itself sees it.
func sessionState(t testing.TB, c *postgres.Conn) []string {
	t.Helper()
	return over(t, c, `select 'setting ' || name || '=' || setting from pg_settings
			where source = 'session'
			or name in ('search_path', 'role', 'session_authorization', 'transaction_isolation')
		union all select 'lock ' || objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
		union all select 'temporary ' || relname from pg_class
			where relpersistence = 't' and relkind = 'r' and relnamespace = pg_my_temp_schema()
		union all select 'prepared ' || name from pg_prepared_statements
		union all select 'cursor ' || name from pg_cursors where is_holdable
		union all select 'channel ' || c from pg_listening_channels() c order by 1`)
}

// over returns the first column of a query over the connection itself.
func over(t testing.TB, c *postgres.Conn, sql string) []string {
	t.Helper()
	answers, err := c.Results(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, row := range answers[0] {
		all = append(all, string(row[0]))
	}
	return all
}

// Names in public are no part of a schema's path: a table that is missing in the schema is an error.
func TestNoNameFallsThroughToPublic(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.CreateSchemas(t, url, "one")
	pgtest.Do(t, url, "create table users (i int); "+
		"create function twice(i int) returns int language sql immutable as 'select 2 * i'")
	conn := openShared(t, url)
	for _, sql := range []string{"alter table users add column j int", "select twice(1)", "drop table users"} {
		if _, err := migration.Migrate(t.Context(), conn, files(t, "1_a.sql", up(sql)), inSchema("one")); err == nil {
			t.Errorf("%s: ran", sql)
		}
	}
	m := files(t, "1_a.sql", up("create table a (i int default public.twice(1))"))
	if _, err := migration.Migrate(t.Context(), conn, m, inSchema("one")); err != nil {
		t.Errorf("qualified: %v", err)
	}
}

func TestMissingSchema(t *testing.T) {
	url := pgtest.Database(t)
	conn := openShared(t, url)
	m := files(t, "1_a.sql", alone("create table a (i int)"), "2_b.sql", up("create table b (i int)"))
	o := inSchema("new")
	_, err := migration.Migrate(t.Context(), conn, m, o)
	var missing *postgres.MissingSchemaError
	if !errors.As(err, &missing) || !strings.Contains(remedies.Of(err), "create-missing") {
		t.Errorf("got %v", err)
	}
	o.CreateSchema, o.DryRun = true, true
	if got, err := migration.Migrate(t.Context(), conn, m, o); err != nil || len(got.Pending) != 2 {
		t.Errorf("dry run: %v, %v", got, err)
	}
	servertest.Equal(t, "relations", pgtest.Relations(t, url), []string{})
	o.DryRun = false
	if got, err := migration.Migrate(t.Context(), conn, m, o); err != nil || len(got.Applied) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	servertest.Equal(t, "relations", pgtest.Relations(t, url), []string{"new.a", "new.b", "new.schema_migrations"})
	o.Schema = `no "good" name`
	_, err = migration.Migrate(t.Context(), conn, m, o)
	if err == nil || !strings.Contains(err.Error(), `"no \"good\" name" must begin with a letter`) {
		t.Errorf("got %v", err)
	}
}

// On an open connection a schema costs one round trip, and one more for each migration. Releasing the lock and
// resetting the session cost none.
func TestSchemasRoundTrips(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.CreateSchemas(t, url, "s1", "s2", "s3")
	server := pgtest.Shared(t)
	proxy, err := wiretest.NewProxy(net.JoinHostPort(server.Host, strconv.Itoa(server.Port)), 5*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	through, err := proxy.URL(withSSLMode(t, url, "disable"))
	if err != nil {
		t.Fatal(err)
	}
	conn := openShared(t, through)
	m := files(t, "1_a.sql", up("create table a ()"), "2_b.sql", up("create table b ()"))
	proxy.Reset()
	for _, name := range []string{"s1", "s2", "s3"} {
		if _, err := migration.Migrate(t.Context(), conn, m, inSchema(name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := proxy.Traffic(); got.RoundTrips != 9 || got.Connections != 0 {
		t.Errorf("%+v, want 9 round trips and no new connection", got)
	}
}

// The versions of all schemas are read at once, whatever their names and whatever is wrong with one of them.
func TestReadSchemas(t *testing.T) {
	url := pgtest.Database(t)
	names := append([]string{"done", "part", "empty", "odd", "forbidden", "foreign", "hidden", "view"},
		pgtest.HostileNames...)
	pgtest.CreateSchemas(t, url, names...)
	m := files(t, "1_a.sql", up("select 1"), "2_b.sql", up("select 1"))
	c := openShared(t, url)
	for _, n := range append([]string{"done"}, pgtest.HostileNames...) {
		if _, err := migration.Migrate(t.Context(), c, m, inSchema(n)); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.Do(t, url, `create table part.schema_migrations (version varchar primary key);
		insert into part.schema_migrations values ('1'), ('0,"x');
		create table odd.schema_migrations (i int);
		create table forbidden.schema_migrations (version text);
		revoke all on forbidden.schema_migrations from current_user;
		create table "foreign".schema_migrations (version bigint primary key, dirty boolean not null);
		insert into "foreign".schema_migrations values (2, false);
		create table hidden.schema_migrations (version text);
		insert into hidden.schema_migrations values ('1'), ('2');
		alter table hidden.schema_migrations enable row level security, force row level security;
		create view view.schema_migrations as select unnest('{1,2}'::text[]) as version`)
	for i := range 1200 { // beyond what one transaction reads
		names = append(names, fmt.Sprintf("missing%d", i))
	}
	names = append(names, "done")
	states, err := migration.ReadSchemas(t.Context(), c, options().Table, names)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range append([]string{"done", "view"}, pgtest.HostileNames...) {
		if got, known, err := states.Migrate(m, inSchema(n)); err != nil || !known || got.After != "2" || got.Creates {
			t.Errorf("%q: %+v, %v, %v", n, got, known, err)
		}
	}
	for _, n := range []string{"part", "empty", "odd", "forbidden", "foreign", "hidden"} {
		if _, known, err := states.Migrate(m, inSchema(n)); err != nil || known {
			t.Errorf("%q is known: %v", n, err)
		}
	}
	dry := inSchema("part")
	dry.DryRun = true
	got, known, err := states.Migrate(m, dry)
	if err != nil || !known {
		t.Errorf("dry run: %v, %v", known, err)
	}
	servertest.Equal(t, "dry run", []any{got.Pending, got.Unknown}, []any{[]string{"2_b.sql"}, []string{`0,"x`}})
	if _, known, err := states.Migrate(m, inSchema("missing7")); !known || err == nil {
		t.Errorf("missing: %v, %v", known, err)
	}
	servertest.Equal(t, "session", c.Idle(), true)
}

// An idle connection is used again, unless the server has ended it in the meantime.
func TestAlive(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.CreateSchemas(t, url, "one")
	c := openShared(t, url)
	for range 2 {
		if !c.Alive() {
			t.Error("an open connection is taken for a closed one")
		}
	}
	m := files(t, "1_a.sql", up("create table a ()"))
	if _, err := migration.Migrate(t.Context(), c, m, inSchema("one")); err != nil {
		t.Errorf("after the check: %v", err)
	}
	pid := over(t, c, "select pg_backend_pid()")
	pgtest.Do(t, url, "select pg_terminate_backend("+pid[0]+")")
	servertest.WaitFor(t, func() bool { return !c.Alive() })
	if c.Idle() {
		c.Close()
	}
}

// A schema is created with the first file, and not if that is rolled back.
func TestSchemaThatIsNotCreated(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	c, err := connect(t.Context(), url, postgres.Options{NoSearchPath: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := inSchema("one")
	o.CreateSchema = true
	got, err := migration.Migrate(t.Context(), c, files(t, "1_a.sql", up("select 1 / 0")), o)
	if err == nil || got.Creates {
		t.Errorf("%+v, %v", got, err)
	}
	servertest.Equal(t, "schemas", pgtest.Ask(t, url, "select count(*)::text from pg_namespace where nspname = 'one'"),
		[]string{"0"})
	got, err = migration.Migrate(t.Context(), c, files(t, "1_a.sql", up("select 1"), "2_b.sql", up("select 1 / 0")), o)
	if err == nil || !got.Creates {
		t.Errorf("%+v, %v", got, err)
	}
}
