package sqltext_test

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

func TestUnclosed(t *testing.T) {
	for sql, want := range map[string]string{
		"select 'a": "a quoted text", `select "a`: "a quoted text", "select $$ a $": "a quoted text",
		"do $x$ begin end $y$": "a quoted text", "select E'a\\'": "a quoted text", "select 1 /* a /* b */": "a comment",
		"select 'a'": "", `select "a"`: "", "select $$ a $$": "", "select E'a'": "", "select 'a' /* b */": "",
		"select 1 -- it's": "", "select 'it''s'": "", "": "", "select 1 -": "", "select a": "",
	} {
		if offset, got := sqltext.Unclosed(sql); got != want || got != "" && offset < 3 {
			t.Errorf("%s: %q at %d", sql, got, offset)
		}
	}
}
