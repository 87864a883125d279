package action

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/records"
)

// sameClocks skips a test that needs records of the present where the server's clock is another than this process's, as
// in make test-clock: there a run makes none.
func sameClocks(t *testing.T) {
	t.Helper()
	now := pgtest.Ask(t, pgtest.Database(t), "select extract(epoch from now())::bigint")[0]
	seconds, err := strconv.ParseInt(now, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if records.SeenAt(time.Unix(seconds, 0), time.Now()).IsZero() {
		t.Skip("the server's clock is not this process's")
	}
}

// resolved is how often a connection string was asked for since the last call.
func (f *organisation) resolved() int {
	n := f.Calls().ByRoute["GET /projects/{project_id}/connection_uri"]
	f.ResetCalls()
	return n
}

// slept returns what the report says of the computes.
func slept(t *testing.T, o outcome) mode.Sleep {
	t.Helper()
	var detail struct {
		Sleep mode.Sleep `json:"sleep"`
	}
	if err := json.Unmarshal(o.report.Detail, &detail); err != nil {
		t.Fatal(err)
	}
	return detail.Sleep
}

// A tenant that its record shows to be current, and that nobody has used since, costs neither a call nor a connection,
// in both modes and with both kinds of records.
func TestSleepersAreLeftAsleep(t *testing.T) {
	sameClocks(t)
	for _, name := range []string{"migrate", "health-check"} {
		for _, kept := range []string{"report", "catalog"} {
			t.Run(name+" "+kept, func(t *testing.T) {
				t.Parallel()
				f := newFleet(t, named("a", "b", "c")...)
				inputs := []string{"mode=" + name, "leave-asleep=true", "compute-price=$0.106"}
				if kept == "report" {
					inputs = append(inputs, "previous-report=reports/last.jso[n]")
				} else {
					inputs = append(inputs, "catalog-url="+pgtest.Database(t))
				}
				f.run(t, t.Context(), "mode=migrate")
				first := f.run(t, t.Context(), inputs...)
				if first.err != nil {
					t.Fatal(first.log)
				}
				f.keep(t, "last", first)
				f.resolved()
				o := f.run(t, t.Context(), inputs...)
				o.counts(t, 0, 3, 0, 0)
				o.says(t, "3 tenants left asleep", "left asleep: 3 tenants, current by their record and not used since")
				if n := f.resolved(); n != 0 {
					t.Errorf("%d connection strings were asked for", n)
				}
				f.keep(t, "last", o)

				// One is used, and changed by hand; its record says so no more.
				f.Use(f.projects[1].ID, time.Now().Add(time.Hour))
				query(t, f.projects[1], "create index by_hand on users (name)")
				o = f.run(t, t.Context(), inputs...)
				if n := f.resolved(); n != 1 && name == "migrate" {
					t.Errorf("%d connection strings were asked for", n)
				}
				if name == "health-check" {
					o.says(t, "the schema differs from that of 2 others")
				} else {
					o.counts(t, 0, 3, 0, 0)
				}
				if s := slept(t, o); s.LeftAsleep != 2 || s.Reasons[records.InUse] != 1 {
					t.Errorf("the report says %+v", s)
				}
			})
		}
	}
}

// A file that was edited after it had been applied to sleepers is told of as it is of others: each tenant once.
func TestAnEditedFileOfSleepers(t *testing.T) {
	sameClocks(t)
	f := newRecorded(t, "a", "b")
	f.write(t, lateFile, "create table late (i bigint);")
	const previous = "previous-report=reports/*.json"
	f.keep(t, "2", f.run(t, t.Context(), previous))
	o := f.run(t, t.Context(), previous, "leave-asleep=true")
	o.counts(t, 0, 2, 0, 0)
	o.says(t, "2 tenants left asleep", "no longer what was applied: "+lateFile+" (2 tenants)")
	if n := strings.Count(o.reportText, `"changed_files"`); n != 2 {
		t.Errorf("%d tenants name the file: %s", n, o.reportText)
	}
	f.keep(t, "3", o)
	if r := recordOf(t, o, "a"); r.Applied == r.Files || len(setsOf(t, o)[r.Applied]) != 4 {
		t.Errorf("the record forgets what was applied: %+v", r)
	}
	o = f.run(t, t.Context(), previous, "leave-asleep=true", "dry-run=true")
	if strings.Contains(o.reportText, `"record"`) {
		t.Errorf("a dry run leaves records: %s", o.reportText)
	}
}

// What is said of computes is about the tenants that the run reached.
func TestSleepersOfLaterWaves(t *testing.T) {
	sameClocks(t)
	f := newFleet(t, named("a", "b", "c", "d")...)
	inputs := []string{"previous-report=reports/*.json", "leave-asleep=true"}
	o := f.run(t, t.Context(), append(inputs, "waves=3")...)
	o.counts(t, 3, 0, 0, 1)
	if s := slept(t, o); s.LeftAsleep != 0 || s.Reasons[records.NoRecord] != 3 {
		t.Errorf("the report says %+v", s)
	}
	f.keep(t, "1", o)
	o = f.run(t, t.Context(), append(inputs, "waves=1")...)
	o.counts(t, 0, 1, 0, 3)
	if s := slept(t, o); s.LeftAsleep != 1 || len(s.Reasons) != 0 {
		t.Errorf("the report says %+v", s)
	}
}

// A health check keeps how files were applied, unless it looked at another database.
func TestAHealthChecksRecordIsAboutOneDatabase(t *testing.T) {
	sameClocks(t)
	f, catalog := newFleet(t, named("Acme")...), catalogDatabase(t)
	record := "catalog-url=" + catalog
	applied := func() string {
		t.Helper()
		return askAll(t, catalog, "select coalesce(record->>'applied_sha256', '') from project")[0]
	}
	f.run(t, t.Context(), record)
	before := applied()
	o := f.run(t, t.Context(), record, "mode=health-check")
	if after := applied(); o.err != nil || before == "" || after != before {
		t.Errorf("%v: applied was %q and is %q", o.err, before, after)
	}
	o = f.run(t, t.Context(), record, "mode=health-check", "migrations-table=other", "fail-on=unreachable")
	if after := applied(); o.err != nil || after != "" {
		t.Errorf("%v: of another table is known %q", o.err, after)
	}
	o = f.run(t, t.Context(), record, "mode=health-check", "dry-run=true")
	if strings.Contains(o.reportText, `"record"`) {
		t.Errorf("a dry run leaves records: %s", o.reportText)
	}
}

// Inputs that cannot work are refused before any call.
func TestLeaveAsleepIsRefused(t *testing.T) {
	f := newFleet(t)
	for want, inputs := range map[string][]string{
		"leave-asleep: needs the records of earlier runs":         nil,
		"leave-asleep: this source does not know when":            {"tenant-source=secrets", "tenant-secrets={}"},
		`compute-price: "cheap" is not a price of one compute`:    {"compute-price=cheap", "previous-report=x"},
		`compute-price: "$1 EUR" is not a price of one compute h`: {"compute-price=$1 EUR", "previous-report=x"},
	} {
		o := f.run(t, t.Context(), append(inputs, "leave-asleep=true")...)
		o.says(t, want)
	}
	if n := f.Calls().Total; n > 0 {
		t.Errorf("there were %d calls", n)
	}
}
