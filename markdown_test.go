package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// documents are the Markdown files that people read, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("docs/*.md")
	if err != nil || len(names) < 4 || len(more) < 10 {
		t.Fatalf("%v %v %v", names, more, err)
	}
	texts := map[string]string{}
	for _, name := range append(names, more...) {
		texts[name] = read(t, name)
	}
	return texts
}

// block is a fenced block of a document.
type block struct {
	language string
	line     int
	text     string
}

// split parts a document into its prose, with fenced blocks left out, and these blocks.
func split(text string) (prose string, blocks []block) {
	var b strings.Builder
	open := -1
	for i, line := range strings.Split(text, "\n") {
		fence, ok := strings.CutPrefix(line, "```")
		switch {
		case ok && open < 0:
			blocks, open = append(blocks, block{language: fence, line: i + 2}), len(blocks)
		case ok:
			open = -1
		case open >= 0:
			blocks[open].text += line + "\n"
		default:
			b.WriteString(line + "\n")
		}
	}
	return b.String(), blocks
}

var (
	mdHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unslugged = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are a document's headings as GitHub makes anchors of them.
func anchors(text string) map[string]bool {
	prose, _ := split(text)
	found := map[string]bool{}
	for _, m := range mdHeading.FindAllStringSubmatch(prose, -1) {
		slug := strings.ReplaceAll(unslugged.ReplaceAllString(strings.ToLower(plain(m[1])), ""), " ", "-")
		for n := 1; found[slug]; n++ {
			slug = fmt.Sprintf("%s-%d", strings.TrimSuffix(slug, fmt.Sprintf("-%d", n-1)), n)
		}
		found[slug] = true
	}
	return found
}

func TestLinksLeadSomewhere(t *testing.T) {
	texts := documents(t)
	for name, text := range texts {
		prose, _ := split(text)
		for _, m := range mdLink.FindAllStringSubmatch(prose, -1) {
			target, anchor, _ := strings.Cut(m[2], "#")
			if strings.Contains(target, "://") {
				continue
			}
			if target = path.Join(path.Dir(name), target); strings.HasPrefix(m[2], "#") {
				target = name
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", name, m[0])
			}
			if anchor != "" && !anchors(texts[target])[anchor] {
				t.Errorf("%s: %s has no such heading", name, m[0])
			}
		}
	}
}

func TestFilesThatAreNamedExist(t *testing.T) {
	named := regexp.MustCompile(`\b(docs|examples)/[a-z-]+\.(md|yml)\b`)
	texts := documents(t)
	for _, name := range examples(t) {
		texts[name] = read(t, name)
	}
	for name, text := range texts {
		for _, file := range named.FindAllString(text, -1) {
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s names %s, which is not there", name, file)
			}
		}
	}
}

func TestLinesFitTheirColumns(t *testing.T) {
	texts := documents(t)
	for _, name := range examples(t) {
		texts[name] = read(t, name)
	}
	for name, text := range texts {
		for i, line := range strings.Split(text, "\n") {
			if n := utf8.RuneCountInString(line); n > 120 && !strings.HasPrefix(line, "|") {
				t.Errorf("%s:%d has %d columns, more than 120", name, i+1, n)
			}
		}
	}
}

