package action

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// recordOf is a tenant's record in a report.
func recordOf(t *testing.T, o outcome, name string) (r records.Record) {
	t.Helper()
	i := slices.IndexFunc(o.report.Tenants, func(e report.TenantEntry) bool { return e.Name == name })
	var d struct{ Record *records.Record }
	if i < 0 || json.Unmarshal(o.report.Tenants[i].Detail, &d) != nil || d.Record == nil {
		t.Fatalf("%s has no record: %s", name, o.reportText)
	}
	return *d.Record
}

// setsOf are the sets of files in a report.
func setsOf(t *testing.T, o outcome) records.Sets {
	t.Helper()
	var d struct {
		Sets records.Sets `json:"file_sets"`
	}
	if err := json.Unmarshal(o.report.Detail, &d); err != nil {
		t.Fatal(err)
	}
	return d.Sets
}

const lateFile, lateSQL = "20250301000000_late.sql", "create table late (i int);"

// newRecorded is a fleet that was migrated in a run whose report is in reports/1.json, the last file being late.
func newRecorded(t *testing.T, names ...string) *organisation {
	t.Helper()
	f := newFleet(t, named(names...)...)
	f.write(t, lateFile, lateSQL)
	o := f.run(t, t.Context())
	o.counts(t, len(names), 0, 0, 0)
	f.keep(t, "1", o)
	return f
}

func TestARunRecordsWhatItFoundOut(t *testing.T) {
	sameClocks(t)
	f := newFleet(t, named("Acme", "Globex")...)
	f.write(t, lateFile, lateSQL)
	query(t, f.projects[1], "create table late (by_hand text)")
	o := f.run(t, t.Context())
	o.counts(t, 1, 0, 1, 0)
	sets := setsOf(t, o)
	r := recordOf(t, o, "Acme")
	if !r.Known() || r.Version != "20250301000000" || r.Applied != r.Files || len(sets[r.Files]) != 4 ||
		!strings.Contains(r.Place, f.projects[0].ID) {
		t.Errorf("Acme's record is %+v", r)
	}
	r = recordOf(t, o, "Globex")
	if r.Known() || r.Files != "" || len(sets[r.Applied]) != 3 {
		t.Errorf("Globex's record is %+v", r)
	}
	if o := f.run(t, t.Context(), "dry-run=true"); strings.Contains(o.reportText, `"record"`) {
		t.Errorf("a dry run leaves records: %s", o.reportText)
	}
	// A tenant that cannot even be connected to loses nothing.
	f.keep(t, "1", o)
	f.Fail(neontest.Fault{Route: "GET /projects/{project_id}/connection_uri", Project: f.projects[0].ID, Status: 403})
	again := f.run(t, t.Context(), "previous-report=reports/*.json")
	again.counts(t, 0, 0, 2, 0)
	if r := recordOf(t, again, "Acme"); r.Known() || r.Applied != recordOf(t, o, "Acme").Applied ||
		len(setsOf(t, again)[r.Applied]) != 4 {
		t.Errorf("of a tenant that was not reached is left %+v", r)
	}
}

func TestChangedFilesByReport(t *testing.T) {
	sameClocks(t)
	f := newRecorded(t, "Acme", "Globex")
	previous := "previous-report=reports/*.json"

	t.Run("white space", func(t *testing.T) {
		f.write(t, lateFile, "create table late (\r\n\ti int );\r\n")
		o := f.run(t, t.Context(), previous, "changed-files=fail")
		o.counts(t, 0, 2, 0, 0)
	})
	f.write(t, lateFile, "create table late (i bigint);")
	f.write(t, "20250302000000_next.sql", "create table next (i int);")
	t.Run("nothing is recorded", func(t *testing.T) {
		f.run(t, t.Context(), "dry-run=true", "changed-files=fail").counts(t, 2, 0, 0, 0)
	})
	t.Run("fail", func(t *testing.T) {
		f.ResetCalls()
		o := f.run(t, t.Context(), previous, "changed-files=fail")
		o.counts(t, 0, 0, 0, 0)
		o.says(t, "db/migrations/"+lateFile+" was changed after it had been applied", "version 20250301000000 was recorded",
			"it was applied to 2 tenants; no tenant was touched", "put the old contents back", "changed-files: ignore")
		for _, p := range f.projects {
			if calls := f.Calls().ByProject[p.ID]; len(calls) > 0 {
				t.Errorf("calls for %s: %v", p.Name, calls)
			}
		}
	})
	t.Run("warn", func(t *testing.T) {
		o := f.run(t, t.Context(), previous)
		o.counts(t, 2, 0, 0, 0)
		o.says(t, "changed-files: 1 file is no longer what was applied: "+lateFile+" (2 tenants)")
		if len(o.report.Warnings) != 1 || len(o.report.Tenants[0].Warnings) != 0 {
			t.Errorf("warnings: %v, %v", o.report.Warnings, o.report.Tenants[0].Warnings)
		}
		if r := recordOf(t, o, "Acme"); r.Applied == r.Files {
			t.Errorf("the record forgets what was applied: %+v", r)
		}
		f.keep(t, "2", o)
	})
	t.Run("ignore makes it quiet", func(t *testing.T) {
		o := f.run(t, t.Context(), previous, "changed-files=ignore")
		o.counts(t, 0, 2, 0, 0)
		f.keep(t, "3", o)
		o = f.run(t, t.Context(), previous, "changed-files=fail")
		o.counts(t, 0, 2, 0, 0)
		if diff := cmp.Diff([]string{}, o.report.Warnings); diff != "" || o.err != nil {
			t.Errorf("%v %s", o.err, diff)
		}
	})
}

