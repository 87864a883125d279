package github

import (
	"encoding/json"
	"strconv"
	"strings"
)

// PullRequest returns the number of the pull request that a workflow's event is about; 0 if it is about none. event is
// the event's text and ref GITHUB_REF, each of which may be empty. The text comes first, because the ref of a pull
// request that was merged is its base branch.
func PullRequest(event []byte, ref string) int {
	if n := pullRequestOf(event); n > 0 {
		return n
	}
	rest, _ := strings.CutPrefix(ref, "refs/pull/")
	number, _, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(number)
	if err != nil || rest == ref {
		return 0
	}
	return max(0, n)
}

// pullRequestOf reads an event's text. A comment's event calls its pull request an issue.
func pullRequestOf(event []byte) int {
	var e struct {
		PullRequest struct{ Number int } `json:"pull_request"`
		Issue       struct {
			Number      int
			PullRequest *struct{} `json:"pull_request"`
		}
	}
	switch {
	case json.Unmarshal(event, &e) != nil:
		return 0
	case e.PullRequest.Number > 0:
		return e.PullRequest.Number
	case e.Issue.PullRequest != nil:
		return e.Issue.Number
	}
	return 0
}
