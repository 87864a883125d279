package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestLayoutsHoldNothingButATime reads every call of Format and AppendFormat with a layout written out. Anything
// beside the time itself belongs outside the layout: "…-pg15.sql.gz" once made keys that were right for one hour a day,
// because 15 is how Go writes the hour.
func TestLayoutsHoldNothingButATime(t *testing.T) {
	onlyATime := regexp.MustCompile(`^[0-9TZ:., /+-]*( UTC)?$`)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || name.Sel.Name != "Format" && name.Sel.Name != "AppendFormat" {
				return true
			}
			ast.Inspect(call.Args[len(call.Args)-1], func(n ast.Node) bool {
				if _, ok := n.(*ast.CallExpr); ok {
					return false // what another call is given is no layout
				}
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
					if layout, err := strconv.Unquote(text.Value); err != nil || !onlyATime.MatchString(layout) {
						t.Errorf("%s: the layout %s holds more than a time", files.Position(text.Pos()), text.Value)
					}
				}
				return true
			})
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
