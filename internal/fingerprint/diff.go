package fingerprint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
	"github.com/org/neon-tenants-action/internal/words"
)

// Diff lists how a schema differs from the norm, a line each: what it has in addition (+), what it lacks (-) and what
// is different (~), as in "+ column users.extra integer" or "~ column users.name character varying(10) -> text". The
// parts of a table that only one side has are counted in the table's line. If a definition has several lines, those
// that differ follow, indented. Nil if nothing differs.
func Diff(norm, other []Object) []string {
	missing, before := without(norm, other)
	extra, after := without(other, norm)
	var all []difference
	for _, o := range fold(missing) {
		all = append(all, difference{o.Object, []string{"- " + o.line()}})
	}
	for _, o := range fold(extra) {
		all = append(all, difference{o.Object, []string{"+ " + o.line()}})
	}
	for i := range before {
		if before[i].Definition != after[i].Definition {
			all = append(all, difference{before[i], change(before[i], after[i])})
		}
	}
	slices.SortStableFunc(all, func(a, b difference) int {
		return cmp.Or(
			cmp.Compare(cmp.Or(a.Parent, a.Name), cmp.Or(b.Parent, b.Name)), // a table, then its parts
			cmp.Compare(a.Parent, b.Parent), compareIdentity(a.Object, b.Object),
		)
	})
	var lines []string
	for _, d := range all {
		lines = append(lines, d.lines...)
	}
	return lines
}

// difference is an object and the lines about it.
type difference struct {
	Object
	lines []string
}

type identity struct{ kind, name string }

func compareIdentity(a, b Object) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// without returns the objects of a that b lacks, and those that both have, in an order that does not depend on which
// list is a.
func without(a, b []Object) (missing, common []Object) {
	has := map[identity]bool{}
	for _, o := range b {
		has[identity{o.Kind, o.Name}] = true
	}
	for _, o := range a {
		if has[identity{o.Kind, o.Name}] {
			common = append(common, o)
		} else {
			missing = append(missing, o)
		}
	}
	slices.SortFunc(common, compareIdentity)
	return missing, common
}

// folded is an object together with its parts.
type folded struct {
	Object
	parts map[string]int // by kind
}

// fold folds the parts of tables into the tables that are among the objects.
func fold(objects []Object) []*folded {
	tables := map[string]*folded{}
	var all []*folded
	for _, o := range objects {
		if o.Parent == "" {
			f := &folded{o, map[string]int{}}
			all = append(all, f)
			if strings.HasSuffix(o.Kind, "table") || strings.HasSuffix(o.Kind, "view") {
				tables[o.Name] = f
			}
		}
	}
	for _, o := range objects {
		if t := tables[o.Parent]; t != nil {
			t.parts[o.Kind]++
		} else if o.Parent != "" {
			all = append(all, &folded{o, nil})
		}
	}
	return all
}

// partKinds is the order in which a table's parts are counted: each kind, and what one and several are called.
var partKinds = [][3]string{
	{"column", "column", "columns"}, {"constraint", "constraint", "constraints"}, {"index", "index", "indexes"},
	{"sequence", "sequence", "sequences"}, {"trigger", "trigger", "triggers"}, {"rule", "rule", "rules"},
	{"policy", "policy", "policies"}, {"statistics", "statistics object", "statistics objects"},
	{"partition", "partition", "partitions"}, {"published table", "publication", "publications"},
	{"options", "set of options", "sets of options"},
}

