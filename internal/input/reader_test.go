package input

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// load parses an action.yml.
func load(tb testing.TB, path string) *Definition {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	d, err := ParseDefinition(data)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

const small, real = "testdata/action.yml", "../../action.yml"

// environment looks up variables as os.LookupEnv does.
type environment map[string]string

func (e environment) lookup(name string) (string, bool) {
	v, ok := e[name]
	return v, ok
}

// read returns a reader of the small definition.
func read(tb testing.TB, env environment, args ...string) *Reader {
	tb.Helper()
	r, err := New(load(tb, small), args, env.lookup)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestParseDefinition(t *testing.T) {
	d := load(t, small)
	if d.Name != "Small" || d.Description != "Does little." {
		t.Errorf("%q: %q", d.Name, d.Description)
	}
	var got []string
	for _, f := range d.Inputs {
		got = append(got, f.Name+"="+f.Default)
	}
	want := []string{
		"mode=", "tenants=*", "api-key=", "dry-run=false", "keep=true", "concurrency=", "timeout=30m",
		"tenant-key=name",
		"api-url=https://host/api", "path=db", "report-file=report.json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Field{{Name: "total", Description: "Number of tenants."}}, d.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	for name, isSwitch := range map[string]bool{"mode": false, "dry-run": true, "keep": true, "timeout": false} {
		if f, ok := d.Input(name); !ok || f.Bool() != isSwitch {
			t.Errorf("%s: declared %v, a switch %v", name, ok, f.Bool())
		}
	}
	if f, ok := d.Input("none"); ok {
		t.Errorf("none is %v", f)
	}
	for _, text := range []string{"a: b: c", "inputs:\n  mode: [a]\n", "outputs:\n  total: text\n", "name: [a]"} {
		if _, err := ParseDefinition([]byte(text)); err == nil ||
			!strings.HasPrefix(err.Error(), "parse action.yml: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWhereValuesComeFrom(t *testing.T) {
	for _, test := range []struct {
		name             string
		env              environment
		args             []string
		input            string
		value, orNothing string // of String and Optional
		given            bool
	}{
		{"the default", nil, nil, "report-file", "report.json", "report.json", false},
		{"no default", nil, nil, "mode", "", "", false},
		{"an empty variable", environment{"INPUT_REPORT-FILE": ""}, nil, "report-file", "report.json", "", false},
		{"a blank variable", environment{"INPUT_REPORT-FILE": " \n"}, nil, "report-file", "report.json", "", false},
		{"an empty flag", nil, []string{"--report-file="}, "report-file", "report.json", "", false},
		{"an empty flag over a variable", environment{"INPUT_REPORT-FILE": "a"}, []string{"--report-file", ""},
			"report-file", "report.json", "", false},
		{"a variable", environment{"INPUT_REPORT-FILE": " a b\n"}, nil, "report-file", "a b", "a b", true},
		{"a variable that repeats the default", environment{"INPUT_REPORT-FILE": "report.json"}, nil, "report-file",
			"report.json", "report.json", false},
		{"a variable with underscores", environment{"INPUT_REPORT_FILE": "a"}, nil, "report-file", "a", "a", true},
		{"this program's own variable", environment{"NEON_TENANTS_REPORT_FILE": "a"}, nil, "report-file", "a", "a", true},
		{"its own variable, empty", environment{"NEON_TENANTS_REPORT_FILE": ""}, nil, "report-file", "report.json", "",
			false},
		{"its own variable with hyphens is another's", environment{"NEON_TENANTS_REPORT-FILE": "a"}, nil, "report-file",
			"report.json", "report.json", false},
		{"the runner's default gives way", environment{"INPUT_REPORT-FILE": "report.json", "NEON_TENANTS_REPORT_FILE": "a"},
			nil, "report-file", "a", "a", true},
		{"the runner's empty text gives way", environment{"INPUT_API-KEY": "", "NEON_TENANTS_API_KEY": "a"}, nil, "api-key",
			"a", "a", true},
		{"variables that agree", environment{"INPUT_API-KEY": "a", "INPUT_API_KEY": " a", "NEON_TENANTS_API_KEY": "a\n"}, nil,
			"api-key", "a", "a", true},
		{"an empty one does not count", environment{"INPUT_API_KEY": "a", "NEON_TENANTS_API_KEY": " "}, nil, "api-key", "a",
			"a", true},
		{"a flag over variables that differ", environment{"INPUT_API_KEY": "a", "NEON_TENANTS_API_KEY": "b"},
			[]string{"--api-key=c"}, "api-key", "c", "c", true},
		{"a variable in lower case is another's", environment{"INPUT_report-file": "a"}, nil, "report-file",
			"report.json", "report.json", false},
		{"a flag", nil, []string{"--report-file", "a"}, "report-file", "a", "a", true},
		{"a flag with one hyphen", nil, []string{"-report-file=a"}, "report-file", "a", "a", true},
		{"a flag over a variable", environment{"INPUT_MODE": "a"}, []string{"--mode", "b"}, "mode", "b", "b", true},
		{"the last flag", nil, []string{"--mode", "a", "--mode", "b"}, "mode", "b", "b", true},
		{"a value that begins with hyphens", nil, []string{"--mode", "--tenants"}, "mode", "--tenants", "--tenants",
			true},
		{"a switch", nil, []string{"--dry-run", "--mode", "a"}, "dry-run", "true", "true", true},
		{"a switch with its value", nil, []string{"--keep=false"}, "keep", "false", "false", true},
		{"a switch before its value", nil, []string{"--keep", "False", "--mode", "a"}, "keep", "False", "False", true},
		{"a flag behind a switch's value", nil, []string{"--keep", "false", "-dry-run", "true", "--mode", "a"}, "mode", "a",
			"a", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := read(t, test.env, test.args...)
			value, orNothing := r.String(test.input), r.Optional(test.input)
			if value != test.value || orNothing != test.orNothing {
				t.Errorf("String %q, want %q; Optional %q, want %q", value, test.value, orNothing, test.orNothing)
			}
			if got := r.Given(test.input); got != test.given {
				t.Errorf("Given %v, want %v", got, test.given)
			}
			if err := r.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestGuard reads a guarded input as a runner and a shell pass it: left out, with a value, or given and empty.
func TestGuard(t *testing.T) {
	const mistake = "input tenants: is given and is empty, as an expression that finds nothing is; " +
		"correct the expression, or leave the input out, which means *"
	for _, test := range []struct {
		name       string
		env        environment
		args       []string
		text, want string // of Text; the error
	}{
		{"left out in a shell", nil, nil, "*", ""},
		{"left out in a workflow", environment{"INPUT_TENANTS": "*"}, nil, "*", ""},
		{"a value", environment{"INPUT_TENANTS": " a\n"}, nil, " a\n", ""},
		{"a flag over an empty variable", environment{"INPUT_TENANTS": ""}, []string{"--tenants", "a "}, "a ", ""},
		{"empty", environment{"INPUT_TENANTS": ""}, nil, "*", mistake},
		{"blank", environment{"INPUT_TENANTS": " \t\r\n"}, nil, "*", mistake},
		{"an empty flag", nil, []string{"--tenants="}, "*", mistake},
		{"blank beside another's value", environment{"INPUT_TENANTS": " ", "NEON_TENANTS_TENANTS": "acme"}, nil, "acme",
			"input tenants: INPUT_TENANTS is empty, as an expression that finds nothing is, and another variable has a " +
				"value; correct the expression, or unset INPUT_TENANTS"},
		{"an empty flag over a variable", environment{"INPUT_TENANTS": "a"}, []string{"--tenants", " "}, "*", mistake},
		{"another input", environment{"INPUT_TIMEOUT": ""}, nil, "*", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := read(t, test.env, test.args...)
			r.Guard("tenants", "dry-run")
			if got := r.Text("tenants"); got != test.text {
				t.Errorf("Text is %q, want %q", got, test.text)
			}
			r.Given("tenants")
			r.String("timeout")
			text := ""
			if err := r.Err(); err != nil {
				text = err.Error()
			}
			if text != test.want {
				t.Errorf("%s, want %s", text, test.want)
			}
		})
	}
	unread := read(t, environment{"INPUT_TENANTS": "", "INPUT_DRY-RUN": " "})
	unread.Guard("tenants", "dry-run")
	if unread.String("mode"); unread.Err() != nil || unread.Unused() != nil {
		t.Errorf("%v, %v", unread.Err(), unread.Unused())
	}
	if unread.Bool("dry-run") || unread.Err() == nil {
		t.Error("an empty dry-run is taken")
	}
}

func TestCommandLineMistakes(t *testing.T) {
	const (
		secret  = "napi_secret"
		stray   = "belongs to no input; "
		follows = "and its value " + stray + "put a value that has blanks in quotes, and give inputs as --name value"
	)
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown", []string{"--no-such", "a"}, "command line: there is no input --no-such; --help lists the inputs"},
		{"nearly known", []string{"--tenant", "a"},
			"command line: there is no input --tenant; did you mean --tenants?"},
		{"unknown, with a value", []string{"--token=" + secret},
			"command line: there is no input --token; --help lists the inputs"},
		{"without a value", []string{"--mode"},
			"command line: --mode is the last argument and lacks its value; --help lists the inputs"},
		{"no name", []string{"--=" + secret},
			"command line: an argument that begins with a hyphen is not of the form --name; --help lists the inputs"},
		{"a mode without its flag", []string{"migrate", "--dry-run"},
			`command line: "migrate" ` + stray + "give inputs as --name value, the mode too: --mode migrate"},
		{"a blank in a value", []string{"--tenants", "ACME", "Corp"}, "command line: what follows --tenants " + follows},
		{"a blank behind the =", []string{"--mode", "a", "--api-key=", secret, "--tenants", "b"},
			"command line: what follows --api-key " + follows},
		{"two values of a switch", []string{"--dry-run", "true", "false"},
			"command line: what follows --dry-run " + follows},
		{"a switch as a value", []string{"--api-key", "--dry-run", secret},
			"command line: what follows --api-key " + follows},
		{"the end of the flags", []string{"--dry-run", "--", "true"}, "command line: what follows --dry-run " + follows},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := read(t, nil, test.args...)
			r.Required("api-key") // only seems to be missing
			err := r.Err()
			if err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

func TestUnused(t *testing.T) {
	r := read(t, environment{"INPUT_TENANTS": "*", "INPUT_API-KEY": "k", "INPUT_TIMEOUT": "",
		"NEON_TENANTS_TIMEOUT": "5m", "NEON_TENANTS_PATH": "y"}, // which may be there for other runs
		"--dry-run", "--path", "x", "--mode", "m")
	r.String("mode")
	if diff := cmp.Diff([]string{"api-key", "dry-run", "path"}, r.Unused()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Secret("api-key")
	r.Bool("dry-run")
	r.Path("path")
	if unused := r.Unused(); unused != nil {
		t.Errorf("unused: %v", unused)
	}
}

func TestSecrets(t *testing.T) {
	r := read(t, environment{"INPUT_API-KEY": " napi_secret\n", "INPUT_MODE": ""})
	if got := r.Secret("api-key"); got != "napi_secret" {
		t.Errorf("%q", got)
	}
	r.Required("mode")
	if s := r.Secrets(); len(s) != 1 || s[0].Reveal() != "napi_secret" {
		t.Errorf("%d secrets", len(s))
	}
	if err := r.Err(); err == nil || strings.Contains(err.Error(), "napi_secret") {
		t.Errorf("%v", err)
	}
	r = read(t, nil)
	r.Secret("api-key")
	if len(r.Secrets()) != 0 {
		t.Error("an empty text is a secret")
	}
	want := "input api-key: is required here and is empty; " +
		"store it as a secret and pass api-key: ${{ secrets.API_KEY }} " +
		"(a secret that does not exist is an empty text, and so is every secret in a workflow started from a fork), " +
		"or from a shell, set NEON_TENANTS_API_KEY"
	if err := r.Err(); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestUndeclaredInputPanics(t *testing.T) {
	defer func() {
		if got := recover(); got != "input none is not declared in action.yml" {
			t.Errorf("recovered %v", got)
		}
	}()
	read(t, nil).String("none")
}

func TestGuardOfAnInputWithoutADefaultPanics(t *testing.T) {
	defer func() {
		if got := recover(); got != "input mode has no default in action.yml" {
			t.Errorf("recovered %v", got)
		}
	}()
	read(t, nil).Guard("tenants", "mode")
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-help", "-h"} {
		_, err := New(load(t, small), []string{"--mode", "a", arg}, environment{}.lookup)
		if !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v", arg, err)
		}
	}
	var b bytes.Buffer
	load(t, small).Help(&b, []string{"backup", "migrate"})
	golden := filepath.Join("testdata", "help.golden")
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHelpOfTheAction(t *testing.T) {
	d := load(t, real)
	var b bytes.Buffer
	d.Help(&b, []string{"migrate"})
	for _, f := range d.Inputs {
		if !strings.Contains(b.String(), "\n  --"+f.Name+"\n") &&
			!strings.Contains(b.String(), "\n  --"+f.Name+" (default "+f.Default+")\n") {
			t.Errorf("%s is not in the help", f.Name)
		}
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(line); n > 101 && strings.Contains(strings.TrimSpace(line), " ") &&
			strings.HasPrefix(line, "    ") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
