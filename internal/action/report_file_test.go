package action

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// What a run writes stays in the workspace. A path that leads out of it is a mistake before the first call, and a link
// that does fails the run at its end.
func TestReportsStayInTheWorkspace(t *testing.T) {
	f := newFleet(t, named("acme")...)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(f.workspace, "link")); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		"../../x.json":                   `report-file: "../../x.json" cannot be written: it leads out of the workspace`,
		filepath.Join(outside, "x.json"): "cannot be written: it leads out of the workspace; name a path in the workspace",
		"link/x.json":                    "write report-file: it leads out of the workspace",
	} {
		before := f.Calls().Total
		o := f.run(t, t.Context(), "mode=list-tenants", "report-file="+path, "$GITHUB_ACTIONS=true")
		o.says(t, says)
		if o.err == nil || o.outputs["report-file"] != "" {
			t.Errorf("%s: %v, the output is %q", path, o.err, o.outputs["report-file"])
		}
		if calls := f.Calls().Total - before; calls > 0 && path != "link/x.json" {
			t.Errorf("%s: %d calls", path, calls)
		}
		if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
			t.Errorf("%s: outside are %v, %v", path, entries, err)
		}
	}
	// From a shell, it is the user's own choice.
	path := filepath.Join(outside, "x.json")
	log, err := shell(t, t.Context(), map[string]string{
		"NEON_TENANTS_NEON_API_KEY": neontest.OrgKey, "NEON_TENANTS_NEON_API_URL": f.URL(),
	}, "--mode=list-tenants", "--report-file", path)
	if _, missing := os.Stat(path); err != nil || missing != nil {
		t.Errorf("%v, %v\n%s", err, missing, log)
	}
}

// In its container the action is root, and the steps after it are the runner's user.
func TestReportsBelongToTheWorkspacesOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const runner = 12345
	f := newFleet(t, named("acme")...)
	if err := os.Chown(f.workspace, runner, runner); err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), "mode=list-tenants", "report-file=reports/1/x.json")
	same(t, "report-file", o.outputs["report-file"], "reports/1/x.json")
	for _, path := range []string{"reports", "reports/1", "reports/1/x.json"} {
		info, err := os.Stat(filepath.Join(f.workspace, path))
		if err != nil {
			t.Fatal(err)
		}
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != runner || stat.Gid != runner {
			t.Errorf("%s belongs to %d:%d", path, stat.Uid, stat.Gid)
		}
	}
}
