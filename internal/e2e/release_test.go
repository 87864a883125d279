//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// TestReleaseDryRun runs the workflow Release as far as it goes without GitHub and without a registry: all its own
// scripts and conditions. Actions from elsewhere are stood in for; those that publish fail if they are reached.
func TestReleaseDryRun(t *testing.T) {
	servertest.Long(t)
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=A", "-c", "user.email=a@example.com"},
			args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	git("clone", "--quiet", checkout, ".")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	changelog, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	write("CHANGELOG.md", string(changelog)+"\n## 9.8.7\n\n- Rehearsed.\n")
	git("commit", "--quiet", "--all", "--message", "Announce 9.8.7")
	git("update-ref", "refs/remotes/origin/main", "HEAD")
	git("remote", "set-url", "origin", "https://github.com/acme/fleet") // which tells act the repository's name
	released := git("rev-parse", "HEAD")

	// The job before them is CI's, which calls this very test.
	text, err := os.ReadFile(filepath.Join(root, ".github", "workflows", "release.yml"))
	if err != nil {
		t.Fatal(err)
	}
	start, end := strings.Index(string(text), "  check:\n"), strings.Index(string(text), "  # Each platform's image")
	if start < 0 || end < start || strings.Count(string(text), "    needs: check\n") != 1 {
		t.Fatal("release.yml has other jobs than this test knows")
	}
	workflow := strings.Replace(string(text[:start])+string(text[end:]), "    needs: check\n", "", 1)
	if err := os.RemoveAll(filepath.Join(dir, ".github", "workflows")); err != nil {
		t.Fatal(err)
	}
	write(".github/workflows/release.yml", workflow)

	args := []string{"workflow_dispatch", "--bind", "--platform", "ubuntu-latest=golang:1.26-trixie",
		"--platform", "ubuntu-24.04-arm=golang:1.26-trixie", "--input", "version=9.8.7", "--input", "dry-run=true",
		// as actions/checkout does: the steps are root, and git refuses to work in another user's clone
		"--env", "GIT_CONFIG_COUNT=1", "--env", "GIT_CONFIG_KEY_0=safe.directory", "--env", "GIT_CONFIG_VALUE_0=*"}
	others := regexp.MustCompile(`uses: (([\w-]+/([\w-]+))@[0-9a-f]{40})\b`).FindAllStringSubmatch(workflow, -1)
	if len(others) < 5 {
		t.Fatalf("only %d actions from elsewhere were found", len(others))
	}
	for _, other := range others {
		at := filepath.Join("stand-ins", other[3])
		run := map[string]string{
			"build-push-action": `[[ ",${{ inputs.outputs }}," == *,name=ghcr.io/acme/fleet,*,push=false,* ]]`,
			"login-action":      "exit 1", "attest": "exit 1",
		}[other[3]]
		if run == "" {
			run = "true"
		}
		write(filepath.Join(at, "action.yml"), "name: stand-in\ndescription: stands in for another.\n"+
			"inputs: {outputs: {}}\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      run: '"+run+"'\n")
		args = append(args, "--local-repository", other[1]+"="+filepath.Join(dir, at))
	}
	job := act(t, dir, nil, args...)
	want := "v9.8.7 is " + released + " with the image ghcr.io/acme/fleet@sha256:" + strings.Repeat("0", 64)
	if !strings.Contains(job.log, want) {
		t.Errorf("the log does not say %q:\n%s", want, job.log)
	}
	if tags := git("tag", "--list", "v9*"); tags != "v9\nv9.8\nv9.8.7" {
		t.Errorf("there are the tags %q", tags)
	}
}
