package secretsync

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/workspace"
)

const workflow = "env:\n  # neon-tenants:begin\n%s  # neon-tenants:end\n"

// workflowIn is the workflow file of a workspace.
func workflowIn(t *testing.T, dir string) (f *workflowFile, path string) {
	t.Helper()
	file, err := workspace.Workspace{Root: dir}.File("w.yml")
	if err != nil {
		t.Fatal(err)
	}
	return &workflowFile{file, "w.yml"}, filepath.Join(dir, "w.yml")
}

func TestWorkflowFile(t *testing.T) {
	list := func(lines ...string) string { return strings.Replace(workflow, "%s", strings.Join(lines, ""), 1) }
	const acme, gone = "  ACME: ${{ secrets.ACME }}\n", "  GONE: ${{ secrets.GONE }}\n"
	for what, c := range map[string]struct {
		text         string
		part, dryRun bool
		want         string // the text afterwards
		says         string
		fails        string
	}{
		"out of date": {
			text: list(gone), want: list(acme), says: "w.yml was rewritten: 1 added, 1 removed; commit it",
		},
		"out of date, a dry run": {
			text: list(gone), dryRun: true, want: list(gone), says: "w.yml would be rewritten: 1 added, 1 removed",
		},
		"up to date":            {text: list(acme), want: list(acme), says: "w.yml is up to date"},
		"a part of the tenants": {text: list(gone), part: true, want: list(gone), says: "w.yml is left as it is"},
		"the markers are gone":  {text: "env:\n", want: "env:\n", fails: "workflow-file: w.yml has no lines"},
	} {
		t.Run(what, func(t *testing.T) {
			f, path := workflowIn(t, t.TempDir())
			err := errors.Join(os.WriteFile(path, []byte(c.text), 0o600), os.Chmod(path, 0o640))
			if err != nil {
				t.Fatal(err)
			}
			p := &plan{situation: situation{whole: !c.part}}
			says, err := f.update(p, conclusion{results: []fleet.Result{ended(Detail{"ACME", created})}}, c.dryRun)
			fails(t, err, c.fails, "")
			if !strings.HasPrefix(says, c.says) {
				t.Errorf("says %q, want %q", says, c.says)
			}
			text, err := os.ReadFile(path)
			if err != nil || string(text) != c.want {
				t.Errorf("%v, the file is\n%s\nwant\n%s", err, text, c.want)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("%v, its permissions are %v", err, info.Mode())
			}
			if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
				t.Errorf("%v, beside it are %v", err, entries)
			}
		})
	}
}

// Jobs of tenant-source: secrets take bundles from the list: those that exist at the run's end are in it, each once.
func TestAWorkflowFileListsBundles(t *testing.T) {
	const first, second, third = "NEON_TENANTS_BUNDLE_1", "NEON_TENANTS_BUNDLE_2", "NEON_TENANTS_BUNDLE_3"
	p := &plan{settings: settings{bundled: true}, bundles: []string{first, second}, situation: situation{
		whole: true, listed: listedAt(lastSync, first, second), past: wroteNames(first, second),
	}}
	got := p.existing(conclusion{
		results: []fleet.Result{ended(Detail{first, unchanged}), ended(Detail{first, updated}),
			ended(Detail{third, created})},
		done: journal{deleted: []string{second}},
	})
	got = slices.Compact(slices.Sorted(slices.Values(got)))
	if want := []string{first, third}; !slices.Equal(got, want) {
		t.Errorf("the file would list %v, want %v", got, want)
	}
}

func TestAWorkflowFileThatIsGone(t *testing.T) {
	f, _ := workflowIn(t, t.TempDir())
	_, err := f.update(&plan{situation: situation{whole: true}}, conclusion{}, false)
	fails(t, err, "workflow-file: read w.yml: ", "")
}
