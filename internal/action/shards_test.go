package action

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// splitFleet lists a fleet of its own, and returns its shards.
func splitFleet(t *testing.T, shards int) (f *organisation, list []string) {
	t.Helper()
	f = newFleet(t, named("Acme", "Globex", "Hooli", "Initech", "Umbrella", "Wonka")...)
	f.ResetCalls()
	o := f.run(t, t.Context(), "mode=list-tenants", fmt.Sprintf("shards=%d", shards), "neon-api-key="+neontest.OrgKey)
	o.counts(t, 0, 6, 0, 0)
	if o.err != nil {
		t.Fatalf("%v\n%s", o.err, o.log)
	}
	for _, p := range f.projects {
		if n := f.Calls().ByProject[p.ID]; len(n) > 0 {
			t.Errorf("listing asked for %s: %v", p.Name, n)
		}
	}
	var tenants []fleet.Tenant
	if err := json.Unmarshal([]byte(o.outputs["tenants"]), &tenants); err != nil || len(tenants) != 6 ||
		tenants[0] != (fleet.Tenant{Name: "Acme", ID: f.projects[0].ID, Key: "acme"}) {
		t.Errorf("tenants: %s, %v", o.outputs["tenants"], err)
	}
	var matrix struct{ Shard []string }
	if err := json.Unmarshal([]byte(o.outputs["matrix"]), &matrix); err != nil || len(matrix.Shard) != shards {
		t.Errorf("matrix: %s, %v", o.outputs["matrix"], err)
	}
	if !strings.Contains(o.summary, "| Acme |") && !strings.Contains(o.summary, "Acme") ||
		!strings.Contains(o.summary, f.projects[0].ID) {
		t.Errorf("the summary has no table of tenants:\n%s", o.summary)
	}
	return f, matrix.Shard
}

// merge runs mode report, without anything that leads to Neon.
func (f *organisation) merge(t *testing.T, inputs ...string) outcome {
	t.Helper()
	return f.run(t, t.Context(),
		append([]string{"mode=report", "neon-api-url=", "neon-api-key=", "report-files=reports/**/*.json"}, inputs...)...)
}

func TestASplitFleetHasOneReport(t *testing.T) {
	f, shards := splitFleet(t, 3)
	query(t, f.projects[2], "create table users (by_hand text)")
	migrate := func(i int, failed int) {
		t.Helper()
		file := filepath.Join(f.workspace, "reports", fmt.Sprint(i), "neon-tenants-report.json")
		o := f.run(t, t.Context(), "shard="+shards[i], "report-file="+file)
		if o.outputs["failed"] != fmt.Sprint(failed) {
			t.Errorf("shard %s: %s failed, want %d", shards[i], o.outputs["failed"], failed)
		}
	}
	hooli := 0
	for i, shard := range shards {
		s, err := fleet.ParseShard(shard)
		if err != nil {
			t.Fatal(err)
		}
		failed := 0
		if s.Has(fleet.Tenant{ID: f.projects[2].ID}) {
			hooli, failed = i, 1
		}
		migrate(i, failed)
	}

	f.ResetCalls()
	o := f.merge(t)
	o.counts(t, 5, 0, 1, 0)
	if o.err == nil || o.outputs["failed-tenants"] != `["Hooli"]` || o.report.Mode != "migrate" ||
		len(o.report.Merged) != 3 || o.report.Shard != "" || o.report.Error != nil {
		t.Errorf("%v, %v, %+v", o.err, o.outputs, o.report)
	}
	o.says(t, "::error file=db/migrations/20250101090000_create_users.sql,line=6::Hooli: ", "Merged reports\n",
		"migrate: 1 of 6 tenants failed (5 succeeded)")
	if f.Calls().Total != 0 {
		t.Errorf("%d calls were made", f.Calls().Total)
	}
	if !strings.Contains(o.summary, "### Merged reports") || !strings.Contains(o.summary, "42P07") {
		t.Errorf("the summary is\n%s", o.summary)
	}

	t.Run("the job is run again", func(t *testing.T) {
		query(t, f.projects[2], "drop table users")
		file := filepath.Join(f.workspace, "reports", "again", "neon-tenants-report.json")
		if o := f.run(t, t.Context(), "shard="+shards[hooli], "report-file="+file); o.err != nil {
			t.Fatal(o.log)
		}
		o := f.merge(t)
		if o.err != nil || o.outputs["failed"] != "0" || o.outputs["total"] != "6" {
			t.Errorf("%v, %v\n%s", o.err, o.outputs, o.log)
		}
		o.says(t, "more than one report file: the run that started last counts", "superseded by a later run")
	})
	t.Run("a job left no report", func(t *testing.T) {
		o := f.merge(t, "report-files=reports/0/*.json,reports/1/*.json")
		if o.err == nil || o.report.Error == nil ||
			!strings.Contains(o.report.Error.Message, "there is no report for shard 3/3") {
			t.Errorf("%v, %+v", o.err, o.report.Error)
		}
	})
	t.Run("a merged report among them", func(t *testing.T) {
		file := filepath.Join(f.workspace, "reports", "all.json")
		f.merge(t, "report-file="+file)
		o := f.merge(t)
		if o.err != nil || o.outputs["total"] != "6" || len(o.report.Merged) != 4 {
			t.Errorf("%v, %v", o.err, o.outputs)
		}
		o.says(t, "reports/all.json is a merged report itself and was left out")
		f.merge(t, "report-files=reports/all.json").says(t,
			"report-files matches merged reports only, such as reports/all.json")
	})
}

