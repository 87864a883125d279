//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// confined are options of docker run that leave a container only what is mounted: no other file that it can write, no
// capability, and a user who has no name and owns nothing.
var confined = []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
	"--user", "12345:12345"}

// runConfined runs the image until it ends, in such a container.
func runConfined(t *testing.T, workspace string, inputs map[string]string, options []string, env ...string) outcome {
	t.Helper()
	err := filepath.WalkDir(workspace, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o777)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Umask(syscall.Umask(0)) // that user can write what is made for the runner
	return startStepWith(t, append(options, confined...), workspace, inputs, env...).wait(t, 5*time.Minute)
}

// TestImageConfined does the work of a fleet in a container that can do nothing else, and takes away more.
func TestImageConfined(t *testing.T) {
	sandbox := startSandbox(t)
	store := sandbox.store(t)
	total := strconv.Itoa(len(sandbox.tenants))
	workspace := newWorkspace(t, nil)
	env := sandbox.env(t, workspace, "/github/workspace")
	host, none := []string{"--network", "host"}, []string{"--network", "none"}

	migrate := sandbox.migrate()
	migrate["report-file"], migrate["report-html"] = "migrated.json", "migrated.html"
	run := runConfined(t, workspace, migrate, host, env...)
	run.wants(t, "succeeded", total)
	if _, err := os.Stat(filepath.Join(workspace, "migrated.html")); err != nil || run.exit != 0 || run.summary == "" {
		t.Errorf("migrate ended with %d, the page's error is %v, the summary %q", run.exit, err, run.summary)
	}

	backup := sandbox.bucket("backup")
	run = runConfined(t, workspace, backup, host, env...)
	run.wants(t, "succeeded", total)
	for _, tenant := range sandbox.tenants {
		store.wantBackup(t, tenant, detail[backupDetail](t, run, tenant.name).Key)
	}
	run.keeps(t, sandbox.secrets(t))

	// Without the client programs of the server's major.
	major := query[int](t, sandbox.tenants[0], "select current_setting('server_version_num')::int / 10000")
	hidden := fmt.Sprintf("/usr/lib/postgresql/%d", major)
	run = runConfined(t, workspace, backup, append([]string{"--tmpfs", hidden}, host...), env...)
	run.wants(t, "failed", total)
	says := fmt.Sprintf("there are no PostgreSQL %d client programs here (%s/bin/pg_dump is missing)", major, hidden)
	for _, want := range []string{says, "use the action's published image", fmt.Sprintf("postgresql-client-%d", major)} {
		if run.exit != 1 || !strings.Contains(run.log, want) {
			t.Errorf("without clients, backup ended with %d, and its log lacks %q", run.exit, want)
		}
	}

	// Without a network, only what needs none.
	run = runConfined(t, workspace, map[string]string{"mode": "report", "report-files": "migrated.json"}, none)
	run.wants(t, "succeeded", total)
	if run.exit != 0 {
		t.Errorf("mode report ended with %d", run.exit)
	}
	run = runConfined(t, workspace, map[string]string{"mode": "migrate", "neon-api-key": "napi_key"}, none)
	for _, want := range []string{"list projects: GET /projects: dial tcp", "the Neon API could not be reached"} {
		if run.exit != 1 || !strings.Contains(run.log, want) {
			t.Errorf("without a network, migrate ended with %d, and its log lacks %q", run.exit, want)
		}
	}
}
