package fingerprint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Diff says what a schema has that the norm lacks (+), lacks that the norm has (-) and has otherwise (~), a line each:
// "+ column users.extra integer", "~ column users.name character varying(10) -> text". What belongs to a table that
// is there on one side only is counted in the table's line. Of a definition of several lines those that differ
// follow, indented. Nil where nothing differs.
func Diff(norm, other []Object) []string {
	missing, left := without(norm, other)
	extra, now := without(other, norm)
	var all []difference
	for _, o := range whole(missing) {
		all = append(all, difference{o.Object, []string{"- " + o.line()}})
	}
	for _, o := range whole(extra) {
		all = append(all, difference{o.Object, []string{"+ " + o.line()}})
	}
	for i := range left {
		if left[i].Definition != now[i].Definition {
			all = append(all, difference{left[i], change(left[i], now[i])})
		}
	}
	slices.SortStableFunc(all, func(a, b difference) int {
		return cmp.Or(cmp.Compare(cmp.Or(a.Parent, a.Name), cmp.Or(b.Parent, b.Name)), cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	var lines []string
	for _, d := range all {
		lines = append(lines, d.lines...)
	}
	return lines
}

// difference is what is said about one object.
type difference struct {
	Object
	lines []string
}

type identity struct{ kind, name string }

// without returns those of a that b lacks, and those that both have, in an order that is the same the other way round.
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
	slices.SortFunc(common, func(a, b Object) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	return missing, common
}

// folded is an object with what came or went together with it.
type folded struct {
	Object
	parts map[string]int // by kind
}

// whole folds the parts of tables that are themselves among the objects.
func whole(objects []Object) []*folded {
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

// partKinds is the order in which a table's parts are counted, with their plural.
var partKinds = [][2]string{
	{"column", "columns"}, {"constraint", "constraints"}, {"index", "indexes"}, {"sequence", "sequences"}, {"trigger", "triggers"},
	{"rule", "rules"}, {"policy", "policies"}, {"statistics", "statistics"},
}

func (f *folded) line() string {
	first, rest, _ := strings.Cut(strings.TrimSpace(f.Definition), "\n")
	if n := strings.Count(rest, "\n") + 1; rest != "" {
		first += fmt.Sprintf(" … (%s)", count(n+1, "line", "lines"))
	}
	text := strings.TrimSpace(f.Kind + " " + f.Name + " " + first)
	var parts []string
	for _, k := range partKinds {
		if n := f.parts[k[0]]; n > 0 {
			parts = append(parts, count(n, k[0], k[1]))
		}
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// change words a definition that differs.
func change(was, is Object) []string {
	title := "~ " + was.Kind + " " + was.Name
	before, after := strings.Split(was.Definition, "\n"), strings.Split(is.Definition, "\n")
	if len(before) == 1 && len(after) == 1 {
		return []string{title + " " + cmp.Or(before[0], "(plain)") + " -> " + cmp.Or(after[0], "(plain)")}
	}
	const limit = 1000 // lines: more would take the square of it in memory
	if len(before) > limit || len(after) > limit {
		return []string{fmt.Sprintf("%s: %d lines -> %d lines", title, len(before), len(after))}
	}
	lines := []string{title}
	for _, l := range diffLines(before, after) {
		lines = append(lines, "    "+l)
	}
	return lines
}

// diffLines returns the lines that two texts don't share, by their longest common subsequence.
func diffLines(before, after []string) []string {
	// longest[i][j] is the length of that of before[i:] and after[j:].
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
