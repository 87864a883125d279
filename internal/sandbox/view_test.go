package main

import (
	"io"
	"strings"
	"testing"
)

// A log is shown as GitHub shows it: without what is masked, groups collapsed, annotations in words, long lines
// wrapped.
func TestView(t *testing.T) {
	var out strings.Builder
	v := &view{out: &printer{Writer: &out}}
	for _, piece := range []string{
		"::add-mask::s3cret\nfound s3", "cret of 2\n", "::group::log of ACME\n  one\n  two s3cret\n::endgroup::\n",
		"::error file=a.sql,line=5::ACME: no%0Awhat to do: 100%25\n", "  " + strings.Repeat("word ", 25) + "end\n",
		"no line break yet",
	} {
		if n, err := io.WriteString(v, piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	want := `  │ found *** of 2
  │   ▸ log of ACME (2 lines, collapsed)
  │ Error: ACME: no
  │ what to do: 100%
  │   (annotates a.sql, line 5)
  │   ` + strings.TrimSpace(strings.Repeat("word ", 19)) + `
  │       ` + strings.Repeat("word ", 6) + `end
`
	if out.String() != want {
		t.Errorf("shown:\n%swant:\n%s", out.String(), want)
	}
}

func TestWrap(t *testing.T) {
	for _, test := range [][3]string{
		{"short", "short", ""},
		{"exactly ten", "exactly", "ten"},
		{"größer als zehn", "größer", "als zehn"},
		{"    indented-and-long", "    indented-and-long", ""},
		{"unbreakable", "unbreakable", ""},
	} {
		if head, rest := wrap(test[0], 10); head != test[1] || rest != test[2] {
			t.Errorf("%q is cut into %q and %q", test[0], head, rest)
		}
	}
}
