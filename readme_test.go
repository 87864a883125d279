package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/input"
)

// row is a line of a table: | `name` | second cell |. header is one that is followed by a line of hyphens.
var (
	row    = regexp.MustCompile("^\\| *`([a-z0-9-]+)` *\\|([^|]*)\\|")
	header = regexp.MustCompile(`^\|([^|]*)\|`)
)

// tableMistakes compares the tables of inputs in a Markdown text with the declaration: every input stands in one row, with its
// default. Tables whose first column is headed "output" are left out, because an output may have an input's name.
func tableMistakes(d *input.Definition, text string) []string {
	var mistakes []string
	seen := map[string]int{}
	previous, outputs := "", false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| --") || strings.HasPrefix(line, "|:-") || strings.HasPrefix(line, "| :-") {
			h := header.FindStringSubmatch(previous)
			outputs = h != nil && strings.Contains(strings.ToLower(h[1]), "output")
		}
		previous = line
		m := row.FindStringSubmatch(line)
		if m == nil || outputs {
			continue
		}
		f, ok := d.Input(m[1])
		if !ok {
			continue // a mode or a source
		}
		seen[f.Name]++
		cell, want := strings.TrimSpace(m[2]), "`"+f.Default+"`"
		if f.Default == "" && (cell == "" || cell == "–") {
			continue
		}
		if f.Default == "" || cell != want {
			mistakes = append(mistakes, fmt.Sprintf("%s has the default %q; the table says %q", f.Name, f.Default, cell))
		}
	}
	for _, f := range d.Inputs {
		if seen[f.Name] != 1 {
			mistakes = append(mistakes, fmt.Sprintf("%s stands in %d rows of tables, want 1", f.Name, seen[f.Name]))
		}
	}
	return mistakes
}

func TestTableMistakes(t *testing.T) {
	d := &input.Definition{Inputs: []input.Field{{Name: "a", Default: "1"}, {Name: "b-c"}, {Name: "d"}, {Name: "e", Default: "*"}, {Name: "f"}}}
	text := "| Input | Default | |\n|---|---|---|\n| `a` | `2` | x |\n| `b-c` |  | x |\n| `d` | – | x |\n| `e` | `*` | x |\n| `e` | `*` | x |\n| `mode` | x |\n" +
		"\n| Output | |\n| --- | --- |\n| `a` | text |\n\n| `f` or `d` | x |\n"
	want := []string{`a has the default "1"; the table says "` + "`2`" + `"`, "e stands in 2 rows of tables, want 1", "f stands in 0 rows of tables, want 1"}
	if diff := cmp.Diff(want, tableMistakes(d, text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadmeListsTheInputs(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, mistake := range tableMistakes(declared(t), string(text)) {
		t.Error(mistake)
	}
}
