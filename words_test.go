package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// adapters are the packages under internal that know no inputs: their errors carry facts, and whoever read the input,
// or package remedies, attaches the remedy that names it.
var adapters = []string{
	"neon", "github", "httpx", "bucket", "postgres", "migration", "pgdump", "fingerprint", "compress", "sqltext",
}

// TestAdaptersNameNoInput reads every string literal of the adapters.
func TestAdaptersNameNoInput(t *testing.T) {
	inputs := inputNames(t)
	for _, name := range adapters {
		files, err := filepath.Glob(filepath.Join("internal", name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			positions := token.NewFileSet()
			file, err := parser.ParseFile(positions, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, literal := range literals(file) {
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				for _, input := range inputs.FindAllStringSubmatch(text, -1) {
					t.Errorf("%s: names the input %s: %s", positions.Position(literal.Pos()), input[1], literal.Value)
				}
			}
		}
	}
}

// literals returns a file's string literals, but not its imports and the tags of its fields.
func literals(file *ast.File) (found []*ast.BasicLit) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

// inputNames matches the names of the inputs in action.yml as whole words. It leaves out those without a hyphen, such
// as repository and confirm, because they are words of the language, and it does not match the options of other
// programs.
func inputNames(t *testing.T) *regexp.Regexp {
	t.Helper()
	var names []string
	for _, in := range declared(t).Inputs {
		if strings.Contains(in.Name, "-") {
			names = append(names, regexp.QuoteMeta(in.Name))
		}
	}
	if len(names) < 30 {
		t.Fatalf("action.yml has only %d inputs with a hyphen: %v", len(names), names)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) }) // report-files before report-file
	return regexp.MustCompile(`(?:^|[^\w-])(` + strings.Join(names, "|") + `)(?:[^\w-]|$)`)
}

func TestInputNamesAreWholeWords(t *testing.T) {
	inputs := inputNames(t)
	for text, want := range map[string]string{
		"set neon-org-id to one of these":      "neon-org-id",
		"report-files: no such file":           "report-files",
		"leave it out with tenant-source=neon": "tenant-source",
		"`lock-timeout`":                       "lock-timeout",
		"--lock-timeout=5s":                    "",
		"Content-Type":                         "",
		"the neon-api-keys of the fleet":       "",
		"my-report-file":                       "",
		"report-file-name":                     "",
		"confirm the repository":               "",
		"a dry run":                            "",
	} {
		got := ""
		if match := inputs.FindStringSubmatch(text); match != nil {
			got = match[1]
		}
		if got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}
