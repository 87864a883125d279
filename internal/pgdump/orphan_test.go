package pgdump_test

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

const orphanURL, orphanRoot, orphanMajor = "DUMP_ORPHAN_URL", "DUMP_ORPHAN_ROOT", "DUMP_ORPHAN_MAJOR"

// If a runner kills this process, pg_dump ends with it.
func TestDumpDiesWithUs(t *testing.T) {
	t.Parallel()
	if url := os.Getenv(orphanURL); url != "" {
		major, _ := strconv.Atoi(os.Getenv(orphanMajor))
		_, _ = dumpURL(t.Context(), url, pgdump.DumpOptions{Major: major, Root: os.Getenv(orphanRoot)}, stuck{})
		return
	}
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, wide)
	url, name := named(t, direct)
	root, major := clientRoot(t)
	us := exec.Command(os.Args[0], "-test.run=^TestDumpDiesWithUs$", "-test.timeout=60s")
	us.Env = append(os.Environ(), orphanURL+"="+url, orphanRoot+"="+root, orphanMajor+"="+strconv.Itoa(major))
	out, err := us.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := us.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "stuck\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	servertest.Equal(t, "running", len(programsOf(t, "pg_dump", name)), 1)
	if err := us.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = us.Wait() // it was killed
	servertest.WaitFor(t, func() bool { return len(programsOf(t, "pg_dump", name)) == 0 })
	nothingLeft(t, direct, name)
}

// stuck is a writer that never returns.
type stuck struct{}

func (stuck) Write([]byte) (int, error) {
	_, _ = os.Stdout.WriteString("stuck\n")
	time.Sleep(time.Minute)
	return 0, os.ErrDeadlineExceeded
}