// Health checks whose details cannot be compared, as another release may write them, are merged all the same.
func TestHealthChecksThatCannotBeCompared(t *testing.T) {
	f := newFleet(t, named("Acme", "Globex")...)
	file := filepath.Join(f.workspace, "reports", "whole.json")
	f.run(t, t.Context(), "mode=health-check", "fail-on=none", "report-file="+file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.ReplaceAll(string(text), `"fingerprint_version": 2`, `"fingerprint_version": "two"`)
	if other == string(text) {
		t.Fatalf("nothing was changed in\n%s", text)
	}
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	o := f.merge(t)
	o.counts(t, 2, 0, 0, 0)
	if o.err == nil || len(o.report.Merged) != 1 {
		t.Errorf("%v, %+v", o.err, o.report.Merged)
	}
	o.says(t, "the shards are merged, but not compared with each other", "use the same release of the action in all jobs")
}

// What no run of the action writes is no evidence that all went well: each such file fails the run and is named. Whole
// ones beside it are merged all the same.
func TestAReportThatNoRunWroteIsRefused(t *testing.T) {
	f := newFleet(t, named("Acme", "Globex")...)
	whole := filepath.Join(f.workspace, "reports", "whole.json")
	if o := f.run(t, t.Context(), "shard=1/1", "report-file="+whole); o.err != nil {
		t.Fatal(o.log)
	}
	f.merge(t).counts(t, 2, 0, 0, 0)
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(old, with string) string { return strings.Replace(string(data), old, with, 1) }
	for name, c := range map[string]struct{ text, want string }{
		"bare":  {`{"version":1}`, "it has no mode, so no run of this action wrote it"},
		"cut":   {string(data[:len(data)/2]), "unexpected end of JSON input"},
		"empty": {"", "unexpected end of JSON input"},
		"no tenants": {`{"version":1,"mode":"migrate","started_at":"2026-03-14T09:26:53Z"}`,
			"it has no list of tenants"},
		"state": {changed(`"state": "succeeded"`, `"state": "done"`),
			`tenant "Acme" has the state "done", and the states are succeeded,`},
		"failed": {changed(`"state": "succeeded"`, `"state": "failed"`), `tenant "Acme" is failed and has no error`},
		"totals": {changed(`"succeeded": 2`, `"succeeded": 3`),
			"its totals are 2 (3 succeeded, 0 unchanged, 0 failed, 0 skipped), and its tenants are 2 (2 succeeded,"},
		"total": {changed(`"total": 2`, `"total": 3`), "its totals are 3 ("},
		"newer": {changed(`"version": 1`, `"version": 2`), "it has version 2; this release reads up to 1"},
	} {
		file := filepath.Join(f.workspace, "reports", name+".json")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, files := range []string{"reports/*.json", "reports/" + name + ".json"} {
			o := f.merge(t, "report-files="+files)
			o.says(t, "reports/"+name+".json: read a report file: "+c.want, "what to do: ")
			merged := "0"
			if files == "reports/*.json" {
				merged = "2" // the whole one's tenants are worth knowing
			}
			if o.err == nil || o.outputs["succeeded"] != merged {
				t.Errorf("%s: %v, %v", name, o.err, o.outputs)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range []string{"", "{}"} { // all of them at once
		file := filepath.Join(f.workspace, "reports", fmt.Sprint(i)+".json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.merge(t).says(t, "reports/0.json: ", "reports/1.json: ")
}

func TestMistakesOfTheJobsAroundASplit(t *testing.T) {
	f := newFleet(t, named("Acme")...)
	if err := os.WriteFile(filepath.Join(f.workspace, "other.json"), []byte(`{"name":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		inputs []string
		want   string
	}{
		{[]string{"mode=list-tenants", "shards=0"}, "input shards: "},
		{[]string{"mode=list-tenants", "shards=257"}, "input shards: "},
		{[]string{"mode=list-tenants", "shard=1/2"}, "input shard: contradicts mode list-tenants"},
		{[]string{"mode=report"}, "input report-files: is required here and is empty"},
		{[]string{"mode=report", "report-files=reports/*.json"},
			`input report-files: "reports/*.json" matches no file in the workspace`},
		{[]string{"mode=report", "report-files=*.json"}, "other.json: read a report file: it has no version"},
		{[]string{"mode=report", "report-files=*.json", "tenants=a*"}, "input tenants has no effect in mode report"},
	} {
		f.ResetCalls()
		o := f.run(t, t.Context(), c.inputs...)
		o.says(t, c.want)
		if o.err == nil || f.Calls().Total != 0 {
			t.Errorf("%v: ended with %v after %d calls", c.inputs, o.err, f.Calls().Total)
		}
	}
}
