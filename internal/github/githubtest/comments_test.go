package githubtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

func TestRefusalsOfComments(t *testing.T) {
	s := start(t)
	s.AddPullRequest("acme/fleet", 7)
	own := s.AddComment("acme/fleet", 7, "octocat", "mine")
	others := s.AddComment("acme/fleet", 7, "mallory", "theirs")
	s.AddToken(githubtest.Token{Secret: "github_pat_reader", Permissions: map[string]string{"issues": "read"}})
	const list, one = "/repos/acme/fleet/issues/7/comments", "/repos/acme/fleet/issues/comments/"
	reader := []string{"Authorization", "Bearer github_pat_reader"}
	job := []string{"Authorization", "Bearer " + githubtest.JobToken}
	for _, test := range []struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		{"GET", list, "", reader, 200, ""},
		{"POST", list, `{"body":"x"}`, reader, 403, "Resource not accessible by personal access token"},
		{"GET", "/repos/acme/fleet/issues/8/comments", "", nil, 404, "Not Found"},
		{"POST", "/repos/acme/fleet/issues/8/comments", `{"body":"x"}`, nil, 404, "Not Found"},
		{"POST", list, `{}`, nil, 422, `"body" wasn't supplied`},
		{"POST", list, `{"body":" "}`, nil, 422, "cannot be blank"},
		{"POST", list, `{"body":"` + strings.Repeat("x", 65537) + `"}`, nil, 422, "too long (maximum is 65536 characters)"},
		{"POST", list, `{"body":"` + strings.Repeat("x", 65536) + `"}`, nil, 201, ""},
		{"PATCH", fmt.Sprint(one, own), `{"body":"x"}`, nil, 200, ""},
		{"PATCH", fmt.Sprint(one, own), `{"body":"` + strings.Repeat("x", 65537) + `"}`, nil, 422, "too long"},
		{"PATCH", fmt.Sprint(one, others), `{"body":"x"}`, nil, 403, "somebody else's comment"},
		{"PATCH", fmt.Sprint(one, own), `{"body":"x"}`, job, 403, "somebody else's comment"},
		{"PATCH", one + "1", `{"body":"x"}`, nil, 404, "Not Found"},
		{"DELETE", fmt.Sprint(one, others), "", nil, 403, "somebody else's comment"},
		{"DELETE", fmt.Sprint(one, own), "", nil, 204, ""},
		{"DELETE", fmt.Sprint(one, own), "", nil, 404, "Not Found"},
		{"GET", "/user", "", nil, 200, ""},
		{"GET", "/user", "", job, 403, "Resource not accessible by integration"},
	} {
		resp, answer := call(t, s, test.method, test.path, test.body, test.headers...)
		if says, _ := answer["message"].(string); resp.StatusCode != test.status || !strings.Contains(says, test.says) {
			t.Errorf("%s %s: %d, %q", test.method, test.path, resp.StatusCode, says)
		}
	}
	resp, _ := call(t, s, "GET", list, "")
	if got := resp.Header.Get("X-Accepted-GitHub-Permissions"); got != "issues=read; pull_requests=read" {
		t.Errorf("accepts %q", got)
	}
}

func TestWhoseATokenIs(t *testing.T) {
	s := start(t)
	for token, want := range map[string]string{
		githubtest.DefaultToken: "octocat", githubtest.JobToken: "github-actions[bot]",
	} {
		_, answer := call(t, s, "POST", "/graphql", `{"query":"query { viewer { login } }"}`,
			"Authorization", "Bearer "+token)
		if got := fmt.Sprint(answer["data"]); got != fmt.Sprintf("map[viewer:map[login:%s]]", want) {
			t.Errorf("%s is of %s", token, got)
		}
	}
	if _, answer := call(t, s, "POST", "/graphql", `{"query":"query { repository }"}`); answer["errors"] == nil {
		t.Errorf("another query: %v", answer)
	}
}
