package action

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// estate is a database whose schemas are tenants, listed in public.schema_tracker.
type estate struct {
	*organisation
	url string
}

// newEstate makes a database with a tracker of the given names; the schemas of those that begin with + do not exist.
func newEstate(t *testing.T, names ...string) *estate {
	t.Helper()
	e := &estate{newFleet(t), pgtest.Database(t)}
	e.do(t, "create table schema_tracker (name text primary key)")
	for _, n := range names {
		name, missing := strings.CutPrefix(n, "+")
		e.do(t, "insert into schema_tracker values ("+pgtest.Literal(name)+")")
		if !missing {
			e.do(t, "create schema if not exists "+pgtest.Identifier(name))
		}
	}
	return e
}

// do runs SQL in the database and returns the last statement's first column.
func (e *estate) do(t *testing.T, sql string) []string {
	t.Helper()
	return column(t, e.url, sql)
}

func (e *estate) run(t *testing.T, inputs ...string) outcome {
	t.Helper()
	return e.organisation.run(t, t.Context(),
		append([]string{"neon-api-key=", "neon-api-url=", "tenant-source=schemas", "database-url=" + e.url}, inputs...)...)
}

// createdb lets the estate's role create databases.
func (e *estate) createdb(t *testing.T) {
	t.Helper()
	role := pgtest.Identifier(e.do(t, "select current_user")[0])
	if err := pgtest.Shared(t).Exec(t.Context(), "postgres", "alter role "+role+" createdb"); err != nil {
		t.Fatal(err)
	}
}

