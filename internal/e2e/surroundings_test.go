//go:build e2e || examples

package e2e

import (
	"os"
	"slices"
	"strings"
)

// surroundings is this process's environment without what a runner gives to a step of a workflow, which these tests may
// be: the program, or act, would take it for its own.
func surroundings() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return slices.ContainsFunc([]string{"GITHUB_", "ACTIONS_", "RUNNER_", "INPUT_", "NEON_TENANTS_"},
			func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	})
}
