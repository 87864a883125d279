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
		"select 1$$a;b$$; select $a;$1;$b":     {"select 1$$a;b$$", "select $a", "$1", "$b"},
		`select E'a\';b'; select E'a' -- ;
			'b\';c'; select E'a' 'b\'; select 1`: {
			`select E'a\';b'`, "select E'a' -- ;\n\t\t\t'b\\';c'", `select E'a' 'b\'`, "select 1",
		},
		`create or replace function f() returns int begin atomic; select case when a.end then case 1 when 1 then 2 end
			end as end; select (case 1 when 1 then 1 end); end; select 1`: {
			`create or replace function f() returns int begin atomic; select case when a.end then case 1 when 1 then 2 end
			end as end; select (case 1 when 1 then 1 end); end`, "select 1",
		},
		"create procedure p(begin int) begin atomic select begin from t; end; select 1": {
			"create procedure p(begin int) begin atomic select begin from t; end", "select 1",
		},
		"create function f() return case 1 when 1 then 2 end; begin; select 1; end": {
			"create function f() return case 1 when 1 then 2 end", "begin", "select 1", "end",
		},
		"begin atomic; select 1; create view v as select begin atomic from t; end": {
			"begin atomic", "select 1", "create view v as select begin atomic from t", "end",
		},
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

// With standard_conforming_strings off, a backslash escapes in a string, and nowhere else.
func TestBackslashes(t *testing.T) {
	l := Lexer{Backslashes: true}
	for sql, want := range map[string]string{
		`'a\';b' c`: `'a\';b'`, `'a''\'b' c`: `'a''\'b'`, `"a\" b`: `"a\"`, `b'1\' 2`: `b'1\'`, `$$\$$ '`: `$$\$$`,
	} {
		if end, kind, whole := l.Token(sql, 0); sql[:end] != want || kind != Quoted || !whole {
			t.Errorf("%s: got %s, %v, %v", sql, sql[:end], kind, whole)
		}
	}
}

// A token that is whole remains the same whatever follows it, so that SQL can be read from a stream.
func FuzzWholeTokens(f *testing.F) {
	f.Add(`select 'a''b' || E'a\'b' "c""d" $$e$$ $f$ $$ $f$ /* /* */ */ -- g`, "\n'h", false)
	f.Add(`E'a' `, "\n -- x\n 'b\\'c'", true)
	f.Add(`$a`, "b$ c $ab$ -", false)
	f.Add(`-`, "- x\n", false)
	f.Fuzz(func(t *testing.T, begins, rest string, backslashes bool) {
		l := Lexer{backslashes}
		for i := 0; i < len(begins); {
			end, kind, whole := l.Token(begins, i)
			if end <= i || end > len(begins) {
				t.Fatalf("%q at %d: ends at %d", begins, i, end)
			}
			if !whole {
				break
			}
			if e, k, w := l.Token(begins+rest, i); e != end || k != kind || !w {
				t.Fatalf("%q at %d ends at %d, with %q at %d", begins, i, end, rest, e)
			}
			i = end
		}
	})
}
