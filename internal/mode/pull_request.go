package mode

import (
	"os"

	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/input"
)

// PullRequest returns the number of the pull request that the workflow's event is about; 0 if it is about none.
func PullRequest(in *input.Reader) int {
	event, _ := os.ReadFile(in.Variable("GITHUB_EVENT_PATH")) // without it, the ref may tell
	return github.PullRequest(event, in.Variable("GITHUB_REF"))
}
