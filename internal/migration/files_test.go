package migration_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// load writes migration files, given as alternating names and contents, and loads them.
func load(t testing.TB, namesAndContents ...string) (*migration.Files, error) {
	t.Helper()
	dir := t.TempDir()
	for pair := range slices.Chunk(namesAndContents, 2) {
		if err := os.WriteFile(filepath.Join(dir, pair[0]), []byte(pair[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return migration.Load(dir, "db/migrations")
}

func TestLoadRefuses(t *testing.T) {
	ok := up("select 1")
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"nothing":      {nil, "there are none"},
		"same version": {[]string{"1_a.sql", ok, "1_b.sql", ok}, "1_a.sql and 1_b.sql have the same version 1"},
		"widths":       {[]string{"10_a.sql", ok, "2_b.sql", ok}, "are not equally long"},
		"no up": {
			[]string{"1_a.sql", "select 1"}, "1_a.sql: dbmate requires each migration to define an up block",
		},
		"two ups":    {[]string{"1_a.sql", ok + ok}, "1_a.sql: has more than one migrate:up section"},
		"before up":  {[]string{"1_a.sql", "select 1;\n" + ok}, "statements preceding"},
		"no version": {[]string{"1_a.sql", ok, "users.sql", ok}, "users.sql: is not named VERSION_name.sql"},
		"upper case": {[]string{"1_a.SQL", ok}, "1_a.SQL: is not named VERSION_name.sql"},
		"byte order": {[]string{"1_a.sql", "\ufeff" + ok}, "1_a.sql: begins with a byte order mark"},
		"latin 1":    {[]string{"1_a.sql", up("select 'caf\xe9'")}, "1_a.sql: is not UTF-8"},
		"copy": {
			[]string{"1_a.sql", up("create table t (i int);\ncopy t (i) from stdin;\n1\n\\.\n")},
			"1_a.sql: line 3: COPY FROM STDIN",
		},
		"several at once": {
			[]string{"1_a.sql", "x", "1_b.sql", ok, "z.sql", ok},
			"3 problems with the migration files in db/migrations",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.files...)
			var problem *migration.FilesError
			if !errors.As(err, &problem) || !strings.Contains(err.Error(), c.want) || problem.Remedy() == "" {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := migration.Load(filepath.Join(t.TempDir(), "nowhere"), "nowhere"); err == nil {
		t.Error("a missing directory: no error")
	}
}

func TestLoadIgnoresOtherFiles(t *testing.T) {
	m, err := load(t,
		"1_a.sql", "-- a comment first\n\n-- migrate:up\r\nselect 'copy from stdin'\r\n-- migrate:down\r\n",
		"README.md", "words", ".hidden.sql", "words",
		"2_b.sql", up("select $$ copy t from stdin; $$; copy t to stdout; select 1 as \"copy\""))
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "files", m.Names(), []string{"1_a.sql", "2_b.sql"})
}

// Whatever a file contains, loading it ends in migrations or in a message that names the file, never in a panic.
func FuzzLoadMigrations(f *testing.F) {
	f.Add("-- migrate:up\nselect 1;\n-- migrate:down\n")
	f.Add("-- migrate:up transaction:false\r\ncopy t from stdin;\n-- migrate:down")
	f.Add("-- migrate:down\n-- migrate:up\n$a$ $$ 'x' /* /* */ E'\\' \"")
	f.Fuzz(func(t *testing.T, contents string) {
		m, err := load(t, "1_a.sql", contents)
		switch {
		case err == nil && !slices.Equal(m.Names(), []string{"1_a.sql"}):
			t.Errorf("got %v", m.Names())
		case err != nil && !strings.Contains(err.Error(), "1_a.sql"):
			t.Errorf("names no file: %v", err)
		}
	})
}
