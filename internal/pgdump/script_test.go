package pgdump

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// pieces reads a script to its end: statements, each COPY with its data after a line of its own. size is how much is
// read of the data at once.
func pieces(r io.Reader, backslashes bool, size int) ([]string, error) {
	var list []string
	s := newScript(r)
	s.lexer.Backslashes = backslashes
	for {
		sql, err := s.next()
		if err == io.EOF { //nolint:errorlint // the script's own
			return list, s.finish()
		}
		if err != nil {
			return list, err
		}
		if roleOf(sql, s.lexer) == copies {
			data, err := s.data()
			if err != nil {
				return list, err
			}
			var all []byte
			for err == nil {
				var n int
				p := make([]byte, size)
				n, err = data.Read(p)
				all = append(all, p[:n]...)
			}
			if data.failed() != nil {
				return list, err
			}
			sql += "\n" + string(all)
		}
		list = append(list, sql)
	}
}

const wholeDump = "--\n-- PostgreSQL database dump; not a statement\n--\n\n\\restrict Key1\n\n" +
	"SET standard_conforming_strings = on;\n;\n" +
	"CREATE FUNCTION f() RETURNS integer\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND;\n\n" +
	"CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $_$ begin commit; end; $_$;\n" +
	"CREATE RULE r AS ON INSERT TO t DO ( SELECT 1; SELECT 2; );\n" +
	"COMMENT ON TABLE t IS 'a; b''; c \\';\n/* ; /* ; */ ; */\n" +
	"COPY public.\"a; b\" (i, \"from\") FROM stdin;\n1\t\\\\.\n\\.x\n\\N\n\n\\.\n\n\n" +
	"COPY empty FROM stdin;\n\\.\n\n\nSELECT 'last';\n" +
	"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict Key1\n\n"

func TestScript(t *testing.T) {
	want := []string{
		"SET standard_conforming_strings = on",
		"CREATE FUNCTION f() RETURNS integer\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND",
		"CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $_$ begin commit; end; $_$",
		"CREATE RULE r AS ON INSERT TO t DO ( SELECT 1; SELECT 2; )",
		`COMMENT ON TABLE t IS 'a; b''; c \'`,
		"COPY public.\"a; b\" (i, \"from\") FROM stdin\n1\t\\\\.\n\\.x\n\\N\n\n",
		"COPY empty FROM stdin\n",
		"SELECT 'last'",
	}
	for _, size := range []int{1, 3, 65531} {
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(wholeDump), "bytes": iotest.OneByteReader(strings.NewReader(wholeDump)),
			"with its end": iotest.DataErrReader(strings.NewReader(wholeDump)),
		} {
			got, err := pieces(r, false, size)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s, %d at once: %v (-want +got):\n%s", name, size, err, diff)
			}
		}
	}
}

func TestScriptRefuses(t *testing.T) {
	for sql, phrase := range map[string]string{
		"\\! touch x\n" + endMarker:                             "a command of psql's",
		"select 1 \\g x\n" + endMarker:                          "a command of psql's",
		"\\restrict\n" + endMarker:                              "a command of psql's",
		"\\restrict a; \\! touch x\n" + endMarker:               "a command of psql's",
		"\\restrict a\n\\restrict a\n":                          "do not match",
		"select 1;\n\\restrict a\n":                             "do not match",
		"\\unrestrict a\n":                                      "do not match",
		"\\restrict a\n\\unrestrict b\n":                        "do not match",
		"\\restrict a\n\\unrestrict a\nselect 1;\n" + endMarker: "after its \\unrestrict",
		"\\restrict a\nselect 1;\n" + endMarker:                 "does not end with its \\unrestrict a",
		"select 1":                                              "in the middle of a statement",
		"select 'a;\n" + endMarker:                              "in the middle of a statement",
		"/* \n" + endMarker:                                     "in the middle of a statement",
		"copy a from stdin; select 1;\n\\.\n":                   "does not begin on the next line",
		"copy a from stdin;":                                    "does not begin on the next line",
		"copy a from stdin;\n1\n":                               "in the middle of a table's data",
		"copy a from stdin;\n1\\.\n" + endMarker:                "in the middle of a table's data",
		"select 1;\n":                                           "lack the line",
		"":                                                      "lack the line",
	} {
		_, err := pieces(strings.NewReader(sql), false, 10)
		if bad := (*BackupError)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), phrase) {
			t.Errorf("%q: got %v", sql, err)
		}
	}
	gone := errors.New("gone")
	if _, err := pieces(iotest.ErrReader(gone), false, 1); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

// chunked returns a few bytes at a time, as many as the next of sizes says.
type chunked struct {
	rest  []byte
	sizes []byte
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := len(c.rest)
	if len(c.sizes) > 0 {
		n, c.sizes = min(n, int(c.sizes[0])), append(c.sizes[1:], c.sizes[0])
	}
	n = copy(p, c.rest[:n])
	c.rest = c.rest[n:]
	return n, nil
}

