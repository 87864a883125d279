package github

import (
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	const more = "The rest is elsewhere."
	for name, c := range map[string]struct {
		text string
		most int
		want string
	}{
		"fits": {"a\nb", 3, "a\nb"},
		"at a line's end": {strings.Repeat("line\n", 100), 300,
			strings.TrimSpace(strings.Repeat("line\n", 15)) + "\n\n" + more + "\n"},
		"one long line": {strings.Repeat("x", 400), 300, strings.Repeat("x", 75) + "\n\n" + more + "\n"},
		"characters":    {strings.Repeat("é", 400), 300, strings.Repeat("é", 75) + "\n\n" + more + "\n"},
		"surrogates":    {strings.Repeat("😀", 400), 300, strings.Repeat("😀", 37) + "\n\n" + more + "\n"},
		"an open block": {"```sql\n" + strings.Repeat("line\n", 100) + "```\n", 300,
			"```sql\n" + strings.Repeat("line\n", 13) + "```\n\n" + more + "\n"},
		"an open fold": {"<details>\n" + strings.Repeat("line\n", 100) + "</details>\n", 300,
			"<details>\n" + strings.Repeat("line\n", 13) + "\n</details>\n\n" + more + "\n"},
		"a closed block": {"```\nx\n```\n" + strings.Repeat("line\n", 100), 300,
			"```\nx\n```\n" + strings.TrimSpace(strings.Repeat("line\n", 13)) + "\n\n" + more + "\n"},
		"more folds than there is room for": {strings.Repeat("<details>", 7) + strings.Repeat("<details>\n", 100), 300,
			strings.Repeat("<details>", 7) + "<details>" + strings.Repeat("\n\n</details>", 8) + "\n\n" + more + "\n"},
	} {
		got := fit(c.text, more, c.most)
		if got != c.want {
			t.Errorf("%s: got %q\nwant %q", name, got, c.want)
		}
		if n := units(got); n > c.most {
			t.Errorf("%s: %d units", name, n)
		}
	}
}