// A record of a failed run says what was applied, and nothing about the present: each tenant's own database decides.
func TestChangedFilesOfATenant(t *testing.T) {
	sameClocks(t)
	f := newFleet(t, named("Acme", "Globex", "Hooli")...)
	f.write(t, lateFile, lateSQL)
	f.write(t, "20250302000000_next.sql", "create table late (i int);")
	o := f.run(t, t.Context())
	o.counts(t, 0, 0, 3, 0)
	f.keep(t, "1", o)
	query(t, f.projects[1], "drop table late; delete from schema_migrations where version = '20250301000000'")
	query(t, f.projects[2], "insert into schema_migrations values ('20250302000000')")
	f.write(t, lateFile, "create table late (i bigint);")
	f.write(t, "20250302000000_next.sql", "create table next (i int);")

	for _, dry := range []string{"dry-run=true", "dry-run=false"} {
		o = f.run(t, t.Context(), "previous-report=reports/1.json", "changed-files=fail", dry)
		o.counts(t, 1, 0, 2, 0)
		for _, i := range []int{0, 2} {
			if e := o.report.Tenants[i].Error; e == nil || e.File != "db/migrations/"+lateFile ||
				!strings.Contains(e.Message, "was changed after it had been applied") || e.Remedy == "" {
				t.Errorf("%s: %+v", o.report.Tenants[i].Name, e)
			}
		}
	}
	f.keep(t, "2", o)
	if got := query(t, f.projects[0], "select count(*) from pg_class where relname = 'next'"); got != "0" {
		t.Error("Acme's pending file was run")
	}
	o = f.run(t, t.Context(), "previous-report=reports/*.json")
	o.says(t, lateFile+" (2 tenants: Acme, Hooli)")
}

// No tenant had it when it was corrected.
func TestACorrectedFileIsNoChange(t *testing.T) {
	f := newFleet(t, named("Acme", "Globex")...)
	f.write(t, lateFile, "create table late (i nothing);")
	o := f.run(t, t.Context())
	o.counts(t, 0, 0, 2, 0)
	f.keep(t, "1", o)
	f.write(t, lateFile, lateSQL)
	f.run(t, t.Context(), "previous-report=reports/1.json", "changed-files=fail").counts(t, 2, 0, 0, 0)
}

func TestAReportThatCannotBeReadIsNoRecord(t *testing.T) {
	f := newRecorded(t, "Acme")
	f.keep(t, "1", outcome{reportText: "{"})
	o := f.run(t, t.Context(), "previous-report=reports/*.json,none/*.json", "changed-files=fail")
	o.counts(t, 0, 1, 0, 0)
	o.says(t, "previous-report: nothing is known from a file: reports/1.json")
}

// The sources whose tenants are no Neon projects know where these live too.
func TestChangedFilesOfTheOtherSources(t *testing.T) {
	sameClocks(t)
	e := newEstate(t, "acme", "globex")
	f := newFleet(t, named("Acme")...)
	secrets := []string{"neon-api-key=", "tenant-source=secrets",
		"tenant-secrets=" + string(mustJSON(t, map[string]string{"ACME_DATABASE_URL": f.projects[0].URL}))}
	catalog := []string{"neon-api-key=", "tenant-source=catalog", "database-url=" + e.url,
		"catalog-query=select 'Acme' as name, " + pgtest.Literal(f.projects[0].URL) + " as url"}
	for name, run := range map[string]func(inputs ...string) outcome{
		"schemas": func(inputs ...string) outcome { return e.run(t, inputs...) },
		"secrets": func(inputs ...string) outcome { return f.run(t, t.Context(), append(inputs, secrets...)...) },
		"catalog": func(inputs ...string) outcome { return f.run(t, t.Context(), append(inputs, catalog...)...) },
	} {
		t.Run(name, func(t *testing.T) {
			o := f
			if name == "schemas" {
				o = e.organisation
			}
			o.write(t, lateFile, "create table if not exists late (i int);")
			first := run()
			if first.err != nil {
				t.Fatal(first.log)
			}
			o.keep(t, name, first)
			o.write(t, lateFile, "create table if not exists late (i bigint);")
			failed := run("previous-report=reports/"+name+".json", "changed-files=fail")
			failed.says(t, "was changed after it had been applied", "no tenant was touched")
			run("previous-report=reports/"+name+".json").says(t, "1 file is no longer what was applied")
			if strings.Contains(first.reportText, "password") || strings.Contains(first.reportText, "://") {
				t.Errorf("the report shows a connection string: %s", first.reportText)
			}
		})
	}
}

