package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// documents returns the Markdown files that people read, by path.
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

// split separates a document's prose from its fenced blocks.
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

// anchors returns the anchors that GitHub makes of a document's headings.
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

// TestReadmeBeginsWithItsTwoCommands checks what a stranger tries first, and that CI runs the same tests.
func TestReadmeBeginsWithItsTwoCommands(t *testing.T) {
	_, blocks := split(read(t, "README.md"))
	commands := regexp.MustCompile(`^make demo .*\nmake test .*\n$`)
	if blocks[0].language != "sh" || !commands.MatchString(blocks[0].text) {
		t.Errorf("the first block is %q", blocks[0].text)
	}
	for name, want := range map[string]string{
		"Makefile": "\ntest: ", ".ci/run": `section "make test"`, ".github/workflows/ci.yml": "target: [test,",
	} {
		if !strings.Contains(read(t, name), want) {
			t.Errorf("%s does not have %q", name, want)
		}
	}
}

// TestReadmeSaysWhetherThereIsARelease compares the README with the changelog, which has a section per release.
func TestReadmeSaysWhetherThereIsARelease(t *testing.T) {
	released := regexp.MustCompile(`(?m)^## \d`).MatchString(read(t, "CHANGELOG.md"))
	if says := strings.Contains(read(t, "README.md"), "There is no release yet"); says == released {
		t.Errorf("the changelog has a release: %t; the README says that there is none: %t", released, says)
	}
}

// TestContributingMapsThePackages looks for every package in the map of CONTRIBUTING.md.
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

func TestJSONParses(t *testing.T) {
	for name, text := range documents(t) {
		_, blocks := split(text)
		for _, b := range blocks {
			if b.language == "json" && !json.Valid([]byte(b.text)) {
				t.Errorf("%s:%d is no JSON", name, b.line)
			}
		}
	}
}
