package fingerprint_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fingerprint"
)

func TestDiffSchemas(t *testing.T) {
	object := func(text string) fingerprint.Object {
		f := strings.Split(text, "|")
		return fingerprint.Object{Kind: f[0], Name: f[1], Parent: f[2], Definition: f[3]}
	}
	objects := func(texts ...string) (all []fingerprint.Object) {
		for _, text := range texts {
			all = append(all, object(text))
		}
		return all
	}
	long := strings.Repeat("x\n", 1500)
	for name, c := range map[string]struct {
		norm, other []fingerprint.Object
		want        string
	}{
		"nothing":       {objects("table|a||"), objects("table|a||"), ""},
		"order of rows": {objects("table|a||", "table|b||"), objects("table|b||", "table|a||"), ""},
		"a table's parts are grouped with it": {
			objects("column|a.x|a|integer", "index|z|a|ON a", "table|b||"),
			objects("column|a.y|a|text", "table|b||unlogged", "view|c||select"),
			"- column a.x integer\n+ column a.y text\n- index z ON a\n~ table b (plain) -> unlogged\n+ view c select",
		},
		"a table is missing with all its parts": {
			objects("table|a||", "column|a.x|a|integer", "column|a.y|a|integer", "policy|a.p|a|x", "policy|a.q|a|x"),
			nil, "- table a (2 columns, 2 policies)",
		},
		"a table became a view": {
			objects("table|a||", "column|a.x|a|integer"), objects("view|a|| SELECT 1\n   FROM b"),
			"- table a (1 column)\n+ view a SELECT 1 … (2 lines)",
		},
		"long texts": {
			objects("function|f()||" + long), objects("function|f()||" + long + "x"),
			"~ function f(): 1501 lines -> 1501 lines",
		},
		"a line in the middle": {
			objects("view|v||a\nb\nc\nd"), objects("view|v||a\nc\nx\nd"), "~ view v\n    - b\n    + x",
		},
	} {
		if got := strings.Join(fingerprint.Diff(c.norm, c.other), "\n"); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, cmp.Or(c.want, "nothing"))
		}
	}
}

func FuzzDiffSchemas(f *testing.F) {
	f.Add("a\nb\nc", "a\nx\nc")
	f.Fuzz(func(t *testing.T, before, after string) {
		if len(before)+len(after) > 2000 {
			return
		}
		v := func(text string) []fingerprint.Object {
			return []fingerprint.Object{{Kind: "view", Name: "v", Definition: text}}
		}
		got := fingerprint.Diff(v(before), v(after))
		if (len(got) == 0) != (before == after) {
			t.Errorf("%q and %q: %s", before, after, fmt.Sprint(got))
		}
	})
}
