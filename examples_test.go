package main

import (
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Of the runs that wait in one concurrency group, GitHub keeps the newest and cancels the others. So no example shares
// a group with another one, a dry run takes no place in a group of real runs, and one tenant's run takes none of
// another's.
func TestNoExampleCancelsTheWorkOfAnother(t *testing.T) {
	owner := map[string]string{}
	for _, name := range examples(t) {
		var w struct {
			On          map[string]any
			Concurrency struct {
				Group  string
				Cancel bool `yaml:"cancel-in-progress"`
			}
		}
		text := read(t, name)
		if err := yaml.Unmarshal([]byte(text), &w); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		group := w.Concurrency.Group
		if group == "" {
			continue
		}
		fixed, _, _ := strings.Cut(group, "${{")
		if other, taken := owner[fixed]; taken {
			t.Errorf("%s and %s have groups that begin with %q", other, name, fixed)
		}
		owner[fixed] = name
		if w.Concurrency.Cancel && !strings.Contains(text, "dry-run: true") {
			t.Errorf("%s cancels a run halfway", name)
		}
		for _, input := range []string{"dry-run", "tenant"} {
			declared := regexp.MustCompile(`(?m)^      ` + input + `:$`).MatchString(text)
			if declared && !strings.Contains(group, "inputs."+input) {
				t.Errorf("%s: runs with another %s share the group %s", name, input, group)
			}
		}
	}
	if len(owner) < 8 {
		t.Errorf("only %d examples have a group", len(owner))
	}
}

// One variable holds 128 KiB at most; a step with more cannot start.
func TestNoListOfTenantsIsPutIntoTheEnvironment(t *testing.T) {
	texts := documents(t)
	for _, name := range examples(t) {
		texts[name] = read(t, name)
	}
	list := regexp.MustCompile(`(?m)^ *[A-Z_]+: \$\{\{ .*outputs\.(failed-)?tenants`)
	for name, text := range texts {
		for _, line := range list.FindAllString(text, -1) {
			t.Errorf("%s: %s", name, strings.TrimSpace(line))
		}
	}
}
