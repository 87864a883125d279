package input

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readFiles reads an input of globs in a workspace that holds the given files.
func readFiles(t *testing.T, workspace, value string) (names []string, mistake string) {
	t.Helper()
	def, err := ParseDefinition([]byte("inputs:\n  files: {description: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"INPUT_FILES": value, "GITHUB_WORKSPACE": workspace}
	in, err := New(def, nil, func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range in.Files("files") {
		names = append(names, f.Name)
		if _, err := os.Stat(f.Path); err != nil {
			t.Error(err)
		}
	}
	if err := in.Err(); err != nil {
		mistake = err.Error()
	}
	return names, mistake
}

func TestFiles(t *testing.T) {
	workspace := filepath.Join(t.TempDir(), "work[1]*")
	for _, name := range []string{"a.json", "b.txt", "reports/1/r.json", "reports/2/r.json", "reports/2/deep/er/r.json",
		"reports/r.json", "odd/[x].json"} {
		file := filepath.Join(workspace, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ globs, want, mistake string }{
		{globs: "a.json", want: "a.json"},
		{globs: "*.json", want: "a.json"},
		{globs: "./reports/*/r.json", want: "reports/1/r.json reports/2/r.json"},
		{globs: "reports/**/*.json", want: "reports/1/r.json reports/2/deep/er/r.json reports/2/r.json reports/r.json"},
		{globs: "reports/**", want: "reports/1/r.json reports/2/deep/er/r.json reports/2/r.json reports/r.json"},
		{globs: "**/deep/**/r.json", want: "reports/2/deep/er/r.json"},
		{globs: "reports/[2-9]/r.json, a.json\nreports/2/?.json", want: "a.json reports/2/r.json"},
		{globs: `odd/\[x\].json`, want: "odd/[x].json"},
		{globs: "nowhere/../b.*", want: "b.txt"},
		{globs: "reports", mistake: `"reports" matches no file in the workspace`},
		{globs: "a.json,nothing/*.json", want: "a.json", mistake: `"nothing/*.json" matches no file`},
		{globs: "a.json/*", mistake: "matches no file"},
		{globs: "[", mistake: `"[" is not a valid glob`},
		{globs: ""},
	} {
		names, mistake := readFiles(t, workspace, c.globs)
		if diff := cmp.Diff(strings.Fields(c.want), names); diff != "" && c.want+strings.Join(names, "") != "" {
			t.Errorf("%q (-want +got):\n%s", c.globs, diff)
		}
		if (mistake == "") != (c.mistake == "") || !strings.Contains(mistake, c.mistake) {
			t.Errorf("%q: %s, want %s", c.globs, mistake, c.mistake)
		}
	}
	t.Run("elsewhere", func(t *testing.T) {
		names, mistake := readFiles(t, t.TempDir(),
			strings.NewReplacer("[", `\[`, "*", `\*`).Replace(workspace)+"/*.json")
		if want := []string{filepath.Join(workspace, "a.json")}; cmp.Diff(want, names) != "" {
			t.Errorf("got %v, %s", names, mistake)
		}
	})
}

// FuzzMatches checks that a path matches itself and **, and that no glob hangs or panics.
func FuzzMatches(f *testing.F) {
	f.Add("a/b.json", "a/**/*.json")
	f.Add("reports/1/r", "**/[a-")
	f.Fuzz(func(t *testing.T, name, glob string) {
		if name == "" || len(name)+len(glob) > 60 || path.Clean(name) != name {
			return
		}
		names := strings.Split(name, "/")
		matches(strings.Split(glob, "/"), names)
		if !matches([]string{"**"}, names) {
			t.Errorf("** does not match %q", name)
		}
		if strings.ContainsAny(name, `*?[\`) {
			return
		}
		if !matches(names, names) {
			t.Errorf("%q does not match itself", name)
		}
	})
}
