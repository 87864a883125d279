package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromisesAreTested looks for the tests that docs/promises.md names.
func TestPromisesAreTested(t *testing.T) {
	text := read(t, "docs/promises.md")
	names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(text, -1)
	if len(names) < 20 {
		t.Fatalf("it names only %d", len(names))
	}
	for i, promise := range regexp.MustCompile(`(?m)^\*\*`).Split(text, -1)[1:] {
		if !strings.Contains(promise, "`Test") {
			t.Errorf("no test holds promise %d: %.60s", i+1, promise)
		}
	}
	var tests strings.Builder
	err := filepath.WalkDir("internal", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		tests.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.Contains(tests.String(), "\nfunc "+name[1]+"(") {
			t.Errorf("there is no test %s", name[1])
		}
	}
}
