package migration_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// What fails in the body of DO or of a function has its place in the file, or is at the statement that ran. want begins
// with that place, counted from the line after migrate:up, and the text that stands there.
func TestFailureInABody(t *testing.T) {
	const called = "create function g() returns int language plpgsql as $$\nbegin\n  return 1/0;\nend $$;\n"
	for name, c := range map[string]struct{ sql, place, at, context string }{
		"syntax in PL/pgSQL": {
			"select 1;\n\ncreate function f() returns int\nlanguage plpgsql as\n$f$\nbegin\n  /* é */ selec 1;\nend $f$",
			"7:11", "selec 1;", ""},
		"syntax in SQL": {
			"create function f() returns int language sql as $$\nselect 1;\nselec 2;\n$$", "3:1", "selec 2;", ""},
		"a name in SQL": {
			"create function f() returns int language sql\nas 'select ''a'';\nselect nothing from a'", "3:8", "nothing", ""},
		"an atomic body": {
			"create function f() returns int language sql\nbegin atomic\nselect 1;\nselect nothing;\nend",
			"4:8", "nothing", ""},
		"escapes": {
			"create function f() returns int language sql\nas E'select \\'a\\';\nselect nothing from a'", "3:8", "nothing", ""},
		"the same body twice": {
			"create function e() returns int language plpgsql as 'begin return 1; end';\n" +
				"set check_function_bodies = off;\n" +
				"create function f() returns int language plpgsql as $$\nbegin\n selec 1;\nend $$;\n" +
				"set check_function_bodies = on;\ncreate function g() returns int language plpgsql as $$\nbegin\n selec 1;\nend $$",
			"10:2", "selec 1;", ""},
		"without a position": {
			"create function f() returns int language plpgsql as $$\ndeclare\n  x anyelement;\nbegin\n return 1;\nend $$",
			"3:3", "x anyelement;", `; in compilation of PL/pgSQL function "f" near line 3`},
		"DO": {
			"select 1;\ndo $$\nbegin\n  perform 1;\n  perform 1/0;\nend $$", "5:11", "1/0;", ""},
		"DO in a quoted text": {
			"do language 'plpgsql' 'begin\n  perform ''a'';\n  perform ''b''::int;\nend'", "3:11", "''b''", ""},
		"a statement of several lines": {
			"do $$\nbegin\n  insert into a\n  values (1),\n  (nothing);\nend $$", "5:4", "nothing", ""},
		"a name in a condition": {
			"do $$\nbegin\n  if 1 = 1 and\n    nothing then\n    null;\n  end if;\nend $$", "4:5", "nothing", ""},
		"a second statement of a line": {
			"do $$ declare x int;\nbegin x := 1; raise exception 'no'; end $$", "2:15", "raise", ""},
		"a variable": {
			"do $$\ndeclare\n  a int;\n  x int := 1/0;\nbegin\nend $$", "4:12", "1/0;", ""},
		"a function's body in it": {
			"select 1;\ndo $$\nbegin\n  create function f() returns int language plpgsql as 'begin\n" +
				"   selec 1;\n  end';\nend $$",
			"5:4", "selec 1;", ""},
		"an SQL function's body in it": {
			"do $$\nbegin\n  create function f() returns int language sql as $f$\n select nothing $f$;\nend $$",
			"4:9", "nothing", ""},
		"a function's head in it": {
			"do $$\nbegin\n  create function f(i\n  int default nothing) returns int language sql as $f$\n" +
				" select 1 $f$;\nend $$",
			"4:15", "nothing", ""},
		"a function that it puts together": {
			"do $$\nbegin\n  execute 'create function f() returns int language sql as '\n" +
				"  || quote_literal('select nothing');\nend $$",
			"3:3", "execute", ""},
		"the syntax of DO in DO": {
			"do $a$\nbegin\n  do $b$\n  begin\n  selec 1;\n  end $b$;\nend $a$", "5:3", "selec 1;", ""},
		"DO in DO": {
			"do $a$\nbegin\n  do $b$\n  begin\n  perform 1/0;\n  end $b$;\nend $a$", "3:3", "do $b$",
			"; in PL/pgSQL function inline_code_block line 3 at PERFORM"},
		"INTO": {
			"do $$\ndeclare x int;\nbegin\n  select i into x from a where 1/0 = i;\nend $$", "4:3", "select i", ""},
		"Windows' line ends": {"do $$\r\nbegin\r\n  perform 1/0;\r\nend $$", "3:11", "1/0;", ""},
		"EXECUTE": {
			"do $$\nbegin\n  execute 'select ' || 'nothing';\nend $$", "3:3", "execute", ""},
		"a function in it": {
			called + "do $$\nbegin\n  perform g();\nend $$", "7:11", "g();", "; in PL/pgSQL function g() line 3 at RETURN"},
		"a function": {
			called + "select 1;\nselect g()", "6:1", "select g()", "; in PL/pgSQL function g() line 3 at RETURN"},
		"a function that is inlined": {
			"set check_function_bodies = off;\ncreate function g() returns int language sql as 'select nothing';\nselect g()",
			"3:1", "select g()", `; in SQL function "g" during inlining`},
		"a trigger": {
			"create function no() returns trigger language plpgsql as $$ begin\n  raise exception 'no';\nend $$;\n" +
				"create trigger x before insert on a for each row execute function no();\ninsert into a values (1)",
			"5:1", "insert", "; in PL/pgSQL function no() line 2 at RAISE"},
		"recursion": {
			"create function r(i int) returns int language plpgsql as $$ begin\n" +
				" return case i when 0 then 1/i else r(i-1) end;\nend $$;\nselect r(9)",
			"4:1", "select r(9)", "; in PL/pgSQL function r(integer) line 2 at RETURN, "},
		"a prepared statement": {
			"prepare p as select i from a where i = 1/$1;\nselect 1;\nexecute p(0)", "3:1", "execute p(0)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			m := files(t, "1_a.sql", up("create table a (i int); insert into a values (1)"), "2_b.sql", up(c.sql))
			_, err := migrate(t.Context(), url, m, options())
			var failure *migration.Error
			if !errors.As(err, &failure) || failure.Line < 1 {
				t.Fatalf("got %v", err)
			}
			text, _, _ := strings.Cut(failure.Error(), "\n")
			line := strings.Split(c.sql, "\n")[failure.Line-2]
			servertest.Equal(t, "place", fmt.Sprintf("%d:%d", failure.Line-1, failure.Column), c.place)
			servertest.Equal(t, "at "+text, string([]rune(line)[failure.Column-1:])[:len(c.at)], c.at)
			if _, context, _ := strings.Cut(text, "; in "); !strings.HasPrefix("; in "+context, c.context) ||
				c.context == "" && context != "" {
				t.Errorf("context: got %s", text)
			}
		})
	}
}

