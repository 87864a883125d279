package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// root is the repository's, relative to this package's directory, where go test runs.
const root = "../.."

// definition is what this package reads of action.yml.
type definition struct {
	Inputs map[string]struct {
		Default string `yaml:"default"`
	} `yaml:"inputs"`
	Outputs map[string]any `yaml:"outputs"`
}

func readDefinition(t *testing.T) definition {
	t.Helper()
	var d definition
	readYAML(t, filepath.Join(root, "action.yml"), &d)
	return d
}

func readYAML(t *testing.T, path string, into any) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(data)
}

// TestExamplesFitTheAction compares the examples with action.yml: the runner only warns about an input that does not
// exist, and an output that does not exist is silently empty.
func TestExamplesFitTheAction(t *testing.T) {
	action := readDefinition(t)
	files, err := filepath.Glob(filepath.Join(root, "examples", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var workflow struct {
				Permissions map[string]string `yaml:"permissions"`
				Jobs        map[string]struct {
					Steps []struct {
						ID   string         `yaml:"id"`
						Uses string         `yaml:"uses"`
						With map[string]any `yaml:"with"`
					} `yaml:"steps"`
				} `yaml:"jobs"`
			}
			text := readYAML(t, path, &workflow)
			if workflow.Permissions == nil {
				t.Error("no permissions: the job would get the repository's default, which may include writing")
			}
			uses := 0
			for _, job := range workflow.Jobs {
				for _, step := range job.Steps {
					if !strings.HasPrefix(step.Uses, "org/neon-tenants-action@") {
						continue
					}
					uses++
					for input := range step.With {
						if _, ok := action.Inputs[input]; !ok {
							t.Errorf("input %s is not in action.yml", input)
						}
					}
					if step.ID == "" {
						continue
					}
					for _, m := range regexp.MustCompile(`steps\.`+step.ID+`\.outputs\.([\w-]+)`).FindAllStringSubmatch(
						text, -1) {
						if _, ok := action.Outputs[m[1]]; !ok {
							t.Errorf("output %s is not in action.yml", m[1])
						}
					}
				}
			}
			if uses == 0 {
				t.Error("no step uses org/neon-tenants-action")
			}
		})
	}
}
