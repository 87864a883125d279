package report

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestOutputs(t *testing.T) {
	want := []Output{
		{"total", "5"}, {"succeeded", "3"}, {"unchanged", "1"}, {"failed", "1"}, {"skipped", "0"},
		{"failed-tenants", `["globex"]`}, {"report-file", "neon-tenants-report.json"},
	}
	if diff := cmp.Diff(want, Outputs(five())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Outputs(Run{})[5]; got.Value != "[]" {
		t.Errorf("with no failures, %s is %q", got.Name, got.Value)
	}
}

// A list that no step could be given is left out, with a warning that says what to do. A run that is given it in an
// empty text refuses that.
func TestFailedTenantsAreBounded(t *testing.T) {
	const name = 100
	fits := (MaxOutput - len("[]") + 1) / (name + len(`"",`))
	for count, want := range map[int]string{
		fits: "",
		fits + 1: "the output failed-tenants is not set: the names of 1263 failed tenants take 130.1 kB, more than the " +
			"130 kB that a later step can be given; the report file lists them",
	} {
		r := Run{ReportFile: "report.json"}
		for range count {
			tenant := fleet.Tenant{Name: strings.Repeat("x", name)}
			r.Results = append(r.Results, fleet.Result{Tenant: tenant, State: fleet.Failed})
		}
		set := slices.ContainsFunc(Outputs(r), func(o Output) bool { return o.Name == "failed-tenants" })
		if set != (want == "") || !strings.HasPrefix(Unset(r), want) || (want == "") != (Unset(r) == "") {
			t.Errorf("%d failed tenants: set %t, %q", count, set, Unset(r))
		}
		r.ReportFile = ""
		if text := Unset(r); want != "" && !strings.Contains(text, "set report-file") {
			t.Errorf("without a report file: %q", text)
		}
	}
}

func TestAppendFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "output")
	if err := os.WriteFile(path, []byte("earlier=1"), 0o600); err != nil {
		t.Fatal(err)
	}
	outputs := append(Outputs(hostile()), Output{"TWO_LINES", "a\nb<<c\nfake=1\n"})
	if err := AppendFile(path, outputs[:3]); err != nil {
		t.Fatal(err)
	}
	if err := AppendFile(path, outputs[3:]); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := parseOutputs(string(data))
	if !ok {
		t.Fatalf("the runner refuses the file:\n%s", data)
	}
	if diff := cmp.Diff(append([]Output{{"earlier", "1"}}, outputs...), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	delimiters := map[string]bool{}
	for _, d := range regexp.MustCompile(`(?m)<<(ghadelimiter_[0-9a-f]{32})$`).FindAllStringSubmatch(string(data), -1) {
		delimiters[d[1]] = true
	}
	if len(delimiters) != len(outputs) {
		t.Errorf("%d outputs have %d delimiters", len(outputs), len(delimiters))
	}
}

func TestAppendFileRefusesNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "output")
	for _, name := range []string{"", "a b", "a=b", "a<<b", "a\nb", "1a", "-a", "ä"} {
		err := AppendFile(path, []Output{{"good", "1"}, {name, "x"}})
		if err == nil || !strings.Contains(err.Error(), "is not a valid output name") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
	if err := AppendFile(filepath.Join(path, "no", "such"), nil); err == nil {
		t.Error("a file that can't be opened is no error")
	}
}

// FuzzOutputs proves that a value comes back unchanged and adds no other output.
func FuzzOutputs(f *testing.F) {
	for _, name := range hostileNames {
		f.Add(name)
	}
	f.Add("ghadelimiter_\nx=1")
	f.Add("\n\n")
	f.Fuzz(func(t *testing.T, value string) {
		want := []Output{{"first", value}, {"last", "end"}}
		text, err := outputText(want)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := parseOutputs(text)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%v (-want +got):\n%s", ok, diff)
		}
	})
}