func TestChangedFilesByCatalog(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	sameClocks(t)
	f, catalog := newFleet(t, named("Acme", "Globex")...), catalogDatabase(t)
	record := "catalog-url=" + catalog
	f.write(t, lateFile, lateSQL)
	f.run(t, t.Context(), record, "dry-run=true").counts(t, 2, 0, 0, 0) // before there are tables
	f.run(t, t.Context(), record).counts(t, 2, 0, 0, 0)
	f.write(t, lateFile, "create table late (\r\n\ti int );\r\n")
	f.run(t, t.Context(), record, "changed-files=fail").counts(t, 0, 2, 0, 0)

	f.write(t, lateFile, "create table late (i bigint);")
	for _, dry := range []string{"dry-run=true", "dry-run=false"} {
		f.run(t, t.Context(), record, "changed-files=fail", dry).says(t, "it was applied to 2 tenants; no tenant was touched")
	}
	o := f.run(t, t.Context(), record)
	o.counts(t, 0, 2, 0, 0)
	o.says(t, "1 file is no longer what was applied: "+lateFile+" (2 tenants)")
	o = f.run(t, t.Context(), record, "tenants=Acme", "changed-files=ignore")
	o.counts(t, 0, 1, 0, 0)
	f.run(t, t.Context(), record).says(t, "1 file is no longer what was applied: "+lateFile+" (1 tenant: Globex)")
	f.run(t, t.Context(), record, "changed-files=ignore").counts(t, 0, 2, 0, 0)
	if o = f.run(t, t.Context(), record, "changed-files=fail"); o.err != nil || len(o.report.Warnings) > 0 {
		t.Errorf("%v, %v", o.err, o.report.Warnings)
	}
}

// What changes a tenant's database in another way leaves nothing known of it.
func TestOtherModesClearTheCatalogsRecord(t *testing.T) {
	servertest.Long(t)
	sameClocks(t)
	f, v, catalog := newFleet(t, named("Acme")...), newVault(t), catalogDatabase(t)
	record := "catalog-url=" + catalog
	known := func() string {
		t.Helper()
		return askAll(t, catalog, "select coalesce(record->>'current_at', 'unknown') <> 'unknown' from project")[0]
	}
	o := f.run(t, t.Context(), record, "undo-point=true", "$GITHUB_RUN_ID=7")
	o.counts(t, 1, 0, 0, 0)
	f.keep(t, "7", o)
	steps := []struct {
		name   string
		inputs []string
		known  string
	}{
		{"backup", v.inputs("mode=backup"), "t"},
		{"health-check", []string{"mode=health-check"}, "t"},
		{"restore", v.inputs("mode=restore", "tenants=Acme", "restore-url="+pgtest.Database(t)), "f"},
		{"migrate again", nil, "t"},
		{"undo", undo(), "f"},
	}
	for _, s := range steps {
		if o := f.run(t, t.Context(), append(s.inputs, record)...); o.err != nil {
			t.Fatalf("%s: %v\n%s", s.name, o.err, o.log)
		}
		if got := known(); got != s.known {
			t.Errorf("after %s something is known: %s, want %s", s.name, got, s.known)
		}
	}
}

func TestACatalogThatIsDownIsSaidOnce(t *testing.T) {
	f, catalog := newFleet(t, named("Acme")...), catalogDatabase(t)
	down := "catalog-url=" + sibling(t, catalog, "no_catalog")
	o := f.run(t, t.Context(), down)
	o.counts(t, 1, 0, 0, 0)
	if len(o.report.Notices) > 0 {
		t.Errorf("notices: %v", o.report.Notices)
	}
	o = f.run(t, t.Context(), down, "dry-run=true")
	o.counts(t, 0, 1, 0, 0)
	if len(o.report.Notices) != 1 || o.err != nil {
		t.Errorf("%v, notices: %v", o.err, o.report.Notices)
	}
}
