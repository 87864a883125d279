package sqltext_test

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

func TestLiterals(t *testing.T) {
	type literal struct{ value, before string }
	for sql, want := range map[string][]literal{
		"do $$a;b$$":                        {{"a;b", "do"}},
		"DO Language 'plpgsql' $x$ a $x$":   {{"plpgsql", "language"}, {" a ", ""}},
		"select $$$$, $a$$a$":               {{"", "select"}, {"", ","}},
		"select 'it''s' as \"no\"":          {{"it's", "select"}},
		`select E'it\'s\ta\\''b'`:           {{"it's\ta\\'b", "select"}},
		"select 'a' -- x\n 'b', 'c' 'd'":    {{"ab", "select"}, {"c", ","}, {"d", ""}},
		`select e'\x41', U&'\0041', b'1'`:   nil,
		"select 'é' || $é$\nü$é$ from a.$1": {{"é", "select"}, {"\nü", "|"}},
	} {
		var got []literal
		for _, l := range sqltext.Literals(sql, sqltext.Statements(sql)[0]) {
			got = append(got, literal{l.Value, l.Before})
			for i := range len(l.Value) {
				b := sql[l.Offset(i)]
				if got := l.Index(l.Offset(i)); got != i {
					t.Errorf("%s: byte %d of %q is found as %d", sql, i, l.Value, got)
				}
				if b != l.Value[i] && b != '\\' {
					t.Errorf("%s: byte %d of %q is at %d", sql, i, l.Value, l.Offset(i))
				}
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%s: got %q", sql, got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: got %q", sql, got)
			}
		}
	}
}

func FuzzLiterals(f *testing.F) {
	f.Add(`select E'a\'' 'b' $a$ $$ $a$, 'x`)
	f.Fuzz(func(t *testing.T, sql string) {
		for _, s := range sqltext.Statements(sql) {
			for _, l := range sqltext.Literals(sql, s) {
				for i := range len(l.Value) + 1 {
					if o := l.Offset(i); o > len(sql) || o < 0 && l.Value != "" {
						t.Fatalf("%q: byte %d is at %d", sql, i, o)
					}
				}
			}
		}
	})
}
