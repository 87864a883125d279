package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/records"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// hostile are names that would do harm, or mean something else, if they were not quoted.
var hostile = []string{
	`a"b`, "a'b", "a; drop table project; --", "select", "Großkunde 東京 🐘", "  blanks  ", `back\slash`, "$1", "%s",
	"a/b?c=d#e@f:g", "%2e%2E", "-x", strings.Repeat("ü", 31) + "x",
}

func open(t *testing.T, url string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), target(t, url), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask returns a query's first column as text.
func ask(t *testing.T, url, sql string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	if len(results) > 0 {
		for _, row := range results[len(results)-1].Rows {
			out = append(out, string(row[0]))
		}
	}
	return out
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestOpenMakesTheTablesOnceAlsoForManyJobsAtOnce(t *testing.T) {
	url := pgtest.Database(t)
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() { _, errs[i] = catalog.Open(t.Context(), target(t, url), postgres.Options{}) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	open(t, url)
	equal(t, "tables", ask(t, url, "select string_agg(relname, ' ' order by relname) from pg_class "+
		"where relnamespace = 'public'::regnamespace and relkind = 'r'"),
		[]string{"customer migration_set neon_tenants_schema_migrations payment project run"})
	equal(t, "types", ask(t, url, `select table_name || '.' || column_name || ' ' || udt_name
		from information_schema.columns where table_schema = 'public' and column_name in
			('customer_id', 'name', 'email', 'project_id', 'last_seen_at', 'paid_at', 'schema_version') order by 1`),
		[]string{
			"customer.customer_id uuid", "customer.email citext", "customer.name citext",
			"payment.customer_id uuid", "payment.paid_at timestamptz",
			"project.customer_id uuid", "project.last_seen_at timestamptz", "project.name citext",
			"project.project_id uuid", "project.schema_version text",
		})
	equal(t, "foreign keys",
		ask(t, url, "select conrelid::regclass || ' ' || confrelid::regclass from pg_constraint where contype = 'f' "+
			"order by 1"),
		[]string{"payment customer", "project customer"})
	equal(t, "secrets", ask(t, url, "select count(*) from information_schema.columns where table_schema = 'public' "+
		"and column_name ~ 'url|password|secret|connection' and column_name <> 'workflow_url'"), []string{"0"})
}

func TestOpenSaysWhatToDo(t *testing.T) {
	taken := pgtest.Database(t)
	ask(t, taken, "create table project (mine int)")
	another := pgtest.Database(t)
	ask(t, another, "create table neon_tenants_schema_migrations (id int)")
	owned := pgtest.Database(t)
	open(t, owned)
	limited := pgtest.Database(t)
	server := pgtest.Shared(t)
	cfg, err := pgx.ParseConfig(limited)
	if err != nil {
		t.Fatal(err)
	}
	role := "reader_" + cfg.Database
	if err := server.Exec(t.Context(), "postgres", "create role "+role+" login password 'secret word'"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Exec(context.Background(), "postgres", "drop role "+role) })
	for url, want := range map[string][2]string{
		taken: {`relation "project" already exists`, "a database of its own"},
		server.TenantURL(role, "secret word", cfg.Database): {"permission denied", "create extension citext"},
		another: {"has no column version", "give the catalog a database of its own"},
		server.TenantURL(role, "secret word", databaseOf(t, owned)): {"may not read", "of the role that owns the catalog's"},
		server.URL("no_such_catalog"):                               {"no_such_catalog", ""},
		"postgresql://u:secret word@127.0.0.1:1":                    {"connection string", "percent-encode"},
	} {
		target, err := postgres.ParseTarget(url, false)
		if err == nil {
			_, err = catalog.Open(t.Context(), target, postgres.Options{})
		}
		if err == nil || !strings.Contains(err.Error(), want[0]) || !strings.Contains(fleet.Remedy(err), want[1]) ||
			strings.Contains(err.Error(), "secret word") {
			t.Errorf("got %v\n→ %s", err, fleet.Remedy(err))
		}
		if file, _ := fleet.Location(err); file != "" {
			t.Errorf("an annotation would point to %s", file)
		}
	}
}

func databaseOf(t *testing.T, url string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Database
}

// A catalog is in the schema public, and every role finds it there: the search_path of a role, which may be changed at
// any time, neither hides it nor leads to a second one.
func TestWhateverTheSearchPath(t *testing.T) {
	for _, path := range []string{"other", "other, public", "nowhere", "nowhere, other", "''", `"$user"`,
		`pg_temp, "A b"`} {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %t", path, later), func(t *testing.T) {
				url := pgtest.Database(t)
				ask(t, url, `create schema other; create schema "A b"`)
				if later {
					open(t, url)
				}
				ask(t, url, "alter database "+databaseOf(t, url)+" set search_path = "+path)
				c := open(t, url)
				if err := c.Record(t.Context(), catalog.Run{Mode: "migrate", Source: "neon", Started: at(0)},
					[]catalog.Entry{{Name: "ACME", NeonProjectID: "p1", Source: "neon", ID: "p1", SeenAt: at(0)}}); err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"school", "gone"} {
					if err := c.Register(t.Context(), name, name); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Unregister(t.Context(), "gone"); err != nil {
					t.Fatal(err)
				}
				rows, err := catalog.List(t.Context(), target(t, url), "")
				if err != nil || len(rows) != 2 || rows[0].Name != "ACME" || rows[1].Name != "school" {
					t.Errorf("listed %v, %v", rows, err)
				}
				equal(t, "schemas of tables", ask(t, url, "select distinct schemaname from pg_catalog.pg_tables "+
					"where schemaname not in ('pg_catalog', 'information_schema')"), []string{"public"})
			})
		}
	}
}

