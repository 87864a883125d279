package action

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// recorded is what the catalog has of each tenant, without times.
const recorded = `select concat_ws(' | ', name, source, key, schema_version, last_migration_outcome,
	last_backup_key is not null, last_verified_restore_key = last_backup_key,
	last_seen_at is not null, dropped_at) from project order by name`

func TestEveryModeRecordsIntoTheCatalog(t *testing.T) {
	f, v, catalog := newFleet(t, named("ACME Corp", "Payroll Inc", "Finance Co")...), newVault(t), catalogDatabase(t)
	query(t, f.projects[2], "create table users (by_hand text)")
	record := "catalog-url=" + catalog
	f.run(t, t.Context(), record, "dry-run=true").counts(t, 3, 0, 0, 0)
	if got := askAll(t, catalog,
		"select count(*) from pg_class where relnamespace = 'public'::regnamespace"); got[0] != "0" {
		t.Errorf("a dry run left %s relations in the catalog", got[0])
	}
	wants := func(rows ...string) {
		t.Helper()
		if diff := cmp.Diff(rows, askAll(t, catalog, recorded)); diff != "" {
			t.Errorf("recorded (-want +got):\n%s", diff)
		}
	}

	o := f.run(t, t.Context(), record, "$GITHUB_SERVER_URL=https://github.com", "$GITHUB_REPOSITORY=acme/app",
		"$GITHUB_RUN_ID=7")
	o.counts(t, 2, 0, 1, 0)
	o.says(t, "recorded 3 tenants in the catalog")
	wants("ACME Corp | neon | acme-corp | 20250101090200 | succeeded | f | t",
		"Finance Co | neon | finance-co | failed | f | t",
		"Payroll Inc | neon | payroll-inc | 20250101090200 | succeeded | f | t")
	runs := askAll(t, catalog,
		"select concat_ws(' ', mode, source, outcome, succeeded, unchanged, failed, skipped, workflow_url) from run")
	if diff := cmp.Diff([]string{"migrate neon failed 2 0 1 0 https://github.com/acme/app/actions/runs/7"},
		runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}

	f.run(t, t.Context(), v.inputs(record, "mode=backup", "tenants=ACME*,Pay*", "verify=restore",
		"verify-database-url="+pgtest.Shared(t).URL("postgres"))...).counts(t, 2, 0, 0, 0)
	wants("ACME Corp | neon | acme-corp | 20250101090200 | succeeded | t | t | t",
		"Finance Co | neon | finance-co | failed | f | t",
		"Payroll Inc | neon | payroll-inc | 20250101090200 | succeeded | t | t | t")
	proved := askAll(t, catalog, "select last_verified_restore_at from project where name = 'acme corp'")
	target := pgtest.Database(t)
	f.run(t, t.Context(), v.inputs(record, "mode=restore", "tenants=ACME Corp", "restore-url="+target)...).counts(t, 1, 0,
		0, 0)
	if again := askAll(t, catalog,
		"select last_verified_restore_at from project where name = 'acme corp'"); again[0] <= proved[0] {
		t.Errorf("the restore is not recorded: %s, then %s", proved, again)
	}
	if got := askAll(t, catalog,
		"select string_agg(project::text || run::text, ' ') from project, run"); strings.Contains(got[0], neontest.OrgKey) ||
		strings.Contains(got[0], "://u") || strings.Contains(got[0], "password") {
		t.Errorf("the catalog holds a secret: %s", got[0])
	}

	// The catalog is a source now, of the same tenants.
	o = f.run(t, t.Context(), record, "tenant-source=catalog", "database-url="+catalog,
		"tenants=!Finance Co\n*\n!Finance Co")
	o.counts(t, 0, 2, 0, 0)
	if id := o.report.Tenants[0].ID; id != f.projects[0].ID {
		t.Errorf("ACME Corp has the id %s in the catalog, not %s", id, f.projects[0].ID)
	}
	wants("ACME Corp | catalog | acme-corp | 20250101090200 | unchanged | t | t | t",
		"Finance Co | catalog | finance-co | failed | f | t",
		"Payroll Inc | catalog | payroll-inc | 20250101090200 | unchanged | t | t | t")
}

