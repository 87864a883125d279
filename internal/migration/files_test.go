package migration_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
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
	return migration.Load(dir, "db/migrations", postgres.Dbmate)
}

const down = "-- migrate:down\n"

// What merely looks like it ends a transaction, or like an option, is no mistake.
func TestLoadAccepts(t *testing.T) {
	for name, sql := range map[string]string{
		"savepoints": up("savepoint a; rollback to a; rollback work to savepoint a; rollback transaction to a; release a"),
		"in a body":  up("create procedure p() language plpgsql as $$ begin commit; end $$; do $$ begin end $$"),
		"standard":   up("create function f() returns int begin atomic select 1; end; select 1"),
		"in a text":  up("select 'commit'; select 1 as \"rollback\"; -- commit;\n/* end; */ select 2"),
		"two phases": up("commit prepared 'x'; rollback prepared 'y'"),
		"its own":    alone("begin; select 1; commit; begin; select 2; rollback"),
		"alone":      alone("-- the only one\ncreate index concurrently if not exists a on t (i);\n"),
		"refresh":    alone("select 1; refresh materialized view concurrently v; reindex table t"),
		"discard":    up("discard temp; discard plans"),
		"true":       "-- migrate:up transaction:true\nselect 1;\n" + down,
		"a comment":  "-- migrate:up adds the table transactions, see https://example.com -- transaction=false\n" + down,
	} {
		if _, err := load(t, "1_a.sql", sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
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
		"commit":   {[]string{"1_a.sql", up("select 1;\n\nCOMMIT")}, "1_a.sql: line 4: COMMIT ends the transaction"},
		"end":      {[]string{"1_a.sql", up("select 1; end work")}, "line 2: END ends the transaction"},
		"abort":    {[]string{"1_a.sql", up("abort")}, "line 2: ABORT ends the transaction"},
		"rollback": {[]string{"1_a.sql", up("-- x\nrollback /* to sp */ and chain")}, "line 3: ROLLBACK ends"},
		"prepare":  {[]string{"1_a.sql", up("prepare transaction 'x'")}, "line 2: PREPARE ends the transaction"},
		"discard":  {[]string{"1_a.sql", alone("discard all")}, "line 2: DISCARD ALL drops the lock"},
		"two indexes at once": {
			[]string{"1_a.sql", alone("create index concurrently a on t (i);\ncreate unique index concurrently b on t (j)")},
			"line 2: CREATE INDEX CONCURRENTLY has to be alone in its file",
		},
		"drop index": {
			[]string{"1_a.sql", alone("select 1; drop index concurrently a")}, "line 2: DROP INDEX CONCURRENTLY has to be",
		},
		"reindex": {[]string{"1_a.sql", alone("reindex (concurrently) table a; select 1")},
			"line 2: REINDEX CONCURRENTLY has"},
		"vacuum":            {[]string{"1_a.sql", alone("select 1;\nvacuum a")}, "line 3: VACUUM has to be alone"},
		"option, space":     {[]string{"1_a.sql", "-- migrate:up transaction: false\n" + down}, `"transaction: false" after`},
		"option, capital":   {[]string{"1_a.sql", "-- migrate:up transaction:False\n" + down}, `"transaction:False" after`},
		"option, equals":    {[]string{"1_a.sql", "-- migrate:up transaction=false\r\n" + down}, `"transaction=false" after`},
		"option, Capital":   {[]string{"1_a.sql", "-- migrate:up Transaction:false\n" + down}, `"Transaction:false" after`},
		"option, negative":  {[]string{"1_a.sql", "-- migrate:up no-transaction\n" + down}, `"no-transaction" after`},
		"option, shortened": {[]string{"1_a.sql", "-- migrate:up tx : false\n" + down}, `"tx : false" after`},
		"restrict": {[]string{"1_a.sql", up("\\restrict x\nselect 1")},
			`line 2: a backslash begins a command of psql's`},
		"copy from a file": {
			[]string{"1_a.sql", up("create table t ();\n\\copy t from 'x'")}, `line 3: a backslash begins a command`,
		},
		"open quote":   {[]string{"1_a.sql", up("select 1;\nselect 'it''s")}, "line 3: a quoted text begins"},
		"open body":    {[]string{"1_a.sql", up("do $x$ begin end $$;")}, "line 2: a quoted text begins"},
		"open comment": {[]string{"1_a.sql", up("select 1 /* x")}, "line 2: a comment begins"},
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
	if _, err := migration.Load(filepath.Join(t.TempDir(), "nowhere"), "nowhere", postgres.Dbmate); err == nil {
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
