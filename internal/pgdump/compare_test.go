package pgdump

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

func TestCompare(t *testing.T) {
	rows := func(table string, n int64) postgres.TableRows { return postgres.TableRows{Table: table, Rows: n} }
	loaded := []loadedTable{
		{TableRows: rows(`"public"."a"`, 2), id: "1", tree: "1"},
		{TableRows: rows("public.low", 3), id: "2", tree: "9"},
		{TableRows: rows("public.high", 4), id: "3", tree: "9"},
	}
	counted := []postgres.Counted{
		{TableRows: rows("public.a", 2), ID: "1", Tree: "1"}, {TableRows: rows("public.low", 3), ID: "2", Tree: "9"},
		{TableRows: rows("public.high", 4), ID: "3", Tree: "9"}, {TableRows: rows("public.view", 4), ID: "4", Tree: "4"},
	}
	dumped := []postgres.TableRows{rows(`"public"."a"`, 2), rows("public.low", 3), rows("public.high", 4)}
	moved := []postgres.Counted{counted[0], {TableRows: rows("public.low", 7), ID: "2", Tree: "9"}, {ID: "3", Tree: "9"}}
	through := []loadedTable{loaded[0], {TableRows: rows("public.root", 7), id: "9", tree: "9", partitioned: true}}
	with := func(change func(l []loadedTable)) []loadedTable {
		l := append([]loadedTable(nil), loaded...)
		change(l)
		return l
	}
	for name, c := range map[string]struct {
		dumped  []postgres.TableRows
		loaded  []loadedTable
		counted []postgres.Counted
		tables  int
		problem string
	}{
		"the same":              {dumped, loaded, counted, 3, ""},
		"not counted in a dump": {nil, loaded, counted, 3, ""},
		"through the root": {
			[]postgres.TableRows{dumped[0], rows("public.root", 3), rows("public.root", 4)}, through, moved, 2, "",
		},
		"moved by themselves":   {dumped, loaded, moved, 0, "3 rows of table public.low were loaded, and it holds 7"},
		"lost through the root": {nil, through, moved[:1], 0, "7 rows of table public.root were loaded, and it holds 0"},
		"a row less in the dump": {
			[]postgres.TableRows{rows(`"public"."a"`, 1), dumped[1], dumped[2]}, loaded, counted, 0,
			"had 1 rows in the dump, and 2 were",
		},
		"a table less": {dumped, loaded[:2], counted, 0, "public.high had 4 rows in the dump, and none"},
		"a table more": {dumped[:2], loaded, counted, 0, "public.high had 0 rows in the dump, and 4"},
		"none held":    {dumped, loaded, nil, 0, `2 rows of table "public"."a" were loaded, and it holds 0`},
		"gone": {
			nil, with(func(l []loadedTable) { l[1].id, l[1].tree = "", "" }), counted, 0, "public.low is gone",
		},
		"an extension's": {dumped, with(func(l []loadedTable) { l[1].uncounted = "reason" }), counted, 2, ""},
		"hidden": {dumped, loaded, []postgres.Counted{
			counted[0], {TableRows: rows("public.low", -1), ID: "2", Tree: "9"}, counted[2],
		}, 2, ""},
	} {
		got, err := Restored{loaded: c.loaded, counted: c.counted}.Compare(c.dumped)
		switch {
		case (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem):
			t.Errorf("%s: got %v", name, err)
		case err == nil && (got.Tables != c.tables || got.Dumped != (c.dumped != nil)):
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestFilledTable(t *testing.T) {
	for sql, want := range map[string]string{
		"COPY public.a (i) FROM stdin":                      "public.a",
		`COPY "public"."o ""d; (" (i) FROM stdin`:           `"public"."o ""d; ("`,
		"INSERT INTO public.a VALUES (1)":                   "public.a",
		`INSERT INTO "into"."copy" (a) VALUES ('x')`:        `"into"."copy"`,
		"INSERT INTO a DEFAULT VALUES":                      "a",
		"INSERT INTO a(i) VALUES (1)":                       "a",
		"INSERT /* x */ INTO -- y\n public.t\n\tVALUES (1)": "public.t",
		"INSERT": "",
	} {
		if got := filledTable(sql, sqltext.Lexer{}); got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
}
