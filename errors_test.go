package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// messages returns every string in the program's code, one per line; literals joined by + are one string.
func messages(t *testing.T) string {
	t.Helper()
	others := []string{"sandbox", "bench", "e2e"}
	var all strings.Builder
	err := filepath.WalkDir("internal", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasSuffix(path, "test") || slices.Contains(others, entry.Name())):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if text, ok := literalText(e); ok {
					all.WriteString(text + "\n")
					return false
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestReportDetailsAreDocumented looks for every field that a mode adds to the report file in the reference.
func TestReportDetailsAreDocumented(t *testing.T) {
	documented := read(t, "docs/report-file.md") + read(t, "docs/health-check.md")
	fields := 0
	err := filepath.WalkDir("internal/mode", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && (spec.Name.Name == "Manifest" || spec.Name.Name == "Verification") {
				return false // in the bucket, not in the report
			}
			f, ok := n.(*ast.Field)
			if !ok || f.Tag == nil {
				return true
			}
			tag, err := strconv.Unquote(f.Tag.Value)
			name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			if fields++; err != nil || !strings.Contains(documented, "`"+name+"`") {
				t.Errorf("%s: the field %s is not documented", path, name)
			}
			return true
		})
		return nil
	})
	if err != nil || fields < 30 {
		t.Fatalf("%d fields: %v", fields, err)
	}
}

// literalText returns the value of a string literal, or of several joined by +.
func literalText(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := literalText(e.X)
		right, too := literalText(e.Y)
		return left + right, ok && too && e.Op == token.ADD
	}
	return "", false
}

var codeSpan = regexp.MustCompile("^`([^`]+)`$")

// TestErrorsAreWhatTheProgramSays looks for every message of docs/errors.md in the code, so that rewording one there
// fails here.
func TestErrorsAreWhatTheProgramSays(t *testing.T) {
	said := messages(t)
	rows := rowsAbout(read(t, "docs/errors.md"), "Message")
	if len(rows) < 50 {
		t.Errorf("found %d messages only", len(rows))
	}
	for _, row := range rows {
		m := codeSpan.FindStringSubmatch(row["Message"])
		if m == nil {
			t.Errorf("%s is not a single text in backticks", row["Message"])
			continue
		}
		for part := range strings.SplitSeq(m[1], "…") {
			if part = strings.TrimSpace(part); part != "" && !strings.Contains(said, part) {
				t.Errorf("%s: no string in the code contains %q", row["Message"], part)
			}
		}
		if row["Cause"] == "" || row["Remedy"] == "" {
			t.Errorf("%s has no cause or no remedy", row["Message"])
		}
	}
}
