package migration

import "testing"

func TestCanonical(t *testing.T) {
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"line endings":                 {"select 1;\nselect 2;\n", "select 1;\r\nselect 2;\r\n", true},
		"line endings in a string":     {"select 'a\nb';", "select 'a\r\nb';", true},
		"line endings in a body":       {"do $$begin\nend$$;", "do $$begin\r\nend$$;", true},
		"line endings in a comment":    {"/* a\nb */ select 1;", "/* a\r\nb */ select 1;", true},
		"indentation":                  {"create table t (\n  id int\n);", "create table t (\n\tid   int);", true},
		"space around punctuation":     {"select f(1, 2) ;", "select f ( 1,2 );", true},
		"blank lines and the last one": {"select 1;\n\n\nselect 2;", "select 1;\nselect 2;\n\n", true},
		"blanks at the end of lines":   {"select 1; -- one\nselect 2;", "select 1;  -- one  \t\nselect 2;  ", true},
		"spaces in a string":           {"select 'a b';", "select 'a  b';", false},
		"spaces in an identifier":      {`select 1 as "a b";`, `select 1 as "a  b";`, false},
		"spaces in a body":             {"do $$begin end$$;", "do $$begin  end$$;", false},
		"a comment's words":            {"select 1; -- one", "select 1; -- two", false},
		"a comment's spaces":           {"select 1; -- a b", "select 1; -- a  b", false},
		"a comment that went":          {"select 1; -- one\n", "select 1;\n", false},
		"what a comment covers":        {"select 1; -- a\nselect 2;", "select 1; -- a select 2;", false},
		"two strings or one":           {"select 'a'\n'b';", "select 'a''b';", false},
		"an operator or two":           {"select 1 - -1;", "select 1--1;\n;", false},
		"two words or one":             {"select a b;", "select ab;", false},
		"the case of a word":           {"select a;", "SELECT a;", false},
		"the part that goes down":      {"-- migrate:down\nselect 2;", "-- migrate:down\nselect 3;", false},
		"an option of the file":        {"select 1;\n-- migrate:down", "select 1;\n-- migrate:down transaction:false", false},
	} {
		t.Run(name, func(t *testing.T) {
			if same := canonical(c.a) == canonical(c.b); same != c.same {
				t.Errorf("%q and %q", canonical(c.a), canonical(c.b))
			}
		})
	}
}