func TestACatalogThatFailsLosesNoResult(t *testing.T) {
	f, catalog := newFleet(t, named("a", "b")...), catalogDatabase(t)
	o := f.run(t, t.Context(), "catalog-url="+sibling(t, catalog, "no_catalog"))
	o.counts(t, 2, 0, 0, 0)
	o.says(t, `nothing is recorded in the catalog of catalog-url: connect to database "no_catalog"`,
		"the run continues without it")
	if o.err == nil || o.report.Error == nil || !strings.Contains(o.report.Error.Message, "catalog-url") {
		t.Errorf("ended with %v, %+v", o.err, o.report.Error)
	}

	o.hides(t, mustConfig(t, catalog).Password)

	f.run(t, t.Context(), "catalog-url="+catalog).counts(t, 0, 2, 0, 0)
	askAll(t, catalog, "create function refuse() returns trigger language plpgsql as $$ begin raise 'no room'; end $$; "+
		"create trigger t before update on project for each row execute function refuse()")
	o = f.run(t, t.Context(), "catalog-url="+catalog)
	o.counts(t, 0, 2, 0, 0)
	if o.err == nil || o.report.Error == nil ||
		!strings.Contains(o.report.Error.Message, "record in the catalog: ERROR: no room") || o.report.Error.Remedy == "" {
		t.Errorf("ended with %v, %+v", o.err, o.report.Error)
	}
	if got := askAll(t, catalog, "select count(*) from run"); got[0] != "1" {
		t.Errorf("%s runs are recorded: a run and its tenants are one", got[0])
	}
}

// A fleet's patterns take in the project that the catalog is in.
func TestTheCatalogIsNoTenant(t *testing.T) {
	f := newFleet(t, named("acme", "catalog")...)
	record := "catalog-url=" + f.projects[1].URL
	o := f.run(t, t.Context(), record)
	o.counts(t, 1, 0, 1, 0)
	o.says(t, "this is the catalog's own database", "!catalog in tenants")
	o = f.run(t, t.Context(), record, "mode=drop-tenant", "tenant-name=catalog", "confirm=catalog", "without-backup=true")
	o.counts(t, 0, 0, 1, 0)
	if got := askAll(t, f.projects[1].URL,
		"select to_regclass('users') is null and count(*) = 2 from project"); got[0] != "t" {
		t.Errorf("the catalog was changed: %s", got[0])
	}
	f.run(t, t.Context(), record, "tenants=*\n!catalog").counts(t, 0, 1, 0, 0)
}

func TestACancelledRunIsRecorded(t *testing.T) {
	f, catalog := newFleet(t, named("a", "b")...), catalogDatabase(t)
	f.run(t, t.Context(), "mode=list-tenants", "catalog-url="+catalog) // makes its tables
	f.write(t, "20250301000000_hang.sql", "select pg_sleep(60);")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var cancelled time.Time
	go func() {
		for ctx.Err() == nil { // until both hang
			n := askAll(t, pgtest.Shared(t).URL("postgres"),
				"select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()")
			if n[0] == "2" {
				cancelled = time.Now()
				cancel(errors.New("cancelled by interrupt"))
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	o := f.run(t, ctx, "catalog-url="+catalog)
	if took := time.Since(cancelled); took > 7*time.Second {
		t.Errorf("the run went on for %s", took)
	}
	o.counts(t, 0, 0, 2, 0)
	want := []string{"a | neon | a | 20250101090200 | failed | f | t", "b | neon | b | 20250101090200 | failed | f | t"}
	if diff := cmp.Diff(want, askAll(t, catalog, recorded)); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

// Nobody waits for a catalog that does not answer, also if the tenants are listed in another one.
func TestACatalogThatDoesNotAnswerDelaysNobody(t *testing.T) {
	servertest.Long(t)
	f := newFleet(t, named("a")...)
	t.Run("neon", func(t *testing.T) { f.runsWithoutCatalog(t) })
	list, tenant := pgtest.Database(t), newFleet(t, named("b")...).projects[0]
	f.projects[0] = tenant
	t.Run("catalog", func(t *testing.T) {
		f.runsWithoutCatalog(t, "tenant-source=catalog", "database-url="+list, "neon-api-key=", "neon-api-url=",
			"catalog-query=select 'b' as name, "+pgtest.Literal(tenant.URL)+" as url")
	})
}

func (f *organisation) runsWithoutCatalog(t *testing.T, inputs ...string) {
	t.Helper()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan outcome, 1)
	go func() {
		ended <- f.run(t, ctx, append(inputs, "catalog-url=postgresql://u:p@"+silent.Addr().String()+
			"/catalog?sslmode=disable")...)
	}()
	servertest.WaitFor(t, func() bool {
		select {
		case o := <-ended:
			ended <- o
			return true
		default:
			return askAll(t, f.projects[0].URL, "select to_regclass('tasks') is not null")[0] == "t"
		}
	})
	cancel(errors.New("enough"))
	o := <-ended
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "nothing is recorded in the catalog of catalog-url")
}