// However a script is cut into reads, it has the same statements and data, and the same fault.
func FuzzScript(f *testing.F) {
	f.Add(wholeDump, []byte{1, 7}, 3, false)
	f.Add(strings.Replace(wholeDump, "= on", "= off", 1), []byte{2}, 1, true)
	f.Add("copy a from stdin;\r\n\\\n\\.\r\n"+endMarker, []byte{1}, 2, false)
	f.Add("select E'a' -- x\n'b\\';' $a$;$a$ /*", []byte{5, 1, 0}, 9, false)
	f.Fuzz(func(t *testing.T, sql string, sizes []byte, size int, backslashes bool) {
		if bytes.Count(sizes, []byte{0}) == len(sizes) {
			sizes = nil // it would never end
		}
		want, wantErr := pieces(strings.NewReader(sql), backslashes, len(sql)+1)
		got, err := pieces(&chunked{[]byte(sql), sizes}, backslashes, 1+(size&0x7fffffff)%100)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (wantErr == nil) ||
			err != nil && err.Error() != wantErr.Error() {
			t.Errorf("%q: %v, not %v (-want +got):\n%s", sql, err, wantErr, diff)
		}
		for _, statement := range got {
			label(statement, sqltext.Lexer{})
		}
	})
}

// A row of any length passes by in pieces, and a statement is held whole.
func TestDataIsNotHeld(t *testing.T) {
	const size = 20 << 20
	row := strings.Repeat("x", size)
	s := newScript(strings.NewReader("select '" + row + "';\ncopy a from stdin;\n" + row + "\n\\.\n" + endMarker))
	if sql, err := s.next(); err != nil || len(sql) != len("select ''")+size {
		t.Fatalf("%d bytes, %v", len(sql), err)
	}
	if sql, err := s.next(); err != nil || sql != "copy a from stdin" {
		t.Fatalf("%s, %v", sql, err)
	}
	data, err := s.data()
	if err != nil {
		t.Fatal(err)
	}
	read, most, p := 0, 0, make([]byte, 65531)
	for err == nil {
		var n int
		n, err = data.Read(p)
		if read += n; read > size/4*3 { // what was read ahead of the statement's end has been used up
			most = max(most, len(s.text))
		}
	}
	if read != size+1 || data.failed() != nil || most > 2*copyBuffer {
		t.Errorf("%d bytes, %v, %d held", read, err, most)
	}
}

func TestRoles(t *testing.T) {
	for sql, want := range map[string]role{
		"BEGIN": opens, "begin /* x */": opens, "COMMIT": closes,
		"BEGIN READ WRITE": forbidden, "begin; ": forbidden, "START TRANSACTION": forbidden, "commit and chain": forbidden,
		"COMMIT/**/WORK": forbidden, "COMMIT PREPARED 'x'": forbidden, "END": forbidden, "-- x\nEnd": forbidden,
		"rollback": forbidden, "ROLLBACK TO a": forbidden, "abort": forbidden, "savepoint a": forbidden,
		"release a": forbidden, "PREPARE TRANSACTION 'x'": forbidden, "DISCARD ALL": forbidden,
		"prepare p as select 1": ordinary, "SELECT 1": ordinary, "": ordinary, `"commit"`: ordinary,
		"create function f() begin atomic; end": ordinary, "do $$ begin commit; end $$": ordinary,
		"COPY public.a (i, \"from\") FROM stdin": copies, "copy a from stdin": copies, `COPY "a; b".c FROM stdin`: copies,
		"COPY a FROM stdin WITH (FORMAT csv)": foreign, "copy a from stdin;": foreign, "copy a from 'stdin'": foreign,
		"COPY (select ';') FROM stdin": foreign, "copy (select 1) to stdout": foreign, "copy a from program 'x'": foreign,
	} {
		if got := roleOf(sql, sqltext.Lexer{}); got != want {
			t.Errorf("%s: got %d, want %d", sql, got, want)
		}
	}
}

func TestLabels(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE MATERIALIZED VIEW public.m AS\n SELECT 1":        "create materialized view public.m",
		"CREATE TABLE public.\"Odd; (name)\" (\n i integer\n)":   `create table public."Odd; (name)"`,
		"ALTER TABLE ONLY public.a\n    ADD CONSTRAINT k UNIQUE": "alter table only public.a add constraint k unique",
		"INSERT INTO public.a VALUES (1, 'secret')":              "insert into public.a",
		"INSERT INTO public.a (i) VALUES (1)":                    "insert into public.a",
		"SELECT pg_catalog.setval('public.s', 7, true)":          "select pg_catalog.setval",
		"SET transaction_timeout = 0":                            "set transaction_timeout",
		"SELECT 42, 'x'":                                         "select",
		"COMMENT ON TABLE public.a IS 'secret'":                  "comment on table public.a is",
		"REFRESH MATERIALIZED VIEW public.m":                     "refresh materialized view public.m",
		"commit and chain":                                       "commit and chain",
		`CREATE SCHEMA "Odd; ""schema"""`:                        `create schema "Odd; ""schema"""`,
	} {
		if got := label(sql, sqltext.Lexer{}); got != want {
			t.Errorf("%s: got %q", sql, got)
		}
	}
	if got := label(strings.Repeat("a ", 1000), sqltext.Lexer{}); len(got) > 130 {
		t.Errorf("%d bytes", len(got))
	}
}
