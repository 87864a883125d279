package sqltext_test

import (
	"slices"
	"testing"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

func TestLeading(t *testing.T) {
	for sql, want := range map[string][]string{
		"ROLLBACK /* x */ To -- y\n sp": {"rollback", "to", "sp"},
		`Create Table "Odd; name".x ()`: {"create", "table", `"Odd; name"`, "."},
		"$$ commit; $$":                 {"$$ commit; $$"},
	} {
		statements := sqltext.Statements(sql)
		if got := sqltext.Leading(sql, statements[0], 4); len(statements) != 1 || !slices.Equal(got, want) {
			t.Errorf("%s: got %q", sql, got)
		}
	}
}

func TestUnquote(t *testing.T) {
	for token, want := range map[string]string{
		"Users": "users", "Übung_IDX": "Übung_idx", `"Odd ""name"""`: `Odd "name"`, "é": "é", "_x": "_x",
		"": "", "1": "", "'text'": "", ".": "", "$$x$$": "", `"open`: "",
	} {
		if got, ok := sqltext.Unquote(token); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %t", token, got, ok)
		}
	}
}