// Where extensions have a schema of their own on the search_path, as on Supabase, citext is found there.
func TestAnExtensionInItsOwnSchema(t *testing.T) {
	url := pgtest.Database(t)
	ask(t, url, "create schema extensions; create extension citext schema extensions; alter database "+
		databaseOf(t, url)+` set search_path = "$user", public, extensions`)
	if err := open(t, url).Register(t.Context(), "school", "school"); err != nil {
		t.Fatal(err)
	}
}

func at(minute int) time.Time { return time.Date(2026, 11, 22, 12, minute, 0, 0, time.UTC) }

func TestRecord(t *testing.T) {
	url := pgtest.Database(t)
	c := open(t, url)
	record := func(entries ...catalog.Entry) {
		t.Helper()
		if err := c.Record(t.Context(), catalog.Run{Mode: "migrate", Source: "neon", Started: at(0), Finished: at(1),
			Succeeded: len(entries), Shard: "1/2"}, entries); err != nil {
			t.Fatal(err)
		}
	}
	state := func() []string {
		return ask(t, url, `set timezone = 'utc'; select concat_ws('|', name, source,
			coalesce(neon_project_id, database, source_id), key, schema_version, last_seen_at::time,
			last_migration_at::time || ' ' || last_migration_outcome, last_backup_at::time || ' ' || last_backup_key,
			last_verified_restore_at::time || ' ' || last_verified_restore_key, 'dropped ' || dropped_at::time)
			from project order by identity`)
	}
	record(
		catalog.Entry{Name: "ACME", Key: "acme", NeonProjectID: "p1", Source: "neon", ID: "p1", SeenAt: at(0),
			Facts: catalog.Facts{SchemaVersion: "2", MigratedAt: at(1), Migration: "succeeded"}},
		catalog.Entry{Name: "School", Database: "school", Source: "catalog", ID: "school", SeenAt: at(0)},
		catalog.Entry{Name: "Secret", Source: "secrets", ID: "SECRET", SeenAt: at(0)},
		catalog.Entry{Name: "Secret twice", Source: "secrets", ID: "SECRET", SeenAt: at(0)})
	if got := state(); len(got) != 3 || got[1] != "ACME|neon|p1|acme|2|12:00:00|12:01:00 succeeded" ||
		got[0] != "School|catalog|school|12:00:00" {
		t.Errorf("recorded %q", got)
	}
	// The same project from another source, under another name: what this run does not know stays.
	record(catalog.Entry{Name: "ACME Corp", NeonProjectID: "p1", Source: "catalog", ID: "x", SeenAt: at(2),
		Facts: catalog.Facts{BackupAt: at(3), BackupKey: "acme/3", RestoredAt: at(4), RestoredKey: "acme/3"}})
	want := "ACME Corp|catalog|p1|acme|2|12:02:00|12:01:00 succeeded|12:03:00 acme/3|12:04:00 acme/3"
	equal(t, "after the backup", state()[1], want)
	// A slower job brings older facts.
	record(catalog.Entry{Name: "ACME Inc", Key: "acme-inc", NeonProjectID: "p1", Source: "neon", ID: "p1", SeenAt: at(1),
		Facts: catalog.Facts{SchemaVersion: "1", MigratedAt: at(0), Migration: "failed", BackupAt: at(1),
			BackupKey: "acme/1", RestoredAt: at(1), RestoredKey: "acme/1"}})
	equal(t, "after older facts", state()[1], want)
	// Dropped; seen by a job that had listed it before the drop; created again.
	record(catalog.Entry{Name: "ACME Corp", NeonProjectID: "p1", Source: "catalog", ID: "x", SeenAt: at(5),
		Facts: catalog.Facts{DroppedAt: at(6)}})
	record(catalog.Entry{Name: "ACME Corp", NeonProjectID: "p1", Source: "catalog", ID: "x", SeenAt: at(5)})
	equal(t, "dropped", strings.HasSuffix(state()[1], "|dropped 12:06:00"), true)
	record(catalog.Entry{Name: "ACME Corp", NeonProjectID: "p1", Source: "catalog", ID: "x", SeenAt: at(7)})
	equal(t, "created again", strings.Contains(state()[1], "dropped"), false)
	equal(t, "runs",
		ask(t, url, "select mode || ' ' || shard || ' ' || outcome || ' ' || succeeded from run where succeeded > 1"),
		[]string{"migrate 1/2 succeeded 4"})
}

