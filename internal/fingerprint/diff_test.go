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
	long, wide := strings.Repeat("x\n", 1500), strings.Repeat("(a > 0) AND ", 50)
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
			"~ function f()\n    - \n    + x",
		},
		"texts that differ throughout": {
			objects("function|f()||" + long), objects("function|f()||" + strings.ReplaceAll(long, "x", "y")),
			"~ function f()" + strings.Repeat("\n    - x", 5) + "\n    - … 1495 more lines" +
				strings.Repeat("\n    + y", 5) + "\n    + … 1495 more lines",
		},
		"a long line": {
			objects("constraint|t.c|t|" + wide + "'é'" + wide), objects("constraint|t.c|t|" + wide + "'è'" + wide),
			"~ constraint t.c … (a > 0) AND (a > 0) AND (a > 0) AND 'é'(a > 0) AND (a > 0) AND (a > 0) AND (a … -> " +
				"… (a > 0) AND (a > 0) AND (a > 0) AND 'è'(a > 0) AND (a > 0) AND (a > 0) AND (a …",
		},
		"a long line of several": {
			objects("view|v||a\n" + wide + "x\nb"), objects("view|v||a\n" + wide + "y\nb"),
			"~ view v\n    - … (a > 0) AND (a > 0) AND (a > 0) AND x\n    + … (a > 0) AND (a > 0) AND (a > 0) AND y",
		},
		"line endings": {
			objects("function|f()||()\na\nb"), objects("function|f()||()\na\r\nb"),
			"~ function f(): only the line endings differ (LF -> CRLF)",
		},
		"some line endings": {
			objects("function|f()||()\na\nb\nc"), objects("function|f()||()\na\nb\r\nc"),
			"~ function f(): only the line endings differ (LF -> CRLF in 1 line)",
		},
		"line endings and more": {
			objects("function|f()||()\na\nb"), objects("function|f()||()\na\r\nc"),
			"~ function f()\n    - a\n    - b\n    + a\r\n    + c",
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