// Neither the error nor its picture shows what a statement was put together from while it ran.
func TestContextShowsNoData(t *testing.T) {
	const secret = "create table s (t text); insert into s values ('hush\nPL/pgSQL function hush() line 1 at RAISE\n'); " +
		"create function g() returns void language plpgsql as $$ begin\n" +
		"execute format('select %L, 1/0', t) from s; end $$"
	for name, sql := range map[string]string{
		"DO":         "do $$ begin\n  execute format('select %L, 1/0', t) from s;\nend $$",
		"a function": "select g()", "a function in DO": "do $$ begin perform g(); end $$",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := migrate(t.Context(), pgtest.Database(t), files(t, "1_a.sql", up(secret), "2_b.sql", up(sql)), options())
			if err == nil || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A position that the server gives in another text than the file is none in the file.
func TestPositionsElsewhere(t *testing.T) {
	const prepare = "create table a (i int); prepare p as select i from a where i = 1"
	const trigger = "create table a (i int); create function no() returns trigger language plpgsql as $$ begin\n" +
		"raise exception 'no'; end $$; create constraint trigger x after insert on a deferrable initially deferred " +
		"for each row execute function no()"
	for name, c := range map[string]struct{ first, second, want string }{
		"of another file's prepared statement": {
			prepare, "alter table a drop i;\n\nselect 1, 2, 3, 4, 5;\n\nexecute p", `2_b.sql:6:1: column "i" does not exist`},
		"of the record": {
			"select 1", "select 1;\nalter table schema_migrations rename version to v",
			"2_b.sql: its version could not be recorded in "},
		"of a deferred trigger": {
			trigger, "insert into a values (1)",
			"2_b.sql: its transaction could not be committed: no (SQLSTATE P0001); in PL/pgSQL function no() line 2 at RAISE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := files(t, "1_a.sql", up(c.first), "2_b.sql", up(c.second))
			_, err := migrate(t.Context(), pgtest.Database(t), m, options())
			if err == nil || !strings.HasPrefix(err.Error(), "db/migrations/"+c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestFailureInABodyOutsideATransaction(t *testing.T) {
	for name, c := range map[string]struct{ sql, want string }{
		"DO": {"do $$\nbegin\n  perform 1/0;\nend $$", ":4:11: division by zero"},
		"syntax in a later body": {
			"select 1;\ncreate function f() returns int language sql as $$\nselec 1;\n$$",
			`:4:1: syntax error at or near "selec"`},
		"EXECUTE":               {"prepare p as select 1/$1;\n\nexecute p(0)", ":4:1: division by zero"},
		"syntax behind EXECUTE": {"execute p;\n\nselec 1", `:4:1: syntax error at or near "selec"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := migrate(t.Context(), pgtest.Database(t), files(t, "1_a.sql", alone(c.sql)), options())
			if err == nil || !strings.HasPrefix(err.Error(), "db/migrations/1_a.sql"+c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
