//go:build e2e || examples

package e2e

import (
	"os"
	"slices"
	"strings"
)

// surroundings is this process's environment without what a runner gives to a step of a workflow, which these tests may
// be: the program, or act, would take it for its own. Nor has it variables that begin with one of more.
func surroundings(more ...string) []string {
	prefixes := append(more, "GITHUB_", "ACTIONS_", "RUNNER_", "INPUT_")
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	})
}
