package migration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// How ours may differ from drizzle over a file.
const (
	alike   = ""
	refuses = "refused" // before any database is touched, where drizzle applies it
	applies = "applied" // where drizzle fails
)

// hostileFiles are what a person may write, with breakpoints (|) in odd places. @ begins names of the case's own.
var hostileFiles = []struct{ name, sql, differs string }{
	{"no semicolon before it", "create table @a (x int)|create table @b (x int)", alike},
	{"a line comment before it", "create table @a (x int) -- the first|\ncreate table @b (x int)", alike},
	{"a comment of dashes only", "create table @a (x int)\n--|\ncreate table @b (x int)\n--", alike},
	{"text on its line", "create table @a (x int); -- x| create table @b (x int)", alike},
	{"CRLF", "create table @a (\r\n x int);\r\n|\r\ncreate table @b (x int);\r\n", alike},
	{"several statements", "create table @a (x int); insert into @a values (1);|create table @b (); drop table @b", alike},
	{"empty parts", "||\ncreate table @a (x int);\n|\n \n|\n-- nothing\n|", alike},
	{"blanks only", " \t\n|\n\t \n|\n", alike},
	{"an empty file", "", alike},
	{"a comment only", "-- Custom SQL migration file, put your code below! --", alike},
	{"semicolons only", ";|;;|create table @a (x int);;", alike},
	{"selects", "select 1;|select 'a', 2|select", alike},
	{"placeholders", "create table @a (x text default '$1 ? :name %s'); select $$ $1 $$", alike},
	{"a body", "create function @f() returns int language sql as $f$ select 1; $f$;|select @f()", alike},
	{"an atomic body", "create function @f() returns int begin atomic select 1; end;|select @f()", alike},
	{"another marker", "create table @a (x int); --->statement-breakpoint\ncreate table @b (x int)", alike},
	{"a marker in upper case", "create table @a (x int) --> STATEMENT-BREAKPOINT\n; create table @b (x int)", alike},
	{"a setting of its own", "set local statement_timeout = '1min';|create table @a (x int)", alike},

	{"in a string", "create table @a (x text default 'one | two')", alike},
	{"in an escape string", `create table @a (x text default E'it\'s | two')`, alike},
	{"in a body", "do $$ begin\n|\nperform 1; end $$", alike},
	{"in an identifier", `create table "@a | b" (x int)`, alike},
	{"in a block comment", "create table @a (x int) /* one | two */", alike},
	{"in a nested comment", "/* a /* b */ | */ create table @a (x int)", alike},
	{"in a statement", "create table @a (x int, | y int)", alike},
	{"in a union", "create view @a as select 1 as x | union select 2", alike},
	{"in parentheses that end", "create table @a (x int)|)", alike},
	{"concurrently", "create table @a (x int);|create index concurrently on @a (x)", alike},
	{"a new value in use", "create type @e as enum ('a');|alter type @e add value 'b';|select 'b'::@e", alike},
	{"a failure at the end", "create table @a (x int);|select 1/0", alike},
	{"a copy", "create table @a (x int);|copy @a from stdin", alike},
	{"a byte order mark", "\ufeffcreate table @a (x int)", alike},
	{"a byte of zero", "create table @a (x text default '\x00')", alike},

	{"a commit", "create table @a (x int);|commit;|create table @b (x int)", refuses},
	{"a transaction", "begin;|create table @a (x int);|commit;", refuses},
	{"not UTF-8", "create table @a (x text default '\xff')", refuses},
	{"a string that ends by a setting", `set standard_conforming_strings = off;|select '\''`, refuses},
}

// TestBesideDrizzleHostileFiles gives each file to both, as the next one of a history.
func TestBesideDrizzleHostileFiles(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		theirs, ours := pgtest.Database(t), pgtest.Database(t)
		var history []drizzletest.File
		for i, c := range hostileFiles {
			text := strings.NewReplacer("|", "--> statement-breakpoint", "@", fmt.Sprintf("n%d", i)).Replace(c.sql)
			next := append(history[:len(history):len(history)], numberedAs(i, "next", text))
			folder := drizzletest.Write(t, line, next...)
			theirError := byThem(t, line, theirs, folder)
			_, ourError := byUs(t, ours, folder)
			differs := alike
			switch {
			case theirError == nil && ourError == nil:
				history = next
			case theirError == nil:
				differs = refuses
				theirs = pgtest.Database(t)
				must(t, "drizzle, without it", byThem(t, line, theirs, drizzletest.Write(t, line, history...)))
			case ourError == nil:
				differs = applies
			}
			if differs != c.differs {
				t.Errorf("%s: %q, want %q; drizzle says %v, and ours %v", c.name, differs, c.differs, theirError, ourError)
			}
		}
		servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, theirs))
		nothingLeft(t, line, ours, drizzletest.Write(t, line, history...))
	})
}

// TestBesideDrizzleSeveralPending has files that behave otherwise where all that are pending share a transaction and a
// session, as in drizzle, than where each is by itself, as in ours and in drizzle's next run.
func TestBesideDrizzleSeveralPending(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		for _, pending := range [][]string{
			{"create type e as enum ('a'); alter type e add value 'b'", "create table a (x e default 'b')"},
			{"set search_path = ''", "create table a (x int)"},
			{"create schema s; set search_path = s", "create table a (x int)"},
		} {
			together, one, ours := pgtest.Database(t), pgtest.Database(t), pgtest.Database(t)
			files := numbered(append([]string{"select 1"}, pending...)...)
			folder := drizzletest.Write(t, line, files...)
			for i := range files {
				must(t, "drizzle, one by one", byThem(t, line, one, drizzletest.Write(t, line, files[:i+1]...)))
			}
			err := byThem(t, line, together, folder)
			_, ourError := byUs(t, ours, folder)
			must(t, "ours", ourError)
			servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, one))
			nothingLeft(t, line, ours, folder)
			if err == nil {
				servertest.Equal(t, "hashes", hashes(t, together), hashes(t, ours))
			}
		}
	})
}