func (f *folded) line() string {
	first, rest, _ := strings.Cut(strings.TrimSpace(f.Definition), "\n")
	if rest != "" {
		first += fmt.Sprintf(" … (%s)", words.Count(strings.Count(rest, "\n")+2, "line", "lines"))
	}
	text := strings.TrimSpace(f.Kind + " " + f.Name + " " + first)
	var parts []string
	for _, k := range partKinds {
		if n := f.parts[k[0]]; n > 0 {
			parts = append(parts, words.Count(n, k[1], k[2]))
		}
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

// change returns the lines about a definition that differs.
func change(before, after Object) []string {
	title := "~ " + before.Kind + " " + before.Name
	if ending(before.Definition) != ending(after.Definition) &&
		sqltext.UnixLines(before.Definition) == sqltext.UnixLines(after.Definition) {
		return []string{fmt.Sprintf("%s: only the line endings differ (%s -> %s)", title, ending(before.Definition),
			ending(after.Definition))}
	}
	old, updated := strings.Split(before.Definition, "\n"), strings.Split(after.Definition, "\n")
	if len(old) == 1 && len(updated) == 1 {
		was, is := excerpt(old[0], updated[0])
		return []string{title + " " + cmp.Or(was, "(plain)") + " -> " + cmp.Or(is, "(plain)")}
	}
	lines := []string{title}
	for _, l := range diffTexts(old, updated) {
		lines = append(lines, "    "+l)
	}
	return lines
}

// ending names the line endings of a text.
func ending(text string) string {
	windows := strings.Count(text, "\r\n")
	switch windows {
	case 0:
		return "LF"
	case strings.Count(text, "\n") - 1: // the first line is about the function, and not of its body
		return "CRLF"
	}
	return fmt.Sprintf("CRLF in %s", words.Count(windows, "line", "lines"))
}

// shownWhole is the length up to which a line is shown as it is. Of a longer one that differs only in a part, the log
// and the summary would cut off that part.
const shownWhole = 160

// excerpt shortens two texts to the part in which they differ, with what is around it.
func excerpt(a, b string) (was, is string) {
	if len(a) <= shownWhole && len(b) <= shownWhole {
		return a, b
	}
	const around = 40 // bytes
	before, after := 0, 0
	for before < len(a) && before < len(b) && a[before] == b[before] {
		before++
	}
	for after < len(a)-before && after < len(b)-before && a[len(a)-1-after] == b[len(b)-1-after] {
		after++
	}
	return middle(a, before-around, len(a)-after+around), middle(b, before-around, len(b)-after+around)
}

// middle is text[from:to] with signs for what was left out. It moves both to where a word ends, if one does nearby, and
// never cuts a character.
func middle(text string, from, to int) string {
	head, tail := "… ", " …"
	if from <= 0 {
		from, head = 0, ""
	} else if n := strings.IndexByte(text[from:], ' '); n >= 0 && n < 20 {
		from += n + 1
	}
	if to >= len(text) {
		to, tail = len(text), ""
	} else if n := strings.LastIndexByte(text[:to], ' '); n >= to-20 && n > from {
		to = n
	}
	return head + strings.ToValidUTF8(text[from:to], "") + tail
}

// diffTexts is diffLines for texts of any length. It leaves out what both begin and end with. If too much is left, it
// shows where the difference begins.
func diffTexts(before, after []string) []string {
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && before[len(before)-1] == after[len(after)-1] {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	const (
		limit = 1000 // lines, because diffLines takes the square of it in memory
		shown = 5
	)
	if len(before) <= limit && len(after) <= limit {
		return shorten(diffLines(before, after))
	}
	var lines []string
	for _, side := range []struct {
		sign  string
		lines []string
	}{{"- ", before}, {"+ ", after}} {
		for _, l := range side.lines[:min(shown, len(side.lines))] {
			lines = append(lines, side.sign+l)
		}
		if more := len(side.lines) - shown; more > 0 {
			lines = append(lines, side.sign+"… "+words.Count(more, "more line", "more lines"))
		}
	}
	return shorten(lines)
}

// shorten replaces each pair of long lines, one removed and one added in its place, by the part that differs.
func shorten(lines []string) []string {
	for i := 0; i < len(lines); {
		removed := i
		for removed < len(lines) && lines[removed][0] == '-' {
			removed++
		}
		added := removed
		for added < len(lines) && lines[added][0] == '+' {
			added++
		}
		for j := 0; i+j < removed && removed+j < added; j++ {
			was, is := excerpt(lines[i+j][2:], lines[removed+j][2:])
			lines[i+j], lines[removed+j] = "- "+was, "+ "+is
		}
		i = added
	}
	return lines
}

// diffLines returns the lines that only one of two texts has, by their longest common subsequence.
func diffLines(before, after []string) []string {
	// longest[i][j] is the length of the longest common subsequence of before[i:] and after[j:].
	longest := make([][]int32, len(before)+1)
	for i := range longest {
		longest[i] = make([]int32, len(after)+1)
	}
	for i := len(before) - 1; i >= 0; i-- {
		for j := len(after) - 1; j >= 0; j-- {
			if before[i] == after[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var lines []string
	for i, j := 0, 0; i < len(before) || j < len(after); {
		switch {
		case i < len(before) && j < len(after) && before[i] == after[j]:
			i, j = i+1, j+1
		case j == len(after) || i < len(before) && longest[i+1][j] >= longest[i][j+1]:
			lines = append(lines, "- "+before[i])
			i++
		default:
			lines = append(lines, "+ "+after[j])
			j++
		}
	}
	return lines
}
