package pgdump_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// SQL can neither end the transaction nor run a program.
func TestRestoreOfHostileSQL(t *testing.T) {
	t.Parallel()
	root, major := clientRoot(t)
	touched := filepath.Join(t.TempDir(), "touched")
	const (
		create  = "create table a (i int);"
		command = "a command of psql's"
		control = "may begin, end or divide the transaction"
		open    = "in the middle of"
	)
	for name, c := range map[string]struct{ sql, phrase string }{
		"a command of the shell": {create + "\n\\! touch " + touched + "\n" + marker, command},
		"output to a program":    {create + "\nselect 1 \\g | touch " + touched + "\n" + marker, command},
		"an open text":           {create + "\nselect 'a" + marker, open},
		"an open block":          {create + "\ndo $x$" + marker, open},
		"an open comment":        {create + " /*" + marker, open},
		"an open copy":           {"create table a (i text);\ncopy a from stdin;\nx" + marker, open},
		"a failing statement":    {create + "\nselect 1/0;\n" + marker, "select: division by zero"},
		"no end":                 {create + "\n", "lack the line"},
		"nothing":                {"", "lack the line"},
		"restricted, not ended": {
			"--\n-- x\n--\n\n\\restrict abc\n\n" + create + "\n" + marker, `does not end with its \unrestrict`,
		},
		"unrestricted by itself": {create + "\n" + marker + "\\unrestrict abc\n", "do not match"},
		"a commit":               {create + "\ncommit;\n" + marker, `"commit", and no statement of a backup ` + control},
		"an end":                 {create + "\n/* x */ END ;\n" + marker, control},
		"a rollback":             {create + "\nrollback;\n" + marker, control},
		"a chain":                {create + "\nBEGIN;\ncommit and chain;\n" + marker, `"commit and chain"`},
		"a savepoint":            {create + "\nsavepoint a;\n" + marker, control},
		"two phases":             {create + "\nprepare transaction 'a';\n" + marker, control},
		"a second begin":         {create + "\nBEGIN;\nBEGIN;\n" + marker, control},
		"a pair left open":       {create + "\nBEGIN;\n" + marker, "does not end it"},
		"two commits":            {create + "\nBEGIN;\nCOMMIT;\nCOMMIT;\n" + marker, control},
		"a commit in a block": {
			create + "\ndo $$ begin commit; end $$;\n" + marker, "do: invalid transaction termination",
		},
		"a commit in a procedure": {
			create + "\ncreate procedure p() language plpgsql as $$ begin commit; end $$;\ncall p();\n" + marker,
			"call p: invalid transaction termination",
		},
		"a commit as text":   {create + "\ndo $$ begin execute 'commit'; end $$;\n" + marker, "do: "},
		"another copy":       {create + "\ncopy a from stdin with (format csv);\n1\n\\.\n" + marker, "a form that pg_dump"},
		"a copy to a client": {create + "\ncopy a to stdout;\n" + marker, "a form that pg_dump"},
		"other strings": {
			create + "\nselect set_config('standard_conforming_strings', 'off', false);\n" + marker,
			"standard_conforming_strings",
		},
		"a statement hidden by other strings": {
			create + "\nSET standard_conforming_strings = off;\nselect '\\\\'; commit; --';\n" + marker, control,
		},
		"a zero byte":        {create + "\nselect 1\x00; commit;\n" + marker, "a zero byte"},
		"an unsafe encoding": {"SET client_encoding = 'SJIS';\n" + create + marker, "SJIS"},
		"a setting of another": {
			create + "\nSET no_such_setting = 0;\n" + marker,
			`set no_such_setting: unrecognized configuration parameter "no_such_setting" (SQLSTATE 42704)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, overwrite := range []bool{false, true} {
				target := pgtest.Database(t)
				want := []string{}
				if overwrite {
					pgtest.Do(t, target, "create table kept as select 1 i")
					want = append(want, "kept")
				}
				o := pgdump.RestoreOptions{Major: major, Root: root, Format: pgdump.Plain, Overwrite: overwrite}
				_, err := restoreURL(t.Context(), target, o, strings.NewReader(c.sql))
				if err == nil || !strings.Contains(err.Error(), c.phrase) {
					t.Errorf("got %v", err)
				}
				servertest.Equal(t, "tables", pgtest.Ask(t, target, publicTables), want)
				if _, err := os.Stat(touched); err == nil {
					t.Error("a command was run")
				}
			}
		})
	}
}

const publicTables = "select relname::text from pg_class where relnamespace = 'public'::regnamespace"