// Runs end in another order than they began in, and the version that was seen last is recorded, or that there is none.
func TestRecordTheVersionSeenLast(t *testing.T) {
	migrated := func(minute int) catalog.Facts {
		return catalog.Facts{SchemaVersion: "4", MigratedAt: at(minute), Migration: "succeeded"}
	}
	seen, none := catalog.Facts{SchemaVersion: "3"}, catalog.Facts{NoVersion: true, Record: &records.Record{}}
	type run struct {
		began, ended int
		facts        catalog.Facts
	}
	for name, c := range map[string]struct {
		runs []run
		want string
	}{
		"a long backup after a migration":       {[]run{{30, 31, migrated(31)}, {0, 1, seen}}, "4"},
		"a long migration after a health check": {[]run{{30, 31, seen}, {0, 50, migrated(50)}}, "4"},
		"a run that only lists":                 {[]run{{30, 31, catalog.Facts{}}, {0, 1, seen}}, "3"},
		"one after the other":                   {[]run{{0, 1, migrated(1)}, {30, 31, seen}}, "3"},
		"a new tenant without a version":        {[]run{{0, 1, none}}, "none"},
		"none any more":                         {[]run{{0, 1, migrated(1)}, {30, 31, none}}, "none"},
		"a long undo after a health check":      {[]run{{30, 31, seen}, {0, 50, none}}, "none"},
		"a long backup after an undo":           {[]run{{30, 31, none}, {0, 1, seen}}, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			c, runs, want := open(t, url), c.runs, c.want
			for _, r := range runs {
				if err := c.Record(t.Context(), catalog.Run{Mode: "m", Source: "neon", Started: at(r.began)}, []catalog.Entry{{
					Name: "a", NeonProjectID: "a", Source: "neon", ID: "a", SeenAt: at(r.began), EndedAt: at(r.ended),
					Facts: r.facts,
				}}); err != nil {
					t.Fatal(err)
				}
			}
			equal(t, "version", ask(t, url, "select coalesce(schema_version, 'none') from project"), []string{want})
		})
	}
}

func TestRecordTakesAnyName(t *testing.T) {
	url := pgtest.Database(t)
	c := open(t, url)
	names := append([]string{"nul \x00 byte", "not \xff UTF-8", strings.Repeat("long ", 5000)}, hostile...)
	var entries []catalog.Entry
	for i, n := range names {
		entries = append(entries, catalog.Entry{Name: n, Key: n, ID: n, Source: "secrets", SeenAt: at(0)},
			catalog.Entry{Name: n, NeonProjectID: fmt.Sprint(i), Source: "neon", ID: n, SeenAt: at(0)})
	}
	for range 2 {
		if err := c.Record(t.Context(), catalog.Run{Mode: "m", Source: "s", Started: at(0)}, entries); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "rows", ask(t, url, "select count(*) from project"), []string{fmt.Sprint(2 * len(names))})
	got := ask(t, url, "select name from project where neon_project_id is null and length(name) < 200 and name !~ "+
		"'nul|UTF-8'")
	equal(t, "names", len(got), len(hostile))
}

