package github_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

const (
	pull   = 7
	locked = 8
	bot    = "github-actions[bot]"
	head   = "<!-- neon-tenants-action: rehearsal -->\n"
)

// withPull is a simulator with a pull request, and a client with a job's own token.
func withPull(t *testing.T) (*githubtest.Server, *github.Client) {
	t.Helper()
	s := simulator(t, githubtest.Options{})
	s.AddPullRequest("acme/fleet", pull)
	return s, client(t, s, githubtest.JobToken)
}

func put(t *testing.T, c *github.Client, body string) string {
	t.Helper()
	url, err := c.PutComment(t.Context(), "acme/fleet", pull, github.Note{Marker: "rehearsal", Body: body, More: "More."})
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// bodies are the pull request's comments as AUTHOR: BODY.
func bodies(s *githubtest.Server) (all []string) {
	for _, c := range s.Comments("acme/fleet", pull) {
		all = append(all, c.Login+": "+c.Body)
	}
	return all
}

func same(t *testing.T, s *githubtest.Server, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, bodies(s)); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
}

// One comment is written and then updated, whoever comments in between. What is as it was is not written again.
func TestOneCommentIsUpdated(t *testing.T) {
	s, c := withPull(t)
	s.AddComment("acme/fleet", pull, "octocat", "hello")
	url := put(t, c, "first")
	s.AddComment("acme/fleet", pull, "octocat", "what is this?")
	if again := put(t, c, "second"); again != url || !strings.Contains(url, "/acme/fleet/pull/7#issuecomment-") {
		t.Errorf("at %s, then at %s", url, again)
	}
	same(t, s, "octocat: hello", bot+": "+head+"second", "octocat: what is this?")
	s.ResetCalls()
	put(t, c, "second")
	if n := s.Calls().ByRoute["PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}"]; n > 0 {
		t.Errorf("wrote it %d times", n)
	}
	// Another kind has a comment of its own.
	if _, err := c.PutComment(t.Context(), "acme/fleet", pull, github.Note{Marker: "undo", Body: "third"}); err != nil {
		t.Error(err)
	}
	if n := len(bodies(s)); n != 4 {
		t.Errorf("%d comments", n)
	}
}

// Anybody can paste a marker, and a bot of another App too.
func TestOnlyTheAccountsOwnCommentIsUpdated(t *testing.T) {
	for _, c := range []struct{ token, login, account string }{
		{githubtest.JobToken, "", bot},
		{githubtest.DefaultToken, "", "octocat"},
		{"ghs_another", "acme-bot[bot]", "acme-bot[bot]"},
	} {
		t.Run(c.account, func(t *testing.T) {
			s, _ := withPull(t)
			if c.login != "" {
				s.AddToken(githubtest.Token{Secret: c.token, Login: c.login, Permissions: map[string]string{"issues": "write"}})
			}
			others := []string{"mallory", "github-actions", "dependabot[bot]", "octo-cat"}
			var want []string
			for _, login := range others {
				s.AddComment("acme/fleet", pull, login, head+"pasted")
				want = append(want, login+": "+head+"pasted")
			}
			// Its own, but the marker is not at the beginning, as in an answer that quotes the comment.
			s.AddComment("acme/fleet", pull, c.account, "> "+head)
			want = append(want, c.account+": > "+head)
			me := client(t, s, c.token)
			put(t, me, "first")
			put(t, me, "second")
			same(t, s, append(want, c.account+": "+head+"second")...)
		})
	}
}

// It is found on the last page, and where GitHub has changed its line ends.
func TestTheCommentIsFoundOnEveryPage(t *testing.T) {
	s, c := withPull(t)
	for i := range 230 {
		s.AddComment("acme/fleet", pull, "octocat", fmt.Sprint(i))
	}
	s.AddComment("acme/fleet", pull, bot, strings.Replace(head, "\n", "\r\n", 1)+"first")
	s.ResetCalls()
	put(t, c, "second")
	if all := bodies(s); len(all) != 231 || all[230] != bot+": "+head+"second" {
		t.Errorf("%d comments, the last is %q", len(all), all[len(all)-1])
	}
	if n := s.Calls().ByRoute["GET /repos/{owner}/{repo}/issues/{issue_number}/comments"]; n != 3 {
		t.Errorf("%d pages", n)
	}
}

