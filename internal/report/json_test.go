package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestJSON(t *testing.T) {
	r := five()
	r.Results = append(r.Results, skipped(tenantNo(5), "not started: max-failures was reached"))
	r.Err = fleet.WithRemedy(errors.New("stopped"), "repair it")
	r.Warnings = []string{"a <warning>"}
	data, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", string(data))
}

// TestJSONComesBack writes and reads every fixture, and compares what came back.
func TestJSONComesBack(t *testing.T) {
	for name, run := range fixtures() {
		run = sample(run)
		data, err := JSON(run)
		if err != nil {
			t.Fatal(name, err)
		}
		file, err := Decode(data)
		if err != nil {
			t.Fatal(name, err)
		}
		back := file.Run()
		second, err := JSON(back)
		if err != nil {
			t.Fatal(name, err)
		}
		again, err := Decode(second)
		if err != nil {
			t.Fatal(name, err)
		}
		// Details are compared by meaning, because their indentation is not kept.
		sameJSON := cmp.Comparer(func(a, b json.RawMessage) bool {
			var x, y any
			return (a == nil) == (b == nil) &&
				(a == nil || json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y))
		})
		if diff := cmp.Diff(file, again, sameJSON); diff != "" {
			t.Errorf("%s (-first +second):\n%s", name, diff)
		}
		if name == "hostile" {
			continue // bytes that are not UTF-8 do not come back
		}
		back.ReportFile, back.SourceURL = run.ReportFile, run.SourceURL
		if diff := cmp.Diff(Summary(run), Summary(back)); diff != "" {
			t.Errorf("%s: another summary (-first +second):\n%s", name, diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	// A file that a run could have written, but for its end.
	const begun = `{"version":1,"mode":"migrate","source":"neon","started_at":"2026-03-14T09:26:53.589Z",`
	one := func(state, more string, succeeded, failed int) string {
		return fmt.Sprintf(
			`%s"totals":{"total":%d,"succeeded":%d,"failed":%d},"tenants":[{"name":"acme","state":%q%s}]}`,
			begun, succeeded+failed, succeeded, failed, state, more)
	}
	const three = "3 (3 succeeded, 0 unchanged, 0 failed, 0 skipped)"
	for data, want := range map[string]string{
		`{"version":2}`: "it has version 2; this release reads up to 1",
		`{}`:            "it has no version",
		`[]`:            "read a report file: json: cannot unmarshal",
		``:              "read a report file: unexpected end",
		begun:           "read a report file: unexpected end",
		`{"version":1}`: "it has no mode, so no run of this action wrote it",
		`{"version":1,"mode":"migrate","source":"neon"}`: "it has no started_at",
		`{"version":1,"error":{"message":"x"}}`:          "it has no started_at",
		begun + `"totals":{}}`:                           "it has no list of tenants",
		begun + `"tenants":null}`:                        "it has no list of tenants",
		begun + `"totals":{"total":3,"succeeded":3},"tenants":[]}`: "its totals are " + three +
			", and its tenants are 0 (",
		one("failed", `,"error":{"message":"x"}`, 1, 0): "its tenants are 1 (0 succeeded, 0 unchanged, 1 failed, 0 skipped)",
		one("succeeded", "", 0, 0):                      "its totals are 0 (",
		one("done", "", 1, 0): `tenant "acme" has the state "done", ` +
			"and the states are succeeded, unchanged, failed and skipped",
		one("", "", 1, 0):                                     `tenant "acme" has the state ""`,
		one("Succeeded", "", 1, 0):                            `tenant "acme" has the state "Succeeded"`,
		one("failed", "", 0, 1):                               `tenant "acme" is failed and has no error that says why`,
		one("succeeded", `,"error":{"message":"full"}`, 1, 0): `tenant "acme" is succeeded and has an error: full`,
		strings.Replace(one("succeeded", "", 1, 0), `:1,"fail`, `:2,"fail`, 1): "its totals are 1 (2 succeeded",
	} {
		if _, err := Decode([]byte(data)); err == nil || !strings.Contains(err.Error(), want) ||
			fleet.Remedy(err) == "" {
			t.Errorf("%s: %v, want %q", data, err, want)
		}
	}
	for _, data := range []string{
		one("succeeded", "", 1, 0), one("failed", `,"error":{"message":"x"}`, 0, 1), begun + `"tenants":[]}`,
		begun + `"tenants":[],"a_later_field":1}`,
		`{"version":1,"started_at":"2026-03-14T09:26:53.589Z","tenants":[],"error":{"message":"mode is required"}}`,
	} {
		if _, err := Decode([]byte(data)); err != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func TestJSONNamesTheTenantWhoseDetailFails(t *testing.T) {
	r := five()
	r.Results[3].Outcome.Detail = func() {}
	if _, err := JSON(r); err == nil || !strings.Contains(err.Error(), `tenant "umbrella"`) {
		t.Errorf("got %v", err)
	}
}

// TestEveryFieldIsDocumented compares the types with docs/report-file.md.
func TestEveryFieldIsDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "report-file.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{File{}, TenantEntry{}, FileError{}, Totals{}, Section{}, MergedRun{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.Contains(string(doc), "| `"+name+"` |") {
				t.Errorf("%T: %s is not documented", v, name)
			}
		}
	}
	_, example, _ := strings.Cut(string(doc), "```json\n")
	example, _, _ = strings.Cut(example, "```")
	decoder := json.NewDecoder(strings.NewReader(example))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&File{}); err != nil {
		t.Errorf("the example: %v", err)
	}
}
