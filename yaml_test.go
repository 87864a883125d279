package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestYAMLIsAccepted parses every YAML block and every example, and has the program read the inputs of their steps:
// every input exists, is accepted, and has an effect in that mode.
func TestYAMLIsAccepted(t *testing.T) {
	workspace := workspaceFor(t)
	dbmate, drizzle := "-- migrate:up\nselect 1;\n-- migrate:down\n", `{"entries": [{"when": 1, "tag": "0000_a"}]}`
	for dir, files := range map[string]map[string]string{
		"db/migrations":        {"20250131120000_a.sql": dbmate},
		"db/migrations/public": {"20250131120000_a.sql": dbmate},
		"db/migrations/tenant": {"20250131120000_a.sql": dbmate},
		"drizzle":              {"0000_a.sql": "select 1;", "meta/_journal.json": drizzle},
		"drizzle/public":       {"0000_a.sql": "select 1;", "meta/_journal.json": drizzle},
		"drizzle/tenant":       {"0000_a.sql": "select 1;", "meta/_journal.json": drizzle},
		"reports":              {"a.json": "{}"},
	} {
		for name, text := range files {
			file := filepath.Join(workspace, dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
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

// checkYAML checks a workflow or a part of one, and returns how many of its steps use the action.
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
		if step.With["previous-report"] != "" {
			step.With["previous-report"] = otherwise["previous-report"]
		}
		if step.With["retry-failed"] != "" {
			step.With["migrations-path"] = otherwise["migrations-path"] // whose digests are in that report
			step.With["migrations-format"] = otherwise["migrations-format"]
		}
		if step.With["mode"] == "undo" {
			step.With["confirm"] = otherwise["confirm"]
		}
		if got := try(t, workspace, step.With); len(got.wrong)+len(got.unused) > 0 {
			t.Errorf("%s: wrong %v, without effect %v: %s", where, got.wrong, got.unused, got.err)
		}
	}
	visit(&root)
	// A part without such a step holds inputs, either under with: or directly.
	if part := root.Content[0]; steps == 0 && part.Kind == yaml.MappingNode {
		checkPart(t, where, part)
	}
	return steps
}

// checkPart checks a part of a step: its inputs, under with: or directly.
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
