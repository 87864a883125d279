package input

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTypedValues(t *testing.T) {
	workspace := t.TempDir()
	if err := os.Mkdir(filepath.Join(workspace, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := read(t, environment{
		"GITHUB_WORKSPACE": workspace, "INPUT_MODE": "m", "INPUT_TENANTS": " a, b\r\n# c, d\n\n  # e\n!f ,,\ng#h",
		"INPUT_DRY-RUN": "TRUE", "INPUT_CONCURRENCY": "1000", "INPUT_TIMEOUT": "1h30m", "INPUT_TENANT-KEY": "id",
		"INPUT_API-URL": "http://127.0.0.1:8080/api/v2",
	})
	got := []any{
		r.Required("mode"), r.List("tenants"), r.Bool("dry-run"), r.Bool("keep"),
		r.Int("concurrency", 1, 1000), r.Duration("timeout"),
		r.Choice("tenant-key", "name", "id"), r.URL("api-url").String(), r.Dir("path"), r.Path("report-file"),
	}
	want := []any{
		"m", []string{"a", "b", "!f", "g#h"}, true, true, 1000, 90 * time.Minute,
		"id", "http://127.0.0.1:8080/api/v2", filepath.Join(workspace, "db"), filepath.Join(workspace, "report.json"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}

	empty, err := New(&Definition{Inputs: []Field{{Name: "x"}}}, nil, environment{}.lookup)
	if err != nil {
		t.Fatal(err)
	}
	parsed := Parse(empty, "x", func(string) (int, error) { return 0, errors.New("an empty value is not parsed") })
	if n, d := empty.Int("x", 5, 9), empty.Duration("x"); parsed != 0 || n != 0 || d != 0 ||
		empty.Bool("x") || empty.Choice("x", "a") != "" || empty.URL("x") != nil || empty.Path("x") != "" ||
		empty.Dir("x") != "" || empty.List("x") != nil || empty.Err() != nil {
		t.Errorf("empty values are not zero: %v", empty.Err())
	}
}

func TestPaths(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ workspace, value, want string }{
		{"/ws", "db/migrations", "/ws/db/migrations"},
		{"/ws", "./db//migrations/", "/ws/db/migrations"},
		{"/ws", ".", "/ws"},
		{"/ws", "../outside", "/outside"},
		{"/ws", "/abs/../elsewhere/", "/elsewhere"},
		{"/ws", "a b/é", "/ws/a b/é"},
		{"", "db", filepath.Join(here, "db")},
	} {
		env := environment{"INPUT_PATH": test.value}
		if test.workspace != "" {
			env["GITHUB_WORKSPACE"] = test.workspace
		}
		if got := read(t, env).Path("path"); got != test.want {
			t.Errorf("%q in %q is %s, want %s", test.value, test.workspace, got, test.want)
		}
	}
}

// TestMistakes checks the text of every mistake: it names the input, the rule and the remedy.
func TestMistakes(t *testing.T) {
	workspace := t.TempDir()
	if err := os.WriteFile(filepath.Join(workspace, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		required    = "is required here and is empty; set it under with: in the workflow, or give --mode"
		notBool     = " is neither true nor false; write true or false"
		notInt      = " is not a whole number from 1 to 1000; write for example concurrency: 7"
		notDuration = " is not a positive duration; write for example 90s, 30m, 1h30m or 7d"
		notURL      = "is not an absolute https URL without credentials or query; " +
			"write for example api-url: https://host/path"
		noDir    = " in the workspace; add a step that uses actions/checkout before this one, or correct the path"
		noAccess = " cannot be read: file name too long; correct the path, or give the workflow's user read access"
	)
	mode := func(r *Reader) { r.Required("mode") }
	dryRun := func(r *Reader) { r.Bool("dry-run") }
	concurrency := func(r *Reader) { r.Int("concurrency", 1, 1000) }
	timeout := func(r *Reader) { r.Duration("timeout") }
	tenantKey := func(r *Reader) { r.Choice("tenant-key", "name", "id") }
	apiURL := func(r *Reader) { r.URL("api-url") }
	dir := func(r *Reader) { r.Dir("path") }
	nines, long := strings.Repeat("9", 30), strings.Repeat("x", 300)
	for _, test := range []struct {
		input, value string
		read         func(*Reader)
		want         string
	}{
		{"mode", "", mode, required},
		{"dry-run", "yes", dryRun, `"yes"` + notBool},
		{"dry-run", "1", dryRun, `"1"` + notBool},
		{"concurrency", "0", concurrency, `"0"` + notInt},
		{"concurrency", "1001", concurrency, `"1001"` + notInt},
		{"concurrency", "8.5", concurrency, `"8.5"` + notInt},
		{"concurrency", "eight", concurrency, `"eight"` + notInt},
		{"concurrency", nines, concurrency, `"` + nines + `"` + notInt},
		{"timeout", "30", timeout, `"30"` + notDuration},
		{"timeout", "0s", timeout, `"0s"` + notDuration},
		{"timeout", "-5m", timeout, `"-5m"` + notDuration},
		{"timeout", "d", timeout, `"d"` + notDuration},
		{"timeout", "1.5d", timeout, `"1.5d"` + notDuration},
		{"timeout", "-1d", timeout, `"-1d"` + notDuration},
		{"timeout", "0d", timeout, `"0d"` + notDuration},
		{"timeout", "7d-1h", timeout, `"7d-1h"` + notDuration},
		{"timeout", nines + "d", timeout, `"` + nines + `d"` + notDuration},
		{"tenant-key", "Size", tenantKey, `"Size" is not one of its values; write one of name, id`},
		{"api-url", "host/api", apiURL, notURL},
		{"api-url", "ftp://host", apiURL, notURL},
		{"api-url", "https://u:hunter2@host", apiURL, notURL},
		{"api-url", "https://host?key=hunter2", apiURL, notURL},
		{"api-url", "https://host#x", apiURL, notURL},
		{"api-url", "https://ho%zzst", apiURL, notURL},
		{"path", "none", dir, `there is no directory "none"` + noDir},
		{"path", "file", dir, `"file" is a file; name the directory that holds it`},
		{"path", "file/db", dir, `there is no directory "file/db"` + noDir},
		{"path", long, dir, `the directory "` + long + `"` + noAccess},
		{"tenants", "a", func(r *Reader) {
			Parse(r, "tenants", func(s string) (int, error) { return 1, errors.New("has no " + s) })
		}, "has no a"},
	} {
		r := read(t, environment{"GITHUB_WORKSPACE": workspace, "INPUT_" + strings.ToUpper(test.input): test.value})
		test.read(r)
		if err := r.Err(); err == nil || err.Error() != "input "+test.input+": "+test.want {
			t.Errorf("%s: %q:\n got %v\nwant input %s: %s", test.input, test.value, err, test.input, test.want)
		}
		var e *Error
		if !errors.As(r.Err(), &e) || len(e.Mistakes) != 1 {
			t.Errorf("%s: %q: %d mistakes, want 1", test.input, test.value, len(e.Mistakes))
		}
	}
}

// TestNumbersToCopy checks the number that a mistake shows. Somebody copies it, so it is never one that deletes much.
func TestNumbersToCopy(t *testing.T) {
	for _, test := range []struct {
		input, value string
		low, high    int
		want         string
	}{
		{"retention-days", "7d", 0, 36500, "7"},
		{"retention-days", "30 Days", 0, 36500, "30"},
		{"retention-days", "2w", 0, 36500, "7"},
		{"retention-days", "40000d", 0, 36500, "7"},
		{"retention-days", "week", 0, 36500, "7"},
		{"keep-daily", "-1", 0, 100000, "7"},
		{"keep-daily", "14d", 0, 100000, "14"},
		{"min-tenants", "many", 0, 1000000, "1"},
		{"s3-object-lock-days", "0", 1, 36500, "7"},
		{"role-duration-seconds", "1h", 900, 43200, "3600"},
		{"neon-pg-version", "13", 14, 18, "16"},
		{"pg-version", "25", 14, 18, "auto"},
		{"concurrency", "8.5", 1, 1000, "7"},
		{"compression-level", "best", 1, 19, "6"},
	} {
		r, err := New(load(t, real), nil, environment{"INPUT_" + strings.ToUpper(test.input): test.value}.lookup)
		if err != nil {
			t.Fatal(err)
		}
		r.Int(test.input, test.low, test.high)
		want := "; write for example " + test.input + ": " + test.want
		if err := r.Err(); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %s: %v, want …%s", test.input, test.value, err, want)
		}
	}
}

func TestMistakesComeTogether(t *testing.T) {
	r := read(t, environment{
		"GITHUB_WORKSPACE": t.TempDir(), "INPUT_API-KEY": "napi_secret", "INPUT_TIMEOUT": "soon",
		"INPUT_CONCURRENCY": "many", "INPUT_DRY-RUN": "perhaps",
	}, "--tenant-key", "size", "--keep", "yes")
	r.Secret("api-key")
	r.Dir("path")
	r.Bool("dry-run")
	r.Bool("keep")
	r.Required("mode")
	r.Choice("tenant-key", "name", "id")
	r.Mistake("mode", "%d is wrong", 5)
	if n, d := r.Int("concurrency", 1, 9), r.Duration("timeout"); n != 0 || d != 0 {
		t.Errorf("mistakes gave %d and %s", n, d)
	}
	want := `8 mistakes in the inputs:
  - path: there is no directory "db" in the workspace; ` +
		`add a step that uses actions/checkout before this one, or correct the path
  - dry-run: "perhaps" is neither true nor false; write true or false
  - keep: "yes" is neither true nor false; write true or false
  - mode: is required here and is empty; set it under with: in the workflow, or give --mode
  - tenant-key: "size" is not one of its values; write one of name, id
  - mode: 5 is wrong
  - concurrency: "many" is not a whole number from 1 to 9; write for example concurrency: 7
  - timeout: "soon" is not a positive duration; write for example 90s, 30m, 1h30m or 7d`
	if diff := cmp.Diff(want, r.Err().Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDefaultsOfTheAction reads every input of the action as a runner passes it if the workflow does not set it: the
// default, or an empty text if there is none.
func TestDefaultsOfTheAction(t *testing.T) {
	d := load(t, real)
	env := environment{}
	for _, f := range d.Inputs {
		env[variables(f.Name)[0]] = f.Default
	}
	r, err := New(d, nil, env.lookup)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range d.Inputs {
		if r.String(f.Name) != f.Default || r.Optional(f.Name) != f.Default || r.Given(f.Name) {
			t.Errorf("%s: %q, %q, given %v; want the default %q", f.Name, r.String(f.Name), r.Optional(f.Name),
				r.Given(f.Name), f.Default)
		}
		if f.Bool() {
			r.Bool(f.Name)
		}
	}
	if err := r.Err(); err != nil || r.Unused() != nil {
		t.Errorf("%v, unused %v", err, r.Unused())
	}
}

// What is chosen in another letter case is used and shown as it is written in the list.
func TestChoiceInAnyLetterCase(t *testing.T) {
	for _, value := range []string{"id", "ID", " Id\n"} {
		r := read(t, environment{"INPUT_TENANT-KEY": value})
		if got := r.Choice("tenant-key", "name", "id"); got != "id" || r.String("tenant-key") != "id" || r.Err() != nil {
			t.Errorf("%q: %q, %q, %v", value, got, r.String("tenant-key"), r.Err())
		}
	}
	r := read(t, environment{"INPUT_TENANT-KEY": "NAME"})
	if r.Choice("tenant-key", "name", "id") != "name" || r.Given("tenant-key") {
		t.Error("the default in another letter case is given")
	}
}

func FuzzList(f *testing.F) {
	for _, seed := range []string{"a,b", "# a,b\nc", " \r\n,", "a\u00a0, #b", "\xff,\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := List(text)
		for _, entry := range list {
			if entry == "" || entry != strings.TrimSpace(entry) || strings.ContainsAny(entry, ",\n") ||
				!strings.Contains(text, entry) {
				t.Errorf("%q gives the entry %q", text, entry)
			}
		}
		var again []string
		for _, entry := range list {
			if !strings.HasPrefix(entry, "#") { // "a, #b" gives an entry with a hash that begins no comment
				again = append(again, entry)
			}
		}
		if diff := cmp.Diff(again, List(strings.Join(again, "\n"))); diff != "" {
			t.Errorf("%q read again (-want +got):\n%s", text, diff)
		}
	})
}

func FuzzReader(f *testing.F) {
	d := load(f, small)
	workspace := f.TempDir()
	f.Add("true", "--mode", "migrate")
	f.Add("1h", "--dry-run", "false")
	f.Add("https://u:p@h/?q#f", "--=x", "-")
	f.Add("\x00\xff", "---", "--help")
	f.Fuzz(func(t *testing.T, value, arg1, arg2 string) {
		const secret = "napi_0123456789abcdef"
		env := environment{"GITHUB_WORKSPACE": workspace}
		for _, field := range d.Inputs {
			env[variables(field.Name)[0]] = value
		}
		env["INPUT_API-KEY"] = secret
		r, err := New(d, []string{arg1, arg2}, env.lookup)
		if err != nil {
			return // help was asked for
		}
		r.Required("mode")
		r.List("tenants")
		r.Secret("api-key")
		r.Bool("dry-run")
		r.Bool("keep")
		if n := r.Int("concurrency", 3, 9); n != 0 && (n < 3 || n > 9) {
			t.Errorf("%q is read as %d", value, n)
		}
		if d := r.Duration("timeout"); d < 0 {
			t.Errorf("%q is read as %s", value, d)
		}
		r.Choice("tenant-key", "name", "id")
		if u := r.URL("api-url"); u != nil && (u.User != nil || u.RawQuery != "" || u.Host == "") {
			t.Errorf("%q is read as %s", value, u.Redacted())
		}
		r.Dir("path")
		if p := r.Path("report-file"); p != "" && !filepath.IsAbs(p) {
			t.Errorf("%q is read as the path %q", value, p)
		}
		r.Unused()
		if err := r.Err(); err != nil && strings.Contains(err.Error(), secret) &&
			!strings.Contains(value+arg1+arg2, secret) {
			t.Errorf("a mistake holds the secret: %v", err)
		}
	})
}

func TestDurationsMayHaveDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0d5m": 5 * time.Minute,
		"30d1h2m3s": 721*time.Hour + 2*time.Minute + 3*time.Second,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
}
