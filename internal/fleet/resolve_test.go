package fleet

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// odd are tenants whose names are hard to tell from patterns, with ids that are one letter.
var odd = []Tenant{
	{Name: "Acme", ID: "a"}, {Name: "Acme, Inc.", ID: "b"}, {Name: "Inc.", ID: "c"},
	{Name: "bang", ID: "d"}, {Name: "!bang", ID: "e"},
	{Name: "Foo [EU]", ID: "f"}, {Name: "Foo E", ID: "g"},
	{Name: `C:\data`, ID: "h"}, {Name: `"quoted"`, ID: "i"}, {Name: "it's", ID: "j"},
	{Name: " blank ", ID: "k"}, {Name: "blank", ID: "l"},
	{Name: "two\nlines", ID: "m"}, {Name: "two", ID: "n"},
	{Name: "*", ID: "o"}, {Name: "what?", ID: "p"}, {Name: "whats", ID: "q"},
	{Name: "#1 Pizza", ID: "r"}, {Name: "3", ID: "s"},
	{Name: "twin", ID: "t"}, {Name: "twin", ID: "u"}, {Name: "a", ID: "v"},
	{Name: "[]", ID: "w"}, {Name: "!", ID: "x"}, {Name: `ends in \`, ID: "y"}, {Name: "日本, 東京", ID: "z"},
}

// everyone is the ids of all odd tenants but those left out.
func everyone(without string) string {
	return ids(odd, without)
}

func TestResolve(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       string // ids
		idle       []string
		doubts     []string // what each of them contains
	}{
		{"everybody", "*", everyone(""), nil, nil},
		{"everybody, although one is named so", "Acme\n*", everyone(""), nil, nil},
		{"the one named *", `\*`, "o", nil, nil},
		{"nobody, although one is named so", "*\n!*", "", nil, nil},
		{"all but the one named *", `!\*`, everyone("o"), nil, nil},

		{"a comma", "Acme, Inc.", "b", nil, nil},
		{"a comma, escaped", `Acme\, Inc.`, "b", nil, nil},
		{"a comma, among lines", "bang\nAcme, Inc.\n", "b d", nil, nil},
		{"a comma, excluded", "!Acme, Inc.", everyone("b"), nil, nil},
		{"a comma, excluded with a blank", "*\n! Acme, Inc.", everyone("b"), nil, nil},
		{"commas in a list", "Acme, bang", "a d", nil, nil},
		{"a comma and other letters", "日本, 東京", "z", nil, nil},
		{"a comma, another blank", "Acme,Inc.", "a c", nil, nil},

		{"a leading !", "!bang", "e", nil,
			[]string{`"!bang" is the name of a tenant, and so selects that one; to exclude the 1 tenant`}},
		{"a leading !, excluded", "!!bang", everyone("e"), nil, nil},
		{"a leading !, escaped", `\!bang`, "e", nil, nil},
		{"an exclusion that is no name", `!\bang`, everyone("d"), nil, nil},
		{"an exclusion of another", "!Acme", everyone("a"), nil, nil},
		{"only a !", "!", "x", nil, nil},

		{"brackets", "Foo [EU]", "f", nil,
			[]string{`"Foo [EU]" is the name of a tenant, and so selects that one alone; to select the 1 other tenant`}},
		{"brackets in a list", "Foo [EU], bang", "d f", nil, nil},
		{"brackets, excluded", "!Foo [EU]", everyone("f"), nil, nil},
		{"brackets, excluded in a list", "*, !Foo [EU]", everyone("f"), nil, nil},
		{"brackets, escaped", `Foo \[EU]`, "f", nil, nil},
		{"brackets as a glob", `\Foo [EU]`, "g", nil, nil},
		{"a backslash", `C:\data`, "h", nil, nil},
		{"a backslash, escaped", `C:\\data`, "h", nil, nil},
		{"a backslash at the end", `ends in \`, "y", nil, nil},
		{"a question mark", "what?", "p", nil, []string{`"what?" is the name`}},
		{"a question mark as a glob", `\what?`, "p q", nil, nil},
		{"quotes", `"quoted"`, "i", nil, nil},
		{"an apostrophe", "it's", "j", nil, nil},

		{"blanks at the ends", " blank ", "k", nil, nil},
		{"blanks at the ends that no name has", "  blank", "l", nil, nil},
		{"blanks at the ends, escaped", `\ blank\ `, "k", nil, nil},
		{"blanks at the ends, as a glob", "?blank?", "k", nil, nil},
		{"a line break", "two\nlines", "n", []string{"lines"}, nil},
		{"a line break as a glob", "two?*", "m", nil, nil},
		{"lines that end as in DOS", "bang\r\nAcme, Inc.\r\n", "b d", nil, nil},
		{"comments and blank lines", "# Acme\n\n  # !bang\nbang\n", "d", nil, nil},
		{"a comment's sign", "#1 Pizza", "r", nil, nil},
		{"a comment's sign, excluded", "!#1 Pizza", everyone("r"), nil, nil},
		{"a comment's sign as a glob", `\#1 *`, "r", nil, nil},
		{"a number", "3", "s", nil, nil},

		{"one name, two tenants", "twin", "t u", nil, nil},
		{"the id of one of them", "u", "u", nil, nil},
		{"a name that is another's id", "a", "a v", nil,
			[]string{`"a" is the name of one tenant and the id of another, and selects both`}},
		{"a case that no name has", "ACME", "", []string{"ACME"}, nil},
		{"a list with a miss", "Acme, Acme GmbH", "a", []string{"Acme GmbH"}, nil},
		{"an exclusion that misses", "*\n!bangs", everyone(""), []string{"!bangs"}, nil},

		{"JSON", `["Acme, Inc.","!bang","Foo [EU]","two\nlines"," blank ","*","C:\\data","\"quoted\""]`,
			"b e f h i k m o", nil, nil},
		{"JSON over several lines", "[\n  \"Acme\",\n  \"#1 Pizza\"\n]\n", "a r", nil, nil},
		{"JSON holds no patterns", `["Acme*", "!bang*"]`, "", []string{"Acme*", "!bang*"}, nil},
		{"JSON of nobody", " [ ] ", "", nil, nil},
		{"a name that is JSON", "[]", "w", nil, nil},
		{"JSON of ids", `["z", "y"]`, "y z", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := Resolve(test.text, odd)
			if err != nil {
				t.Fatal(err)
			}
			chosen, idle := s.Select(odd)
			if got := ids(chosen, ""); got != test.want {
				t.Errorf("selects %s, want %s", got, test.want)
			}
			if diff := cmp.Diff(test.idle, idle); diff != "" {
				t.Errorf("idle (-want +got):\n%s", diff)
			}
			if len(s.Doubts) != len(test.doubts) {
				t.Fatalf("doubts %q", s.Doubts)
			}
			for i, want := range test.doubts {
				if !strings.Contains(s.Doubts[i], want) {
					t.Errorf("the doubt is %s, want %s", s.Doubts[i], want)
				}
			}
		})
	}
}

