package migration

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Only the lines of functions are read: everything else may quote rows.
func TestFrames(t *testing.T) {
	for line, want := range map[string]frame{
		"PL/pgSQL function inline_code_block line 4 at SQL statement": {
			function: block, line: 4, doing: "SQL statement"},
		`PL/pgSQL function app."My F"(integer,character varying) line 12 at FOR over SELECT rows`: {
			function: `app."My F"(integer,character varying)`, line: 12, doing: "FOR over SELECT rows"},
		"PL/pgSQL function größe() line 3 during statement block local variable initialization": {
			function: "größe()", line: 3},
		"PL/pgSQL function f() while casting return value to function's return type": {function: "f()"},
		`compilation of PL/pgSQL function "f" near line 2`: {
			function: "f", line: 2, compiling: true},
		`SQL function "f" during inlining`: {function: "f"},
		`SQL function "f" statement 2`:     {function: "f"},

		`SQL statement "select 'hush'"`:                         {},
		`SQL expression "'hush'"`:                               {},
		`COPY t, line 1, column i: "hush"`:                      {},
		`JSON data, line 1: {"hush"`:                            {},
		"unnamed portal with parameters: $1 = 'hush'":           {},
		"PL/pgSQL-Funktion inline_code_block Zeile 4 bei RAISE": {},
		"PL/pgSQL function 'hush' line 1 at RAISE":              {},
		"PL/pgSQL function f('hush') line 1 at x'hush'":         {},
		`PL/pgSQL function f() line 1 at RAISE; select 'hush'`:  {},
		"automatic analyze of table \"hush\"":                   {},
	} {
		if want.function != "" {
			want.text = line
		}
		got, _ := frameOf(line)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(frame{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}