// An answer that is lost, and two runs at once, leave one comment.
func TestThereIsOneComment(t *testing.T) {
	s, c := withPull(t)
	post := "POST /repos/{owner}/{repo}/issues/{issue_number}/comments"
	s.Fail(githubtest.Fault{Route: post, Lose: true, Times: 1})
	put(t, c, "first")
	same(t, s, bot+": "+head+"first")

	s, c = withPull(t)
	var met, both sync.WaitGroup // both have looked before one of them writes
	met.Add(2)
	s.Fail(githubtest.Fault{Route: post, Times: 2, Do: func() { met.Done(); met.Wait() }})
	for range 2 {
		both.Go(func() { put(t, c, "first") })
	}
	both.Wait()
	same(t, s, bot+": "+head+"first")
	// Those that earlier runs have left go too, and nobody else's.
	s.AddComment("acme/fleet", pull, "octocat", head)
	s.AddComment("acme/fleet", pull, bot, head+"older")
	put(t, c, "second")
	same(t, s, bot+": "+head+"second", "octocat: "+head)
}

func TestALongCommentIsCut(t *testing.T) {
	s, c := withPull(t)
	put(t, c, strings.Repeat("| 😀 | a row |\n", 10_000))
	body := s.Comments("acme/fleet", pull)[0].Body
	if !strings.HasPrefix(body, head+"| 😀 | a row |\n") || !strings.HasSuffix(body, "| 😀 | a row |\n\nMore.\n") {
		t.Errorf("%d bytes: %q … %q", len(body), body[:60], body[len(body)-60:])
	}
}

func TestCommentsThatCannotBeWritten(t *testing.T) {
	s, c := withPull(t)
	s.AddRepository("acme/empty")
	s.AddPullRequest("acme/fleet", locked)
	s.LockPullRequest("acme/fleet", locked)
	s.AddToken(githubtest.Token{Secret: "ghs_fork", Permissions: map[string]string{"pull_requests": "read"}})
	s.AddToken(githubtest.Token{Secret: "github_pat_read", Permissions: map[string]string{"pull_requests": "read"}})
	s.AddToken(githubtest.Token{Secret: "ghs_none", Permissions: map[string]string{}})
	note := github.Note{Marker: "rehearsal", Body: "x"}
	for name, w := range map[string]struct {
		token, repository, says, remedy string
		pull                            int
		note                            github.Note
	}{
		"a fork": {"ghs_fork", "acme/fleet", "the token may only read the comments of pull request 7 of acme/fleet",
			"a run that a fork or Dependabot started has a token that only reads", pull, note},
		"a person who may only read": {"github_pat_read", "acme/fleet", "the token may only read the comments",
			`"Pull requests: write"`, pull, note},
		"no permission": {"ghs_none", "acme/fleet", "403", "give the job the permission pull-requests: write", pull, note},
		"a locked one": {githubtest.JobToken, "acme/fleet", "403", "the pull request's conversation is locked: unlock it",
			locked, note},
		"no pull request": {githubtest.JobToken, "acme/empty", "404", "GitHub has no such pull request", pull, note},
		"no repository":   {githubtest.JobToken, "acme/none", "404", "GitHub has no such pull request", pull, note},
		"a wrong token":   {"wrong", "acme/fleet", "401", "the GitHub token is wrong", pull, note},
		"no name":         {githubtest.JobToken, "acme", "not a repository", "", pull, note},
		"a marker that would end itself": {githubtest.JobToken, "acme/fleet", "can't be a comment's marker", "", pull,
			github.Note{Marker: "a -->", Body: "x"}},
		"no marker": {githubtest.JobToken, "acme/fleet", "can't be a comment's marker", "", pull, github.Note{Body: "x"}},
	} {
		_, err := client(t, s, w.token).PutComment(t.Context(), w.repository, w.pull, w.note)
		if err == nil || !strings.Contains(err.Error(), w.says) || !strings.Contains(fleet.Remedy(err), w.remedy) {
			t.Errorf("%s: %v (%s)", name, err, fleet.Remedy(err))
		}
	}
	if got := bodies(s); len(got) > 0 {
		t.Errorf("wrote %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.PutComment(ctx, "acme/fleet", pull, note); err == nil {
		t.Error("a cancelled call succeeded")
	}
}

// A server that does not say whose an App's token is: a job's own is github-actions'.
func TestTheJobsAccountIsKnown(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound} {
		s, c := withPull(t)
		s.Fail(githubtest.Fault{Route: "POST /graphql", Status: status, Message: "no"})
		put(t, c, "first")
		put(t, c, "second")
		same(t, s, bot+": "+head+"second")
		if _, err := client(t, s, githubtest.DefaultToken).PutComment(t.Context(), "acme/fleet", pull,
			github.Note{Marker: "rehearsal"}); err == nil {
			t.Error("a person's token has no account, and succeeded")
		}
	}
}

// On an Enterprise server, GraphQL is beside the API.
func TestCommentsOfAnEnterpriseServer(t *testing.T) {
	s, _ := withPull(t)
	c, err := github.New(github.Options{BaseURL: s.URL + githubtest.EnterprisePath, Token: githubtest.DefaultToken,
		UserAgent: tester})
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, "first")
	put(t, c, "second")
	same(t, s, "octocat: "+head+"second")
}
