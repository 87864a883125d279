package pgtest

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Extension installs an extension of that SQL among those of the shared server, and returns its name and what takes it
// away again, as does the end of the test. It skips the test where it may not write there.
func Extension(t testing.TB, sql string) (name string, remove func()) {
	t.Helper()
	dir := Ask(t, Shared(t).URL("postgres"),
		"select setting || '/extension' from pg_config() where name = 'SHAREDIR'")[0]
	name = "pgtest_" + strings.ToLower(rand.Text()[:10])
	files := map[string]string{
		name + ".control": "default_version = '1'\nrelocatable = true\n",
		name + "--1.sql":  sql,
	}
	remove = func() {
		for file := range files {
			_ = os.Remove(filepath.Join(dir, file)) // for the second time if the test has done it
		}
	}
	t.Cleanup(remove)
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Skipf("an extension cannot be installed for the test: %v", err)
		}
	}
	return name, remove
}
