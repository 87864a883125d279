package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/input"
)

// mdTable is a table of a Markdown document.
type mdTable struct {
	modes  string // the paragraph above it that begins with "Modes:", without that word; empty: none
	header []string
	rows   []map[string]string // cells by their column's heading
}

var delimiterRow = regexp.MustCompile(`^\|( *:?-+:? *\|)+ *$`)

// mdTables reads a document's tables, except those in fenced blocks.
func mdTables(text string) []mdTable {
	var tables []mdTable
	modes, fenced, open := "", false, false
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced:
		case strings.HasPrefix(line, "#"):
			modes, open = "", false
		case strings.HasPrefix(line, "Modes:"):
			modes = strings.TrimSpace(strings.TrimPrefix(line, "Modes:"))
			for _, more := range lines[i+1:] {
				if more == "" {
					break
				}
				modes += " " + more
			}
		case delimiterRow.MatchString(line):
			tables = append(tables, mdTable{modes: modes, header: cells(lines[i-1])})
			modes, open = "", true
		case open && strings.HasPrefix(line, "|"):
			t := &tables[len(tables)-1]
			row := map[string]string{}
			for j, cell := range cells(line) {
				row[t.header[min(j, len(t.header)-1)]] = cell
			}
			t.rows = append(t.rows, row)
		default:
			open = false
		}
	}
	return tables
}

// cells splits a row at the bars that no backslash escapes.
func cells(row string) []string {
	row = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(row), "|"), "|")
	var out []string
	for cell := range strings.SplitSeq(strings.ReplaceAll(row, `\|`, "\x00"), "|") {
		out = append(out, strings.TrimSpace(strings.ReplaceAll(cell, "\x00", "|")))
	}
	return out
}

var mdLink = regexp.MustCompile(`\[([^\]]*)\]\(([^)\s]+)\)`)

// plain strips a cell of its markup.
func plain(cell string) string {
	return strings.ReplaceAll(mdLink.ReplaceAllString(cell, "$1"), "`", "")
}

// rowsAbout returns the rows of the tables whose first column has that heading.
func rowsAbout(text, heading string) (rows []map[string]string) {
	for _, t := range mdTables(text) {
		if t.header[0] == heading {
			for _, row := range t.rows {
				if row["Modes"] == "" {
					row["Modes"] = t.modes
				}
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// fieldMistakes compares the tables of inputs or outputs with action.yml: each field has exactly one row, with its
// default and a meaning that starts with its description.
func fieldMistakes(fields []input.Field, text, heading string) []string {
	var mistakes []string
	seen := map[string]int{}
	for _, row := range rowsAbout(text, heading) {
		name, ok := strings.CutPrefix(strings.TrimSuffix(row[heading], "`"), "`")
		i := slices.IndexFunc(fields, func(f input.Field) bool { return f.Name == name })
		if !ok || i < 0 {
			mistakes = append(mistakes, fmt.Sprintf("the row %s is for nothing that action.yml declares", row[heading]))
			continue
		}
		seen[name]++
		f := fields[i]
		want := "–"
		if f.Default != "" {
			want = "`" + f.Default + "`"
		}
		if got := row["Default"]; heading == "Input" && got != want {
			mistakes = append(mistakes, fmt.Sprintf("%s has the default %s; the table says %s", name, want, got))
		}
		if !strings.HasPrefix(plain(row["Meaning"]), f.Description) {
			mistakes = append(mistakes, fmt.Sprintf("%s has another description in action.yml: %s", name, f.Description))
		}
	}
	for _, f := range fields {
		if seen[f.Name] != 1 {
			mistakes = append(mistakes, fmt.Sprintf("%s has %d rows, want 1", f.Name, seen[f.Name]))
		}
	}
	return mistakes
}

func TestFieldMistakes(t *testing.T) {
	fields := []input.Field{
		{Name: "a", Default: "1", Description: "A."}, {Name: "b-c", Description: "B and d."}, {Name: "d", Description: "D."},
		{Name: "e", Default: "|", Description: "E."}, {Name: "f", Description: "F."}, {Name: "g", Description: "G."},
	}
	text := "| Input | Default | Meaning |\n|---|---|---|\n" +
		"| `a` | `2` | A. |\n| `b-c` | – | B and [`d`](#d). More. |\n| `d` |  | D. |\n" +
		"| `e` | `\\|` | E. |\n| `e` | `\\|` | E. |\n| `g` | – | Another. |\n| `x` | – | X. |\n| g | – | G. |\n" +
		"\n| Output | Meaning |\n| --- | --- |\n| `f` | F. |\n" +
		"\n```\n| Input | Default | Meaning |\n|---|---|---|\n| `f` | – | F. |\n```\n"
	want := []string{
		"a has the default `1`; the table says `2`", "d has the default –; the table says ",
		"g has another description in action.yml: G.",
		"the row `x` is for nothing that action.yml declares", "the row g is for nothing that action.yml declares",
		"e has 2 rows, want 1", "f has 0 rows, want 1",
	}
	if diff := cmp.Diff(want, fieldMistakes(fields, text, "Input")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReferenceListsTheInputs(t *testing.T) {
	for _, mistake := range fieldMistakes(declared(t).Inputs, read(t, "docs/inputs.md"), "Input") {
		t.Error(mistake)
	}
}

func TestReferenceListsTheOutputs(t *testing.T) {
	for _, mistake := range fieldMistakes(declared(t).Outputs, read(t, "docs/outputs.md"), "Output") {
		t.Error(mistake)
	}
}

// modesOf returns the modes that a cell means: "all", "all but `a`, `b`", "`a`, `b`" or "–".
func modesOf(cell string, all []string) []string {
	var named []string
	for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(cell, -1) {
		if slices.Contains(all, m[1]) {
			named = append(named, m[1])
		}
	}
	if strings.HasPrefix(cell, "all") {
		return slices.DeleteFunc(slices.Clone(all), func(mode string) bool { return slices.Contains(named, mode) })
	}
	slices.Sort(named)
	return named
}

// refusedLater are inputs that a mode reads, but always refuses once it has listed the tenants.
var refusedLater = map[string][]string{"catalog-query": {"drop-tenant"}}

func TestReferenceTellsWhichModesReadAnInput(t *testing.T) {
	modes := modeNames(t)
	used := inputsByMode(t, modes)
	for _, row := range rowsAbout(read(t, "docs/inputs.md"), "Input") {
		name := strings.Trim(row["Input"], "`")
		var want []string
		for _, mode := range modes {
			if used[mode][name] && !slices.Contains(refusedLater[name], mode) {
				want = append(want, mode)
			}
		}
		if got := modesOf(row["Modes"], modes); !slices.Equal(want, got) {
			t.Errorf("%s is read by the modes %v; the table says %v", name, want, got)
		}
	}
}

func TestReferenceListsTheModes(t *testing.T) {
	modes := modeNames(t)
	documented := map[string]bool{}
	for _, row := range rowsAbout(read(t, "docs/inputs.md"), "Mode") {
		documented[plain(row["Mode"])] = true
	}
	if diff := cmp.Diff(modes, slices.Sorted(maps.Keys(documented))); diff != "" {
		t.Errorf("modes that there are (-) and that docs/inputs.md lists (+):\n%s", diff)
	}
}
