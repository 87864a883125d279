package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/health"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// healthOf decodes a tenant's entry.
func (o outcome) healthOf(t *testing.T, name string) health.Detail {
	t.Helper()
	var d health.Detail
	for _, e := range o.report.Tenants {
		if e.Name == name {
			if err := json.Unmarshal(e.Detail, &d); err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	t.Fatalf("%s is not in the report:\n%s", name, o.log)
	return d
}

func (o outcome) fleetHealth(t *testing.T) health.Report {
	t.Helper()
	var h health.Report
	if err := json.Unmarshal(o.report.Detail, &h); err != nil {
		t.Fatalf("%v:\n%s", err, o.log)
	}
	return h
}

func TestHealthOfAFleet(t *testing.T) {
	sameClocks(t)
	f := newFleet(t, named("a", "b", "c", "d", "e")...)
	f.run(t, t.Context()).counts(t, 5, 0, 0, 0)
	o := f.run(t, t.Context(), "mode=health-check", "required-tables=users, public.projects")
	o.counts(t, 5, 0, 0, 0)
	o.says(t, "Health: 5 of 5 tenants healthy", "Schemas: 5 tenants match", "a  healthy")
	o.keeps(t, f.projects)
	d := o.healthOf(t, "a")
	want := health.Detail{Problems: []string{}, Version: "20250101090200", PostgresMajor: d.PostgresMajor,
		Fingerprint: d.Fingerprint, Objects: d.Objects, FingerprintVersion: 2, Record: d.Record}
	if diff := cmp.Diff(want, d, cmpopts.IgnoreUnexported(d)); diff != "" || len(d.Fingerprint) != 64 || d.Objects < 10 ||
		d.PostgresMajor < 14 || !recordOf(t, o, "a").Known() {
		t.Errorf("(-want +got):\n%s", diff)
	}

	query(t, f.projects[1], "alter table users add extra integer; drop index if exists nothing")
	query(t, f.projects[2], "drop table tasks")
	query(t, f.projects[3], "insert into schema_migrations values ('20990101000000')")
	query(t, f.projects[4], "delete from schema_migrations where version = '20250101090200'; drop table tasks; create "+
		"schema other; create table other.t (i integer)")
	o = f.run(t, t.Context(), "mode=health-check", "required-tables=users,tasks")
	o.counts(t, 2, 0, 3, 0)
	for name, problems := range map[string][]string{"a": {}, "b": {"drift"}, "c": {"tables", "drift"},
		"d": {"unknown-versions"}, "e": {"pending", "tables"}} {
		if diff := cmp.Diff(problems, o.healthOf(t, name).Problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	o.says(t, "Health: 1 of 5 tenants healthy",
		"Schemas: 2 tenants match; 2 groups differ; 1 tenant was compared with nobody", "    + column users.extra integer",
		"    - table tasks (",
		"1 migration is pending: 20250101090200", "1 required table is missing: tasks", "run mode migrate on it",
		"1 recorded version has no file: 20990101000000",
		"the schema differs from that of 2 others: + column users.extra integer", "turn the change into a migration",
		"compared in 2 sets", "1 tenant was compared with nobody", "on the same major version of PostgreSQL as e")
	if !strings.Contains(o.summary, "```diff\n+ column users.extra integer\n```") {
		t.Errorf("summary:\n%s", o.summary)
	}
	h := o.fleetHealth(t)
	if diff := cmp.Diff(map[string]int{"drift": 2, "tables": 2, "pending": 1, "unknown-versions": 1},
		h.Problems); diff != "" || h.Healthy != 1 || len(h.Schemas) != 4 {
		t.Errorf("%+v, problems (-want +got):\n%s", h, diff)
	}
	if o.outputs["failed-tenants"] != `["b","c","e"]` {
		t.Errorf("failed-tenants is %s", o.outputs["failed-tenants"])
	}

	// What fails is a choice, and what does not is told.
	o = f.run(t, t.Context(), "mode=health-check", "required-tables=users,tasks", "fail-on=none")
	o.counts(t, 5, 0, 0, 0)
	o.says(t, "::warning::", "the schema differs from that of 2 others")
	f.run(t, t.Context(), "mode=health-check", "fail-on=unknown-versions").counts(t, 4, 0, 1, 0)

	// Another norm than what most have, also one that is not among the chosen.
	for _, chosen := range []string{"a,b,c", "a,c"} {
		o = f.run(t, t.Context(), "mode=health-check", "reference-tenant=b", "fail-on=drift", "tenants="+chosen)
		if got, n := o.outputs["failed-tenants"], len(o.fleetHealth(t).Schemas); got != `["a","c"]` || n != 3 {
			t.Errorf("of %s failed %s, %d schemas:\n%s", chosen, got, n, o.log)
		}
		o.says(t, "the schema differs from that of b: - column users.extra integer")
	}
	o = f.run(t, t.Context(), "mode=health-check", "reference-tenant=nobody")
	o.says(t, `reference-tenant: "nobody" is none of the 5 tenants found`)
}

// Nothing that the check does changes a tenant, a dry run or not.
func TestHealthCheckChangesNothing(t *testing.T) {
	f := newFleet(t, named("a", "b")...)
	o := f.run(t, t.Context(), "mode=health-check")
	o.counts(t, 0, 0, 2, 0)
	o.says(t, "3 migrations are pending: 20250101090000_create_users.sql, ", "Schemas: 2 tenants match")
	f.run(t, t.Context(), "mode=health-check", "fail-on=drift").says(t, "a  3 pending")
	for _, p := range f.projects {
		if n := query(t, p, "select count(*) from pg_class where relnamespace = 'public'::regnamespace"); n != "0" {
			t.Errorf("%s has %s relations", p.Name, n)
		}
	}
}

func TestHealthOfTenantsThatCannotBeReached(t *testing.T) {
	specs := named("a", "b", "c")
	specs[1].Disabled = true
	f := newFleet(t, specs...)
	query(t, f.projects[2], "create table schema_migrations (by_hand text)")
	o := f.run(t, t.Context(), "mode=health-check", "fail-on=unreachable", "reference-tenant=b")
	o.counts(t, 1, 0, 2, 0)
	o.says(t, "or name another with migrations-table",
		"reference-tenant: b could not be checked, so the largest group of tenants is the norm: its own result says why")
	o = f.run(t, t.Context(), "mode=health-check", "fail-on=tables")
	o.counts(t, 3, 0, 0, 0)
	o.says(t, "b  not checked")
}

func TestMistakesOfAHealthCheck(t *testing.T) {
	f := newFleet(t, named("a")...)
	f.ResetCalls()
	o := f.run(t, t.Context(), "mode=health-check", "required-tables=a.b.c", "fail-on=everything",
		"migrations-path=nowhere")
	for _, text := range []string{`required-tables: "a.b.c" is not a table's name`,
		`fail-on: "everything" is none of its values`, "migrations-path: there is no directory"} {
		o.says(t, text)
	}
	f.run(t, t.Context(), "mode=health-check", "fail-on=backup-age").says(t,
		"fail-on: backup-age needs the bucket with the backups")
	if n := f.Calls().Total; n != 0 {
		t.Errorf("%d calls", n)
	}
	f.workspace = t.TempDir() // without migration files
	f.run(t, t.Context(), "mode=health-check").says(t, "migrations-path: there is no directory")
	f.run(t, t.Context(), "mode=health-check", "fail-on=unreachable,drift").counts(t, 1, 0, 0, 0)
}

func TestHealthOfBackups(t *testing.T) {
	f, v := newFleet(t, named("a", "b", "c")...), newVault(t)
	f.run(t, t.Context())
	f.run(t, t.Context(), v.inputs("mode=backup", "tenants=a")...).counts(t, 1, 0, 0, 0)
	old := buckettest.BackupKey("tenants/b/", time.Now().Add(-50*time.Hour))
	v.putBackup(t, f.projects[1].ID, old)
	v.put(t, "of long ago")
	o := f.run(t, t.Context(), v.inputs("mode=health-check", "max-backup-age=49h", "fail-on=backup-age")...)
	o.counts(t, 1, 0, 2, 0)
	o.says(t, "its newest verified backup is older than max-backup-age: 49h", "it has no verified backup",
		"run mode backup on it")
	if d := o.healthOf(t, "b"); d.NewestBackup != old || d.BackupAge == nil || *d.BackupAge < 50*3600 ||
		*d.BackupAge > 51*3600 {
		t.Errorf("got %+v", d)
	}
	if d := o.healthOf(t, "a"); d.NewestBackup == "" || d.BackupAge == nil || *d.BackupAge > 600 {
		t.Errorf("got %+v", d)
	}
}

// modeNames and definitions are untrusted text, and what a function's body gives away is hidden.
func TestHealthWithHostileSchemas(t *testing.T) {
	f := newFleet(t, named("a", "b", "c")...)
	f.run(t, t.Context())
	password := strings.SplitN(strings.SplitN(f.projects[2].URL, "@", 2)[0], ":", 3)[2]
	query(t, f.projects[2], `create table "x
::error::y" ("<img src=x>`+"```"+`" integer);
		create function leak() returns text language sql as $$ select 'postgres://x:`+password+`@h/d' $$`)
	o := f.run(t, t.Context(), "mode=health-check")
	o.counts(t, 2, 0, 1, 0)
	o.keeps(t, f.projects)
	if strings.Contains(o.log, "\n::error::y") || strings.Contains(o.log, "\n  ::error::y") ||
		strings.Contains(o.summary, "\n```"+"\" integer") {
		t.Errorf("a name acts:\n%s\n%s", o.log, o.summary)
	}
	o.says(t, "+ function leak()")
}

func TestCancelWhileHealthIsChecked(t *testing.T) {
	f := newFleet(t, named("a", "b", "c")...)
	f.run(t, t.Context())
	query(t, f.projects[0], "alter table users add extra integer")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("cancelled by interrupt"))
	o := f.run(t, ctx, "mode=health-check")
	if o.err == nil || !strings.Contains(o.log, "cancelled by interrupt") {
		t.Errorf("ended with %v:\n%s", o.err, o.log)
	}
}

// Tenants that differ alike are one difference, and the summary has a picture of them.
func TestHealthOfManyAlike(t *testing.T) {
	servertest.Long(t)
	f := newFleet(t, named("base", "odd", "other")...)
	f.run(t, t.Context()).counts(t, 3, 0, 0, 0)
	query(t, f.projects[1], "alter table users add extra integer")
	query(t, f.projects[2], "drop index tasks_project_id_idx")
	var specs []neontest.Spec
	for i := range 47 {
		database := f.projects[0]
		switch i % 10 {
		case 3:
			database = f.projects[1]
		case 7:
			database = f.projects[2]
		}
		specs = append(specs, neontest.Spec{Name: fmt.Sprintf("customer-%02d", i), SharedDatabase: database.URL})
	}
	if _, err := f.AddProjects(t.Context(), specs...); err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), "mode=health-check", "tenants=customer-*")
	o.counts(t, 38, 0, 9, 0)
	o.says(t, "Schemas: 38 tenants match; 2 groups differ",
		"5 tenants differ from 38 others: customer-03, customer-13, customer-23, customer-33, customer-43",
		"4 tenants (customer-07, customer-17, customer-27 and 1 more): the schema differs from that of 38 others: - index "+
			"tasks_project_id_idx")
	// One pie. A machine that is slow today gets a chart of the slowest tenants besides.
	if strings.Count(o.summary, "\npie showData\n") != 1 || !strings.Contains(o.summary, `"schema drift" : 9`) ||
		strings.Count(o.summary, "```diff\n") != 2 {
		t.Errorf("summary:\n%s", o.summary)
	}
}

// From afar a tenant costs one connection, and two round trips after connecting.
func TestHealthRoundTrips(t *testing.T) {
	server := pgtest.Shared(t)
	proxy, err := wiretest.NewProxy(net.JoinHostPort(server.Host, strconv.Itoa(server.Port)), 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	through, err := proxy.URL(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	through, _, _ = strings.Cut(through, "?")
	f := newFleet(t)
	given := mustJSON(t, map[string]string{"A_DATABASE_URL": through + "?sslmode=disable"})
	inputs := []string{"neon-api-key=", "tenant-source=secrets", "tenant-secrets=" + string(given)}
	f.run(t, t.Context(), inputs...).counts(t, 1, 0, 0, 0)
	proxy.Reset()
	f.run(t, t.Context(), append(inputs, "mode=health-check", "required-tables=users")...).counts(t, 1, 0, 0, 0)
	const connecting = 4 // opening, and SCRAM
	if got := proxy.Traffic(); got.Connections != 1 || got.RoundTrips > connecting+2 {
		t.Errorf("%+v, want one connection and at most 2 round trips after the %d of connecting", got, connecting)
	}
}

// A database of the catalog's role that no row names is an orphan, and so is a row whose database is not there.
func TestHealthOfACatalogsDatabases(t *testing.T) {
	f, catalog := newFleet(t), catalogDatabase(t)
	askAll(t, catalog, "create table schools (name text, database text, url text); "+
		"insert into schools values ('East', 'east', null), ('West', 'west', null)")
	inputs := []string{"tenant-source=catalog", "database-url=" + catalog, "neon-api-key=", "neon-api-url=",
		"catalog-query=select * from schools"}
	f.run(t, t.Context(), append(inputs, "create-missing=true")...).counts(t, 2, 0, 0, 0)
	inputs = append(inputs, "mode=health-check")
	o := f.run(t, t.Context(), append(inputs, "fail-on=unreachable,pending,tables,drift,orphans")...)
	o.counts(t, 2, 0, 0, 0)
	if o.err != nil || len(o.fleetHealth(t).Orphans) > 0 {
		t.Errorf("ended with %v:\n%s", o.err, o.log)
	}

	// Only what records migrations looks like a tenant: not an empty database, nor a throwaway one of a run beside this.
	askAll(t, catalog, "create database idle")
	askAll(t, catalog, "create database neon_tenants_scratch_1780000000_aaaaaaaaaaaaaaaa template west")
	askAll(t, catalog, "delete from schools where name = 'West'; insert into schools values ('Gone', 'gone', null)")
	o = f.run(t, t.Context(), inputs...)
	o.counts(t, 1, 0, 1, 0)
	o.says(t, `database "gone" does not exist`, "Orphans: 1 belongs to no tenant", "database west",
		"could not be checked: 1 tenant", "listed, but does not exist: 1 tenant", "create-missing: true")
	if diff := cmp.Diff([]string{"database west"}, o.fleetHealth(t).Orphans); diff != "" {
		t.Error(diff)
	}
	o = f.run(t, t.Context(), append(inputs, "fail-on=orphans")...)
	o.counts(t, 1, 0, 1, 0)
	o.says(t, "it is listed, but does not exist")
	if d := o.healthOf(t, "Gone"); !slices.Equal(d.Problems, []string{"unreachable", "orphans"}) {
		t.Errorf("a database that is not there: %+v", d)
	}
	if o.err == nil || o.report.Error == nil ||
		!strings.Contains(o.report.Error.Message, "1 orphan belongs to no tenant: database west") {
		t.Errorf("ended with %v, %+v", o.err, o.report.Error)
	}
	// One that a row reaches by a connection string is nobody's orphan, also where no row names a database by its name.
	byURL := func(name, database string) string {
		return "delete from schools; insert into schools values ('" + name + "', null, " +
			pgtest.Literal(sibling(t, catalog, database)) + ")"
	}
	askAll(t, catalog, byURL("West", "west")+"; revoke connect on database idle from public, current_user")
	o = f.run(t, t.Context(), append(inputs, "fail-on=orphans")...)
	found := o.fleetHealth(t).Orphans
	if len(found) != 2 || found[0] != "database east" ||
		!strings.HasPrefix(found[1], "database idle, which could not be looked into: ") {
		t.Errorf("orphans: %q", found)
	}
	askAll(t, catalog, "grant connect on database idle to current_user; insert into schools values ('East', 'east', null)")
	if o = f.run(t, t.Context(), append(inputs, "fail-on=orphans")...); o.err != nil {
		t.Errorf("ended with %v:\n%s", o.err, o.log)
	}
}

// Tenants that are schemas of one database are compared as if they had no names. Schemas that are no tenant's don't
// count.
func TestHealthOfSchemas(t *testing.T) {
	hostile := `Te"nant'; drop schema "plain" cascade; -- 東京`
	e := newEstate(t, "plain", "users", hostile, "odd", "+gone")
	e.run(t, "tenants=*,!gone").counts(t, 4, 0, 0, 0)
	e.do(t, "create schema auth; create table auth.tokens (i integer); create schema empty; "+
		"alter table odd.users add extra integer; create schema former; "+
		"create table former.schema_migrations (version varchar primary key); "+
		"create table public.schema_migrations (version varchar primary key)")
	o := e.run(t, "mode=health-check", "required-tables=users,tasks", "concurrency=2")
	o.counts(t, 3, 0, 2, 0)
	o.says(t, "Schemas: 3 tenants match; 1 group differs",
		"the schema differs from that of 3 others: + column users.extra integer", "Orphans: 1 belongs to no tenant",
		"schema former", "gone")
	if diff := cmp.Diff([]string{"schema former"}, o.fleetHealth(t).Orphans); diff != "" {
		t.Error(diff)
	}
	if d := o.healthOf(t, "gone"); !slices.Equal(d.Problems, []string{"unreachable", "orphans"}) {
		t.Errorf("a schema that is not there: %+v", d)
	}
	if d := o.healthOf(t, hostile); len(d.Problems) != 0 || d.Version != "20250101090200" {
		t.Errorf("%s: %+v", hostile, d)
	}
	e.do(t, "drop table "+pgtest.Identifier(hostile)+".tasks")
	o = e.run(t, "mode=health-check", "required-tables=tasks", "tenants=*,!gone", "fail-on=tables,orphans")
	o.counts(t, 3, 0, 1, 0)
	if o.report.Error == nil || o.outputs["failed-tenants"] != string(mustJSON(t, []string{hostile})) {
		t.Errorf("%s, %+v", o.outputs["failed-tenants"], o.report.Error)
	}
}