// A name that an entry would be taken apart in the middle of, or that begins with a !, is never guessed at.
func TestResolveRefusesWhatCanBeReadInTwoWays(t *testing.T) {
	for text, name := range map[string]string{
		"bang, Acme, Inc.":       "Acme, Inc.",
		"Acme, Inc., bang":       "Acme, Inc.",
		"*, !Acme, Inc.":         "Acme, Inc.",
		"bang\n*, !bang":         "!bang",
		"Foo E,日本, 東京 , !nobody": "日本, 東京",
	} {
		_, err := Resolve(text, odd)
		if err == nil || !strings.Contains(err.Error(), "holds the name of the tenant "+quoted(name)+"; write ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func quoted(text string) string { return `"` + text + `"` }

// What another run's failed-tenants names is selected exactly, as a JSON array and one name a line.
func FuzzNamesSelectThemselves(f *testing.F) {
	for _, t := range odd {
		f.Add(t.Name, "Acme")
		f.Add("!Acme", t.Name)
	}
	f.Fuzz(func(t *testing.T, name, other string) {
		if !utf8.ValidString(name) || name == other || name == "id-1" || name == "id-2" {
			return
		}
		tenants := []Tenant{{Name: name, ID: "id-1"}, {Name: other, ID: "id-2"}}
		values := []string{"id-1"}
		list, err := json.Marshal([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		if other != string(list) {
			values = append(values, string(list))
		}
		if name != "*" && strings.TrimSpace(name) != "" && !strings.ContainsAny(name, "\n\r") &&
			!strings.HasPrefix(strings.TrimSpace(name), "[") {
			values = append(values, name, "\n"+name+"\r\n")
		}
		for _, value := range values {
			s, err := Resolve(value, tenants)
			if err != nil {
				t.Fatalf("%q: %v", value, err)
			}
			if !s.Matches(tenants[0]) || s.Matches(tenants[1]) {
				t.Errorf("%q does not select %q alone, beside %q", value, name, other)
			}
		}
		_, _ = Resolve(other, tenants)
	})
}
