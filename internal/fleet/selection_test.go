package fleet

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSelection(t *testing.T) {
	type match struct {
		patterns string // blanks stand for line breaks
		name, id string
		want     bool
	}
	for _, test := range []match{
		{"*", "acme", "x", true},
		{"*", "", "", true},
		{"acme", "acme", "x", true},
		{"acme", "acme-2", "x", false},
		{"acme", "not-acme", "x", false},
		{"Acme", "acme", "x", false},
		{"acme-*", "acme-", "x", true},
		{"*corp", "acme corp", "x", true},
		{"a*c*e", "abcde", "x", true},
		{"a**e", "ae", "x", true},
		{"a*c*e", "abde", "x", false},
		// one character, not one byte
		{"?", "é", "x", true},
		{"?", "日", "x", true},
		{"??", "日", "xyz", false},
		{"?", "", "", false},
		{"日*", "日本", "x", true},
		{"[あ-ん]", "か", "x", true},
		{"[あ-ん]", "カ", "xx", false},
		// any character, including line breaks and slashes
		{"a*b", "a\nb", "x", true},
		{"a?b", "a/b", "x", true},
		{"a*", "a/b/c", "x", true},
		// a comma separates patterns, unless it is escaped; a glob can match one
		{"a?b", "a,b", "x", true},
		{`a\,*`, "a,b", "x", true},
		{`b,a\,*`, "a,b", "x", true},
		{`a\\,b`, "a,b", "x", false},
		{"b,!a*,c", "c", "x", true},
		{",,acme,,", "acme", "x", true},
		// the id counts like the name
		{"x-*", "acme", "x-1", true},
		{"* !x-1", "acme", "x-1", false},
		// later wins
		{"* !acme", "acme", "x", false},
		{"!acme *", "acme", "x", true},
		{"* !a* acme", "acme", "x", true},
		{"* !a* acme", "axel", "x", false},
		{"acme !acme acme !acme", "acme", "x", false},
		{"a* !*-test !b", "a-test", "x", false},
		// a list that begins by excluding begins with all
		{"!acme", "acme", "x", false},
		{"!acme", "globex", "x", true},
		{"!a* !b*", "c", "x", true},
		{"!a* acme", "acme", "x", true},
		{"!*", "acme", "x", false},
		// sets
		{"[abc]", "b", "x", true},
		{"[abc]", "d", "x", false},
		{"[a-c]1", "b1", "x", true},
		{"[!a-c]", "d", "x", true},
		{"[^a-c]", "b", "xx", false},
		{"[]]", "]", "x", true},
		{"[!]]", "]", "xx", false},
		{"[a-]", "-", "x", true},
		{"[-a]", "-", "x", true},
		{"[a!]", "!", "x", true},
		{"[*?]", "*", "x", true},
		{"[*?]", "a", "xx", false},
		{`[\]]`, "]", "x", true},
		{`[\\]`, `\`, "x", true},
		{`[\a-c]`, "b", "x", true},
		{`[+-\]]`, "A", "x", true},
		{`[+-\]]`, "]", "x", true},
		{`[+-\]]`, "^", "xx", false},
		// escapes
		{`\*`, "*", "x", true},
		{`\*`, "a", "x", false},
		{`\[x]`, "[x]", "1", true},
		{`\!acme`, "!acme", "x", true},
		{`\\`, `\`, "x", true},
		{`\a`, "a", "x", true},
		// what regular expressions would read differently
		{"a.c", "abc", "x", false},
		{"(a|b)+$^{2}", "(a|b)+$^{2}", "x", true},
		{`a\d`, "a1", "x", false},
		{`[\d]`, "1", "xx", false},
		{"[[:alpha:]]", "a", "xx", false},
	} {
		tenant := Tenant{Name: test.name, ID: test.id}
		s, err := Resolve(strings.Join(strings.Fields(test.patterns), "\n"), []Tenant{tenant})
		if err != nil {
			t.Errorf("%s: %v", test.patterns, err)
			continue
		}
		if got := s.Matches(tenant); got != test.want {
			t.Errorf("%s on %q (%s): %v, want %v", test.patterns, test.name, test.id, got, test.want)
		}
	}
}

func TestSelectionMistakes(t *testing.T) {
	const none = `names no tenant; write names, ids or globs such as acme-*, or "*" for every tenant`
	for text, want := range map[string]string{
		"":             none,
		" \n\t\r\n":    none,
		",":            none,
		"# everyone\n": none,
		"fine\n!":      `the pattern "!" is empty; write a tenant's name, its id, or a glob such as acme-*`,
		"fine,! ":      `the pattern "!" is empty; write a tenant's name, its id, or a glob such as acme-*`,
		`a\`:           `the pattern "a\\" ends in a single \; write \\ for a literal backslash`,
		"fine\na[b":    `the pattern "a[b" has a [ without a ]; write \[ for a literal bracket`,
		"[]]a, [":      `the pattern "[" has a [ without a ]; write \[ for a literal bracket`,
		"[!]":          `the pattern "[!]" has a [ without a ]; write \[ for a literal bracket`,
		`[\`:           `the pattern "[\\" has a [ without a ]; write \[ for a literal bracket`,
		`[a\]`:         `the pattern "[a\\]" has a [ without a ]; write \[ for a literal bracket`,
		"![z-a]":       `the pattern "![z-a]" has the reversed range z-a`,
		`["a", 1]`:     `the pattern "[\"a\"" has a [ without a ]; write \[ for a literal bracket`,
	} {
		if _, err := Resolve(text, crowd(3)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestSelect(t *testing.T) {
	tenants := []Tenant{{Name: "acme", ID: "1"}, {Name: "globex", ID: "2"}, {Name: "acme", ID: "3"},
		{Name: "initech", ID: "4"}}
	for _, test := range []struct {
		patterns string // blanks stand for line breaks
		chosen   string // ids
		idle     []string
	}{
		{"*", "1 2 3 4", nil},
		{"acme", "1 3", nil},
		{"4 acme", "1 3 4", nil},
		{"acmee glob* init", "2", []string{"acmee", "init"}},
		{"!nobody", "1 2 3 4", []string{"!nobody"}}, // whoever was to be left out is not
		{"* !no*", "1 2 3 4", []string{"!no*"}},
		{"* !*", "", nil},
		{"acme !acme", "", nil}, // a pattern whose tenants are excluded again is not idle
		{"[]", "", nil},
	} {
		s, err := Resolve(strings.ReplaceAll(test.patterns, " ", "\n"), tenants)
		if err != nil {
			t.Fatal(err)
		}
		chosen, idle := s.Select(tenants)
		if got := ids(chosen, ""); got != test.chosen {
			t.Errorf("%s chose %s, want %s", test.patterns, got, test.chosen)
		}
		if diff := cmp.Diff(test.idle, idle); diff != "" {
			t.Errorf("%s: idle (-want +got):\n%s", test.patterns, diff)
		}
	}
}

// ids joins the tenants' ids, but those left out, with blanks.
func ids(tenants []Tenant, without string) string {
	var all []string
	for _, t := range tenants {
		if t.ID != without {
			all = append(all, t.ID)
		}
	}
	return strings.Join(all, " ")
}

// escapeGlob returns the glob that matches only this text.
func escapeGlob(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune(`*?[\!`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// globMatches is a slow and plain reference implementation to compare with. The glob must be valid.
func globMatches(glob, text []rune) bool {
	if len(glob) == 0 {
		return len(text) == 0
	}
	if glob[0] == '*' {
		for i := 0; i <= len(text); i++ {
			if globMatches(glob[1:], text[i:]) {
				return true
			}
		}
		return false
	}
	if len(text) == 0 {
		return false
	}
	switch c := text[0]; glob[0] {
	case '?':
		return globMatches(glob[1:], text[1:])
	case '\\':
		return glob[1] == c && globMatches(glob[2:], text[1:])
	case '[':
		in, rest := setHas(glob[1:], c)
		return in && globMatches(rest, text[1:])
	default:
		return glob[0] == c && globMatches(glob[1:], text[1:])
	}
}

// setHas reports whether the set that begins after a [ holds c, and returns what follows its ].
func setHas(glob []rune, c rune) (in bool, rest []rune) {
	wanted := true
	if glob[0] == '!' || glob[0] == '^' {
		wanted, glob = false, glob[1:]
	}
	one := func() rune {
		if glob[0] == '\\' {
			glob = glob[1:]
		}
		r := glob[0]
		glob = glob[1:]
		return r
	}
	found := false
	for first := true; first || glob[0] != ']'; first = false {
		low := one()
		high := low
		if glob[0] == '-' && glob[1] != ']' {
			glob = glob[1:]
			high = one()
		}
		found = found || low <= c && c <= high
	}
	return found == wanted, glob[1:]
}

func FuzzGlobs(f *testing.F) {
	for _, seed := range []string{"*", "!a", "a*b?c", `[a-c]\*`, "[!]]", `[+-\]]`, "[a-", "日?", "\xff*", `a\`, "***",
		"[^", "[]-a]"} {
		f.Add(seed, "acme-corp")
		f.Add("acme-*", seed)
	}
	f.Fuzz(func(t *testing.T, glob, name string) {
		match, err := compileGlob(glob)
		if err == nil && strings.Count(glob, "*") < 5 && len(name) < 100 {
			if got, want := match.MatchString(name), globMatches([]rune(glob), []rune(name)); got != want {
				t.Errorf("%q on %q: %v, the reference gives %v", glob, name, got, want)
			}
		}
		if name == "" || !utf8.ValidString(name) {
			return
		}
		literal, err := compileGlob(escapeGlob(name))
		if err != nil {
			t.Fatalf("the escaped name %q is refused: %v", name, err)
		}
		if !literal.MatchString(name) || literal.MatchString(name+"x") || literal.MatchString("x"+name) {
			t.Errorf("the escaped name %q does not match itself alone", name)
		}
	})
}

func TestSelectionOfAThousandPatterns(t *testing.T) {
	var patterns []string
	tenants := crowd(2000)
	for i := range 1000 {
		patterns = append(patterns, fmt.Sprintf("id-%d", i))
	}
	for _, separator := range []string{"\n", ",", ", "} {
		s, err := Resolve(strings.Join(patterns, separator), tenants)
		if err != nil {
			t.Fatal(err)
		}
		if chosen, idle := s.Select(tenants); len(chosen) != 1000 || len(idle) != 0 {
			t.Errorf("chose %d, idle %d", len(chosen), len(idle))
		}
	}
}

func TestEverything(t *testing.T) {
	tenants := []Tenant{{Name: "*", ID: "1"}, {Name: "acme", ID: "2"}}
	for text, want := range map[string]bool{"*": true, " *\n": true, "*,": true, "acme": false, "*,!acme": false,
		"!acme": false, "!*": false, "acme,*": false, "[]": false, `["*"]`: false, `\*`: false, "**": false} {
		s, err := Resolve(text, tenants)
		if err != nil || s.Everything() != want {
			t.Errorf("%q: %t, %v; want %t", text, s.Everything(), err, want)
		}
	}
	if (Selection{}).Everything() {
		t.Error("no selection takes every tenant")
	}
}
