package secrets

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestRewrite(t *testing.T) {
	const frame = "name: x\nenv:\n    # neon-tenants:begin\n%s    # neon-tenants:end\n  OTHER: 1 \t\n" +
		"# last line without end"
	file := func(block string) string { return strings.Replace(frame, "%s", block, 1) }
	line := func(names ...string) string {
		var b strings.Builder
		for _, n := range names {
			b.WriteString("    " + n + ": ${{ secrets." + n + " }}\n")
		}
		return b.String()
	}
	for _, test := range []struct {
		before         string
		names          []string
		want           string
		added, removed int
	}{
		{file(""), []string{"B_URL", "A_URL", "B_URL"}, file(line("A_URL", "B_URL")), 2, 0},
		{file(line("A_URL", "B_URL")), []string{"A_URL", "B_URL"}, file(line("A_URL", "B_URL")), 0, 0},
		{
			file("  # a comment\n" + line("GONE", "B_URL")), []string{"A_URL", "B_URL"},
			file(line("A_URL", "B_URL")), 1, 1,
		},
		{file(line("A_URL")), nil, file(""), 0, 1},
		{crlf(file(line("A_URL"))), []string{"A_URL", "C"}, crlf(file(line("A_URL", "C"))), 1, 0},
		{"# neon-tenants:begin\r\n# neon-tenants:end", []string{"A"},
			"# neon-tenants:begin\r\nA: ${{ secrets.A }}\r\n# neon-tenants:end", 1, 0},
		{"\t# neon-tenants:begin\nx\n # neon-tenants:end\n", []string{"A"},
			"\t# neon-tenants:begin\n\tA: ${{ secrets.A }}\n # neon-tenants:end\n", 1, 0},
	} {
		got, added, removed, err := Rewrite(test.before, test.names)
		if err != nil || got != test.want || added != test.added || removed != test.removed {
			t.Errorf("%q with %v:\n%q, want\n%q; %d, %d, %v", test.before, test.names, got, test.want, added, removed,
				err)
		}
		again, _, _, err := Rewrite(got, test.names)
		if err != nil || again != got {
			t.Errorf("rewritten twice: %q, %v", again, err)
		}
	}
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func TestRewriteNeedsItsMarkers(t *testing.T) {
	for file, want := range map[string]string{
		"":                       "has no lines",
		"env:\n  A: 1\n":         "has no lines",
		"# neon-tenants:begin\n": "has no line # neon-tenants:end",
		"# neon-tenants:end\n":   "has no line # neon-tenants:begin",
		"# neon-tenants:end\n# neon-tenants:begin\n":                     "after its",
		"# neon-tenants:begin\n# neon-tenants:begin\n":                   "twice",
		"# neon-tenants:begin\n# neon-tenants:end\n# neon-tenants:end\n": "twice",
		"x # neon-tenants:begin\n# neon-tenants:end\n":                   "before its",
	} {
		_, _, _, err := Rewrite(file, []string{"A"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
		if want != "twice" && !strings.Contains(fleet.Remedy(err),
			"env:\n  # neon-tenants:begin\n  # neon-tenants:end") {
			t.Errorf("%q: the remedy does not show what to add: %s", file, fleet.Remedy(err))
		}
	}
}

// FuzzRewrite checks that every byte outside the markers stays.
func FuzzRewrite(f *testing.F) {
	f.Add("env:\r\n  # neon-tenants:begin\r\n  # neon-tenants:end\r\n", "A,B")
	f.Add("# neon-tenants:begin\nA: x\n# neon-tenants:end", "")
	f.Fuzz(func(t *testing.T, file, list string) {
		var names []string
		for name := range strings.SplitSeq(list, ",") {
			if secretForm.MatchString(name) {
				names = append(names, name)
			}
		}
		text, _, _, err := Rewrite(file, names)
		if err != nil {
			return
		}
		again, added, removed, err := Rewrite(text, names)
		if err != nil || again != text || added+removed != 0 {
			t.Errorf("rewritten twice: %q and %q, %d, %d, %v", text, again, added, removed, err)
		}
		i, j := strings.Index(file, BeginMarker), strings.LastIndex(file, EndMarker)
		if !strings.HasPrefix(text, file[:i]) || !strings.HasSuffix(text, file[j:]) {
			t.Errorf("%q became %q", file, text)
		}
	})
}