// writePublic writes a file of the schema public.
func (e *estate) writePublic(t *testing.T, file, upSQL string) {
	t.Helper()
	dir := filepath.Join(e.workspace, "db", "public")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	text := "-- migrate:up\n" + upSQL + "\n-- migrate:down\n"
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// relations lists the tables of the database as schema.name, but for the tracker.
func (e *estate) relations(t *testing.T) []string {
	t.Helper()
	return e.do(t, `select schemaname || '.' || tablename from pg_tables
		where schemaname !~ '^pg_' and schemaname <> 'information_schema' and tablename <> 'schema_tracker'
		order by schemaname collate "C", tablename`)
}

// tables are those of the example's migrations in the schemas.
func tables(schemas ...string) []string {
	all := []string{}
	for _, s := range schemas {
		all = append(all, s+".projects", s+".schema_migrations", s+".tasks", s+".users")
	}
	return all
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestSchemasAreMigratedAndThenUnchanged(t *testing.T) {
	e := newEstate(t, "acme_corp", "Payroll", "it's; \"odd\"")
	o := e.run(t, "dry-run=true")
	o.counts(t, 3, 0, 0, 0)
	o.says(t, "acme_corp  3 pending")
	same(t, "after the dry run", e.relations(t), []string{})
	o = e.run(t)
	o.counts(t, 3, 0, 0, 0)
	o.says(t, "found 3 tenants", "acme_corp  3 applied")
	same(t, "tables", e.relations(t), tables("Payroll", "acme_corp", "it's; \"odd\""))
	cfg, err := pgx.ParseConfig(e.url)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(o.log + o.summary + o.reportText) {
		if strings.Contains(line, cfg.Password) && !strings.HasPrefix(line, "::add-mask::") {
			t.Errorf("a secret is shown: %s", line)
		}
	}
	e.run(t).counts(t, 0, 3, 0, 0)
	e.run(t, "tenants=acme_*").counts(t, 0, 1, 0, 0)
}

// However many schemas there are: one connection where nothing is pending, and no more than workers where something is.
func TestSchemasShareConnections(t *testing.T) {
	servertest.Long(t)
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("t%02d", i))
	}
	e := newEstate(t, names...)
	server := pgtest.Shared(t)
	proxy, err := wiretest.NewProxy(net.JoinHostPort(server.Host, strconv.Itoa(server.Port)), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "sslmode=disable"
	if e.url, err = proxy.URL(u.String()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ succeeded, unchanged, connections int }{{40, 0, 4}, {0, 40, 1}} {
		proxy.Reset()
		e.run(t, "concurrency=4").counts(t, step.succeeded, step.unchanged, 0, 0)
		if got := proxy.Traffic(); got.Connections > step.connections {
			t.Errorf("%d connections, want %d", got.Connections, step.connections)
		}
	}
	proxy.Reset()
	e.run(t).counts(t, 0, 40, 0, 0)
	if got := proxy.Traffic(); got.RoundTrips > 7 { // five to connect, one for the tracker, one for all versions
		t.Errorf("%d round trips to find nothing pending", got.RoundTrips)
	}
}

// What is wrong with one schema is its own error, and the others never notice.
func TestOneBadSchemaHidesNoOther(t *testing.T) {
	long := strings.Repeat("x", 64)
	e := newEstate(t, "a", "b", "+gone", "+public", "+pg_catalog", "+$user", "+"+long, "z")
	e.do(t, "create table b.users (by_hand text)")
	o := e.run(t, "concurrency=1")
	o.counts(t, 2, 0, 6, 0)
	o.says(t, `relation "users" already exists`, `the database has no schema "gone"`, "set create-missing: true",
		`schema name "public" is one of the system's own schemas`,
		`schema name "pg_catalog" is one of`, `schema name "$user" stands for`, "has 64 bytes")
	same(t, "tables", e.relations(t), slices.Concat(tables("a"), []string{"b.users"}, tables("z")))
	// A failed migration drops nothing, and a corrected tenant is completed.
	e.do(t, "drop table b.users")
	e.run(t, "tenants=b").counts(t, 1, 0, 0, 0)
}

// Names that give one key have different ones by id, and rows that name nothing stop nobody.
func TestSchemasThatAreHardToTellApart(t *testing.T) {
	t.Parallel()
	e := newEstate(t, "acme-corp", "acme_corp", "клиент", "日本", "🚀", "+", "+  ")
	e.run(t).says(t, `"acme-corp" (acme-corp) and "acme_corp" (acme_corp) have the same key acme-corp`,
		"set tenant-key: id")
	o := e.run(t, "tenant-key=id")
	o.counts(t, 5, 0, 0, 0)
	o.says(t, "rows of public.schema_tracker that name no schema are skipped (name is '', '  '); delete them: ")
	_, remedy, _ := strings.Cut(o.log, "delete them: ")
	remedy, _, _ = strings.Cut(remedy, "\n")
	e.do(t, strings.TrimSpace(remedy))
	if o = e.run(t, "tenant-key=id"); strings.Contains(o.log, "skipped (") {
		t.Errorf("the remedy does not help:\n%s", o.log)
	}
	e.do(t, "drop schema acme_corp cascade; delete from schema_tracker where name = 'acme_corp'")
	e.run(t).counts(t, 0, 4, 0, 0)
}

func TestMissingSchemasAreCreatedWhereAsked(t *testing.T) {
	e := newEstate(t, "here", "+new", "+Bad name", "+select")
	o := e.run(t, "create-missing=true", "dry-run=true")
	o.counts(t, 2, 0, 2, 0)
	o.says(t, "new  would be created, 3 pending")
	o = e.run(t, "create-missing=true")
	o.counts(t, 2, 0, 2, 0)
	o.says(t, "new  created, 3 applied", `"Bad name" must begin with a letter`, `"select" is a reserved word`)
	same(t, "tables", e.relations(t), tables("here", "new"))
}

func TestPublicIsMigratedFirst(t *testing.T) {
	e := newEstate(t, "a")
	e.do(t, "drop table schema_tracker")
	dir := filepath.Join(e.workspace, "db", "public")
	write := func(name, sql string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("-- migrate:up\n"+sql+"\n-- migrate:down\n"),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := e.run(t)
	o.says(t, "the database has no table public.schema_tracker", "create-tenant")
	// The tracker itself comes from public's migrations.
	write("1_tracker.sql", "create table schema_tracker (id bigint generated always as identity, name text not null "+
		"unique, note text default 'x')")
	o = e.run(t, "public-migrations-path=db/public", "min-tenants=0", "allow-empty=true")
	if o.err != nil {
		t.Fatal(o.log)
	}
	o.says(t, "1_tracker.sql applied")
	e.do(t, "insert into schema_tracker (name) values ('a')")
	e.run(t, "public-migrations-path=db/public").counts(t, 1, 0, 0, 0)

	e.write(t, "20260101000000_more.sql", "create table more (i int references public.plans)")
	write("2_plans.sql", "create table plans (i int primary key)")
	e.run(t, "public-migrations-path=db/public", "dry-run=true").says(t, "2_plans.sql is pending")
	o = e.run(t, "public-migrations-path=db/public")
	o.counts(t, 1, 0, 0, 0)
	var detail struct {
		Public struct {
			After string `json:"version_after"`
		}
	}
	if err := json.Unmarshal(o.report.Detail, &detail); err != nil || detail.Public.After != "2" {
		t.Errorf("detail %s, %v", o.report.Detail, err)
	}

	write("3_bad.sql", "create table plans (i int)")
	e.write(t, "20260102000000_never.sql", "create table never ()")
	o = e.run(t, "public-migrations-path=db/public")
	if o.err == nil || len(o.report.Tenants) > 0 {
		t.Errorf("a failure of public's migrations: %v, %d tenants", o.err, len(o.report.Tenants))
	}
	o.says(t, "migrate the schema public, before any tenant: db/public/3_bad.sql:2:1")
	same(t, "public's versions", e.do(t, "select version from public.schema_migrations order by 1"), []string{"1", "2"})
	if slices.Contains(e.relations(t), "a.never") {
		t.Error("a tenant was touched")
	}
}

// Another tool's record in the schema public is renamed: migrations-table would be every tenant's.
func TestAnotherToolsRecordInPublic(t *testing.T) {
	e := newEstate(t, "a")
	e.run(t).counts(t, 1, 0, 0, 0)
	e.do(t, "create table public.schema_migrations (version bigint primary key, dirty boolean not null)")
	if err := os.Mkdir(filepath.Join(e.workspace, "db", "public"), 0o700); err != nil {
		t.Fatal(err)
	}
	e.write(t, filepath.Join("..", "public", "1_plans.sql"), "create table plans (i int)")
	o := e.run(t, "public-migrations-path=db/public")
	if o.err == nil {
		t.Fatal("it is taken for ours")
	}
	o.says(t, "so it is another tool's", "another migrations-table would be every tenant's too",
		`alter table "public"."schema_migrations" rename to …)`)
	e.do(t, `alter table "public"."schema_migrations" rename to theirs`)
	e.run(t, "public-migrations-path=db/public").says(t, "1_plans.sql applied")
}

// A file that cannot work in each of many schemas is a mistake, before any of them is touched.
func TestFilesThatLeaveTheirSchema(t *testing.T) {
	e := newEstate(t, "a")
	name := filepath.Join(e.workspace, "db", "migrations", "20990101000000_path.sql")
	sql := "-- migrate:up\ncreate extension citext;\nset search_path = public;\n-- migrate:down\n"
	if err := os.WriteFile(name, []byte(sql), 0o600); err != nil {
		t.Fatal(err)
	}
	before := e.relations(t)
	o := e.run(t)
	o.says(t, "migrations-path: 2 problems with the migration files",
		"20990101000000_path.sql: line 2: CREATE EXTENSION without a schema",
		"20990101000000_path.sql: line 3: changes the search_path")
	same(t, "relations", e.relations(t), before)
}

func TestMistakesAboutSchemas(t *testing.T) {
	e := newEstate(t, "a")
	o := e.run(t, "database-url=mysql://x", "schema-tracker=a.b.c", "migrations-table=x.y",
		"public-migrations-path=nowhere")
	for _, name := range []string{"database-url: ", "schema-tracker: ", "migrations-table: ", "public-migrations-path: "} {
		if strings.Count(o.log, "- "+name) != 1 {
			t.Errorf("%s is not named once:\n%s", name, o.log)
		}
	}
	o = e.organisation.run(t, t.Context(), "create-missing=true", "public-migrations-path=db")
	o.says(t, "create-missing: this source lists only tenants that exist, so none can be missing; leave it out, or use "+
		"tenant-source: catalog or schemas",
		"public-migrations-path: this source's tenants share no database; leave it out, or use tenant-source: schemas")
}

// Two runs at once over the same schemas apply each migration once.
func TestTwoRunsOverTheSameSchemas(t *testing.T) {
	e := newEstate(t, "a", "b", "c", "d", "e", "f")
	e.write(t, "20260101000000_slow.sql", "select pg_sleep(0.1)")
	done := make(chan outcome)
	for range 2 {
		go func() { done <- e.run(t, "concurrency=3") }()
	}
	applied := 0
	for range 2 {
		o := <-done
		if o.err != nil {
			t.Error(o.log)
		}
		for _, entry := range o.report.Tenants {
			var d struct{ Applied []any }
			if err := json.Unmarshal(entry.Detail, &d); err != nil {
				t.Error(err)
			}
			applied += len(d.Applied)
		}
	}
	if applied != 24 {
		t.Errorf("%d migrations were applied, want 24", applied)
	}
}

// A connection that breaks in the middle of one schema's migration is that schema's failure, and is used for no other.
func TestABrokenConnectionIsNotShared(t *testing.T) {
	e := newEstate(t, "a", "b", "c", "d")
	e.write(t, "20260101000000_break.sql", "select pg_terminate_backend(pg_backend_pid()) from pg_namespace where "+
		"nspname = current_schema() and nspname in ('a', 'c')")
	o := e.run(t, "concurrency=1")
	o.counts(t, 2, 0, 2, 0)
	if strings.Count(o.log, "the connection was lost while it ran") == 0 && !strings.Contains(o.log, "57P01") {
		t.Errorf("the log does not say why:\n%s", o.log)
	}
	same(t, "versions of b", e.do(t, "select count(*)::text from b.schema_migrations"), []string{"4"})
	same(t, "versions of a", e.do(t, "select count(*)::text from a.schema_migrations"), []string{"3"})
}
