package fingerprint_test

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// A tenant that was restored is no different from the others: what a dump and load keeps has the same fingerprint, also
// the second time. One database is a tenant here, and one schema of it.
func TestFingerprintOutlivesDumpAndLoad(t *testing.T) {
	corpus, err := os.ReadFile("testdata/corpus.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, major := range pgtest.Versions() {
		t.Run(strconv.Itoa(major), func(t *testing.T) {
			s := serverOf(t, major)
			built := newDatabase(t, s, "built")
			pgtest.Do(t, built, string(corpus))
			buildSchema(t, built, "tenant", string(corpus))
			from := built
			for _, name := range []string{"loaded", "loaded_twice"} {
				to := newDatabase(t, s, name)
				dumpAndLoad(t, s, from, to)
				for _, schema := range []string{"", "tenant"} {
					sameSchemas(t, name+" "+schema, built, to, fingerprint.Options{Schema: schema})
				}
				from = to
			}
		})
	}
}

// serverOf is the shared server if it is of that major, else one of the test's own.
func serverOf(t *testing.T, major int) *pgtest.Server {
	t.Helper()
	if s := pgtest.Shared(t); s.Version == major {
		return s
	}
	s, err := pgtest.Start(context.Background(), pgtest.Options{Version: major})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newDatabase creates an empty database that is dropped when the test ends.
func newDatabase(t *testing.T, s *pgtest.Server, name string) string {
	t.Helper()
	name = strings.ToLower("test_" + rand.Text()[:12] + "_" + name)
	if err := s.CreateDatabase(t.Context(), name, pgtest.Superuser, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Exec(context.Background(), "postgres", "drop database "+pgtest.Identifier(name)+" with (force)")
	})
	return s.URL(name)
}

// dumpAndLoad copies a database as a backup and its restore do.
func dumpAndLoad(t *testing.T, s *pgtest.Server, from, to string, more ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dump.sql")
	dump := exec.Command(filepath.Join(s.BinDir, "pg_dump"),
		append(more, "--no-owner", "--no-privileges", "--file", file, "--dbname", from)...)
	if out, err := dump.CombinedOutput(); err != nil {
		t.Fatalf("pg_dump: %v: %s", err, out)
	}
	load := exec.Command(filepath.Join(s.BinDir, "psql"),
		"--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", file, "--dbname", to)
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
}

// sameSchemas fails the test if two databases have different fingerprints.
func sameSchemas(t *testing.T, name, one, other string, o fingerprint.Options) {
	t.Helper()
	first, before := look(t, one, o)
	second, after := look(t, other, o)
	if first.Hash != second.Hash || first.Objects < 100 {
		t.Errorf("%s: of %d objects differ:\n%s", name, first.Objects,
			strings.Join(fingerprint.Diff(before, after), "\n"))
	}
}
