package sqltext

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStatements(t *testing.T) {
	for sql, want := range map[string][]string{
		"":                             nil,
		" ;; -- x\n;":                  nil,
		"select 1; select 2":           {"select 1", "select 2"},
		"-- a;b\nselect 1 -- c;d\n;":   {"select 1 -- c;d\n"},
		"/* ; /* ; */ ; */ select ';'": {"select ';'"},
		`select 'it''s; one'; select E'a\';b'; select "a;""b";`: {
			`select 'it''s; one'`, `select E'a\';b'`, `select "a;""b"`,
		},
		"do $$ begin; end $$; select $a$ $$;$b$ $a$;": {"do $$ begin; end $$", "select $a$ $$;$b$ $a$"},
		"create rule r as on insert to t do (select 1; select 2); select 3": {
			"create rule r as on insert to t do (select 1; select 2)", "select 3",
		},
		"prepare p as select $1; execute p(1)": {"prepare p as select $1", "execute p(1)"},
		"select a$b;c$d; select 'open":         {"select a$b", "c$d", "select 'open"},
	} {
		var got []string
		for _, s := range Statements(sql) {
			got = append(got, sql[s.Start:s.End])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", sql, diff)
		}
	}
}

// Statements are in order, do not overlap, lie within the text, and do not begin with white space.
func FuzzStatements(f *testing.F) {
	f.Add("select 1; $$ a ; $$ 'x' -- y\n/* z */; \"q\" (;)")
	f.Fuzz(func(t *testing.T, sql string) {
		last := 0
		for _, s := range Statements(sql) {
			if s.Start < last || s.End <= s.Start || s.End > len(sql) ||
				strings.TrimSpace(sql[s.Start:s.Start+1]) == "" {
				t.Fatalf("%q: %+v after %d", sql, s, last)
			}
			last = s.End
			CopiesFromStdin(sql, s)
			LineColumn(sql, s.Start)
		}
	})
}