func TestRecordingAFleetIsFastAndJobsDoNotBlockEachOther(t *testing.T) {
	url := pgtest.Database(t)
	server := pgtest.Shared(t)
	proxy, err := wiretest.NewProxy(net.JoinHostPort(server.Host, strconv.Itoa(server.Port)), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	through, err := proxy.URL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, through)
	const jobs = 3
	record := func(job, tenants int) error {
		entries := make([]catalog.Entry, tenants)
		for i := range entries {
			id := fmt.Sprintf("project-%d", (i*7919+job*911)%tenants) // each job has an order of its own
			entries[i] = catalog.Entry{Name: "Customer " + id, Key: id, NeonProjectID: id, Source: "neon", ID: id,
				SeenAt: at(job),
				Facts:  catalog.Facts{SchemaVersion: "20250101090200", MigratedAt: at(job), Migration: "unchanged"}}
		}
		return c.Record(t.Context(), catalog.Run{Mode: "migrate", Source: "neon", Started: at(0)}, entries)
	}
	cost := map[int]wiretest.Traffic{}
	for _, tenants := range []int{1, 5000} {
		proxy.Reset()
		if err := record(0, tenants); err != nil {
			t.Fatal(err)
		}
		cost[tenants] = proxy.Traffic()
	}
	if cost[5000] != cost[1] {
		t.Errorf("recording 5,000 tenants takes %+v, and one %+v", cost[5000], cost[1])
	}
	var wg sync.WaitGroup
	errs := make([]error, jobs)
	for i := range errs {
		wg.Go(func() { errs[i] = record(i, 1000) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", ask(t, url, "select count(*) || ' ' || max(last_seen_at) from project")[0][:5], "5000 ")
}

// A large fleet takes several statements in one transaction, whose rows jobs lock in one order.
func TestRecordingALargeFleetIsAllOrNothing(t *testing.T) {
	url := pgtest.Database(t)
	c := open(t, url)
	const tenants, jobs = 5100, 2
	fleet := func(job int) []catalog.Entry {
		entries := make([]catalog.Entry, tenants)
		for i := range entries {
			id := fmt.Sprintf("project-%d", (i*7919+job*911)%tenants)
			entries[i] = catalog.Entry{Name: id, NeonProjectID: id, Source: "neon", ID: id, SeenAt: at(job)}
		}
		return entries
	}
	run := catalog.Run{Mode: "migrate", Source: "neon", Started: at(0)}
	broken := append(fleet(0), catalog.Entry{Name: "last", ID: "last", Source: "zzz", SeenAt: at(0),
		Facts: catalog.Facts{MigratedAt: at(0), Migration: "no outcome"}})
	if err := c.Record(t.Context(), run, broken); err == nil {
		t.Error("an outcome that there is none of was recorded")
	}
	equal(t, "after a failure", ask(t, url, "select (select count(*) from project) + (select count(*) from run)"),
		[]string{"0"})
	var wg sync.WaitGroup
	errs := make([]error, jobs)
	for i := range errs {
		wg.Go(func() { errs[i] = c.Record(t.Context(), run, fleet(i)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", ask(t, url, "select (select count(*) from project) || ' ' || (select count(*) from run)"),
		[]string{fmt.Sprintf("%d %d", tenants, jobs)})
}

func TestRegister(t *testing.T) {
	url := pgtest.Database(t)
	c := open(t, url)
	for _, name := range hostile {
		for range 2 {
			if err := c.Register(t.Context(), name, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func() map[string]bool {
		t.Helper()
		rows, err := catalog.List(t.Context(), target(t, url), "")
		if err != nil {
			t.Fatal(err)
		}
		listed := map[string]bool{}
		for _, r := range rows {
			listed[r.Database] = r.Name == r.Database && r.ID == r.Database
		}
		return listed
	}
	if got := list(); len(got) != len(hostile) || !got[hostile[2]] {
		t.Errorf("listed %v", got)
	}
	ask(t, url, "insert into customer (name) values ('ACME')")
	ask(t, url, "update project set schema_version = '9', customer_id = (select customer_id from customer)")
	for range 2 {
		if err := c.Unregister(t.Context(), hostile[0]); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(); len(got) != len(hostile)-1 || got[hostile[0]] {
		t.Errorf("listed after one was dropped: %v", got)
	}
	if err := c.Register(t.Context(), hostile[0], hostile[0]); err != nil {
		t.Fatal(err)
	}
	equal(t, "rows, with a version, with a customer",
		ask(t, url, "select count(*) || ' ' || count(schema_version) || ' ' || count(customer_id) from project"),
		[]string{fmt.Sprintf("%d %d %[2]d", len(hostile), len(hostile)-1)})
}

// target is the database of a connection string.
func target(t *testing.T, url string) postgres.Target {
	t.Helper()
	parsed, err := postgres.ParseTarget(url, false)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
