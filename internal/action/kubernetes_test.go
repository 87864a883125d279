package action

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
)

// manifest is what is read of the example's jobs.
type manifest struct {
	Kind string
	Spec struct {
		Completions int
		Template    struct {
			Spec struct {
				Containers []struct {
					Env []struct{ Name, Value string }
				}
			}
		}
	}
}

// podIndex is a variable that Kubernetes defines after all others, if the container itself does not define it. A value
// can refer only to variables before it.
const podIndex = "JOB_COMPLETION_INDEX"

// The variables of the Kubernetes example are inputs of this action, and its pods are all shards, each once.
func TestKubernetesManifests(t *testing.T) {
	definition, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	def, err := input.ParseDefinition(definition)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range def.Inputs {
		known[input.Variable(f.Name)] = true
	}
	paths, err := filepath.Glob("../../examples/kubernetes/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("there are no manifests", err)
	}
	sharded := 0
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for d := yaml.NewDecoder(f); ; {
			var m manifest
			if d.Decode(&m) != nil {
				break
			}
			for _, c := range m.Spec.Template.Spec.Containers {
				defined := false
				for _, v := range c.Env {
					if v.Name == podIndex {
						defined = true
						continue
					}
					if strings.Contains(v.Value, "$("+podIndex+")") && !defined {
						t.Errorf("%s: %s refers to %s, which has to be defined before it", path, v.Name, podIndex)
					}
					if !known[v.Name] {
						t.Errorf("%s: %s is no input's variable", path, v.Name)
					}
					if v.Name == input.Variable("shard") {
						sharded++
						allShards(t, v.Value, m.Spec.Completions)
					}
				}
			}
		}
	}
	if sharded != 1 {
		t.Errorf("%d jobs have shards", sharded)
	}
}

// allShards checks that a value is another shard for each index, and all of them together.
func allShards(t *testing.T, value string, completions int) {
	t.Helper()
	seen := map[fleet.Shard]bool{}
	for i := range completions {
		s, err := fleet.ParseShard(strings.ReplaceAll(value, "$("+podIndex+")", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		seen[s] = true
		if s.Count != completions {
			t.Errorf("index %d is shard %s of a job with %d pods", i, s, completions)
		}
	}
	if len(seen) != completions {
		t.Errorf("%d pods have %d shards", completions, len(seen))
	}
}