func examples(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("examples/*.yml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	return names
}

// TestReadmeBeginsWithItsTwoCommands holds what a stranger tries first, and that it is what CI runs.
func TestReadmeBeginsWithItsTwoCommands(t *testing.T) {
	_, blocks := split(read(t, "README.md"))
	lines := strings.Split(blocks[0].text, "\n")
	if blocks[0].language != "sh" || len(lines) != 3 || !strings.HasPrefix(lines[0], "make demo ") || !strings.HasPrefix(lines[1], "make test ") {
		t.Errorf("the first block is %q", blocks[0].text)
	}
	for _, name := range []string{"Makefile", ".ci/run", ".github/workflows/ci.yml"} {
		want := map[string]string{"Makefile": "\ntest: ", ".ci/run": `section "make test"`, ".github/workflows/ci.yml": "target: [test,"}[name]
		if !strings.Contains(read(t, name), want) {
			t.Errorf("%s does not have %q", name, want)
		}
	}
}

// TestReadmeSaysWhetherThereIsARelease compares the README with the changelog, whose sections the releases are made from.
func TestReadmeSaysWhetherThereIsARelease(t *testing.T) {
	released := regexp.MustCompile(`(?m)^## \d`).MatchString(read(t, "CHANGELOG.md"))
	if says := strings.Contains(read(t, "README.md"), "There is no release yet"); says == released {
		t.Errorf("the changelog has a release: %t; the README says that there is none: %t", released, says)
	}
}

// TestContributingMapsThePackages looks for every package in the map.
func TestContributingMapsThePackages(t *testing.T) {
	_, blocks := split(read(t, "CONTRIBUTING.md"))
	err := filepath.WalkDir("internal", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || !entry.IsDir() || path == "internal":
			return err
		case entry.Name() == "testdata" || entry.Name() == "rivals":
			return fs.SkipDir
		case strings.HasSuffix(path, "test") && path != filepath.Join("internal", "servertest"):
			return fs.SkipDir // "*test/"
		case !regexp.MustCompile(`(?m)(^| )` + entry.Name() + `/( |$)`).MatchString(blocks[0].text):
			t.Errorf("%s is not in the map", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestYAMLIsAccepted parses every block of YAML and every example, and has the program read what its steps are given: no
// input that it does not have, refuses, or that has no effect in that mode.
func TestYAMLIsAccepted(t *testing.T) {
	workspace := workspaceFor(t)
	for _, dir := range []string{"db/migrations", "db/migrations/public", "db/migrations/tenant", "reports"} {
		if err := os.MkdirAll(filepath.Join(workspace, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"1_a.sql", "a.json"} {
			text := map[string]string{"1_a.sql": "-- migrate:up\nselect 1;\n-- migrate:down\n", "a.json": "{}"}[name]
			if err := os.WriteFile(filepath.Join(workspace, dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	steps := 0
	for _, name := range examples(t) {
		steps += checkYAML(t, workspace, name, read(t, name))
	}
	for name, text := range documents(t) {
		_, blocks := split(text)
		for _, b := range blocks {
			if b.language == "yaml" {
				steps += checkYAML(t, workspace, fmt.Sprintf("%s:%d", name, b.line), b.text)
			}
		}
	}
	if steps < 20 {
		t.Errorf("only %d steps use the action", steps)
	}
}

// checkYAML returns how many steps of a workflow, or of a part of one, use the action.
func checkYAML(t *testing.T, workspace, where, text string) (steps int) {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil || len(root.Content) == 0 {
		t.Errorf("%s: %v", where, err)
		return 0
	}
	known := map[string]bool{}
	for _, f := range declared(t).Outputs {
		known[f.Name] = true
	}
	for _, m := range regexp.MustCompile(`steps\.([\w-]+)\.outputs\.([\w-]+)`).FindAllStringSubmatch(text, -1) {
		if !known[m[2]] && regexp.MustCompile(`neon-tenants-action@\S+\n\s+id: `+m[1]+`\n`).MatchString(text) {
			t.Errorf("%s: the action has no output %s", where, m[2])
		}
	}
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		for _, child := range n.Content {
			visit(child)
		}
		var step struct {
			Uses string
			With map[string]string
		}
		if n.Kind != yaml.MappingNode || n.Decode(&step) != nil || !strings.HasPrefix(step.Uses, "org/neon-tenants-action@") {
			return
		}
		steps++
		for name, value := range step.With {
			if _, ok := declared(t).Input(name); !ok {
				t.Errorf("%s: the action has no input %s", where, name)
			}
			if strings.Contains(value, "${{") {
				if step.With[name] = otherwise[name]; name == "tenant-name" || name == "confirm" {
					step.With[name] = "acme"
				}
			}
		}
		if got := try(t, workspace, step.With); len(got.wrong)+len(got.unused) > 0 {
			t.Errorf("%s: wrong %v, without effect %v: %s", where, got.wrong, got.unused, got.err)
		}
	}
	visit(&root)
	// A part that is a step's inputs, or begins with with:, has nothing but inputs.
	if part := root.Content[0]; steps == 0 && part.Kind == yaml.MappingNode {
		checkPart(t, where, part)
	}
	return steps
}

// checkPart looks at a piece of a step: its inputs, below with: or by themselves.
func checkPart(t *testing.T, where string, part *yaml.Node) {
	t.Helper()
	var keys map[string]yaml.Node
	if err := part.Decode(&keys); err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	if with, ok := keys["with"]; ok {
		checkPart(t, where, &with)
		return
	}
	if slices.Equal(slices.Sorted(maps.Keys(keys)), []string{"env"}) {
		return
	}
	for name := range keys {
		if _, ok := declared(t).Input(name); !ok {
			t.Errorf("%s: the action has no input %s", where, name)
		}
	}
}
