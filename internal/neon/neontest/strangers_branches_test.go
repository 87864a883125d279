package neontest_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// neonctl runs Neon's command line, installed in a directory, on the branches of one project.
type neonctl struct {
	dir     string
	server  *neontest.Server
	project string
}

func (n *neonctl) command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	args = append([]string{filepath.Join("node_modules", "neonctl", "bin", "cli.js"), "branches"}, args...)
	args = append(args, "--project-id", n.project, "--api-host", n.server.URL(), "--no-analytics", "--output", "json")
	cmd := exec.CommandContext(ctx, "node", args...)
	home := t.TempDir()
	cmd.Dir = n.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "CI=true",
		"NEON_API_KEY=" + neontest.OrgKey,
	}
	return cmd
}

// do runs a command on branches and returns its output.
func (n *neonctl) do(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	out, err := n.command(ctx, t, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("neonctl branches %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// create makes a branch and returns its connection string.
func (n *neonctl) create(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	out := n.do(ctx, t, append([]string{"create", "--name"}, args...)...)
	var made struct {
		Connections []struct {
			URI string `json:"connection_uri"`
		} `json:"connection_uris"`
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil || len(made.Connections) != 1 {
		t.Fatalf("neonctl branches create: %v in %s", err, out)
	}
	return made.Connections[0].URI
}

// fails runs a command that the API refuses with these words.
func (n *neonctl) fails(ctx context.Context, t *testing.T, words string, args ...string) {
	t.Helper()
	out, err := n.command(ctx, t, args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), words) {
		t.Errorf("neonctl branches %s: %v, want %q in\n%s", strings.Join(args, " "), err, words, out)
	}
}

// neonctl makes branches, lists, resets, restores and deletes them, and the rows in them are as they should be.
func branchWithNeonctl(ctx context.Context, t *testing.T, dir string) {
	if os.Getenv("CLOCK_STARTS_AT") != "" {
		t.Skip("neonctl compares times with the machine's own clock, which .ci/test-clock replaces here only")
	}
	s := start(t, neontest.Options{})
	p, _, points := past(t, s)
	n := &neonctl{dir, s, p.ID}

	preview := n.create(ctx, t, "preview/pr-7", "--expires-at", s.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	execute(t, preview, "insert into t values ('preview')")
	// It knows whole seconds only.
	seconds := func(k neontest.Kept) string { return k.At.Add(time.Second).UTC().Format(time.RFC3339) }
	before := n.create(ctx, t, "before", "--parent", seconds(points[1]))
	byLSN := n.create(ctx, t, "by LSN", "--parent", points[0].LSN)
	for url, want := range map[string]string{preview: "d,preview", before: "a,b", byLSN: "a", p.URL: "d"} {
		if got := mustQuery(t, url, values); got != want {
			t.Errorf("a branch has %s, want %s", got, want)
		}
	}
	list := n.do(ctx, t, "list")
	for _, name := range []string{"main", "preview/pr-7", "before", "by LSN"} {
		if !strings.Contains(list, `"name": "`+name+`"`) {
			t.Errorf("%s is not in %s", name, list)
		}
	}

	n.do(ctx, t, "reset", "preview/pr-7", "--parent")
	if got := mustQuery(t, preview, values); got != "d" {
		t.Errorf("after a reset: %s", got)
	}
	n.fails(ctx, t, "preserve_under_name", "restore", "main", "before")
	n.do(ctx, t, "restore", "main", "^self@"+seconds(points[2]), "--preserve-under-name", "old")
	if got := mustQuery(t, p.URL, values); got != "a,b,c" {
		t.Errorf("after a restore to a time: %s", got)
	}
	n.do(ctx, t, "restore", "main", "before")
	if got := mustQuery(t, p.URL, values); got != "a,b" {
		t.Errorf("after a restore from another branch: %s", got)
	}

	n.do(ctx, t, "set-expiration", "before", "--expires-at", s.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	n.do(ctx, t, "rename", "by LSN", "renamed")
	n.do(ctx, t, "delete", "renamed")
	n.fails(ctx, t, "cannot delete the default branch", "delete", "main")
	advance(t, s, 2*time.Hour)
	left := n.do(ctx, t, "list")
	for name, want := range map[string]bool{"main": true, "old": true, "before": false, "preview/pr-7": false} {
		if strings.Contains(left, `"name": "`+name+`"`) != want {
			t.Errorf("%s in the end: want %t in %s", name, want, left)
		}
	}
}
