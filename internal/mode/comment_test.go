package mode

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/input"
)

// job is a step of a workflow: GitHub with a pull request, and what the step says.
type job struct {
	*githubtest.Server
	variables    map[string]string
	env          Env
	notices, log []string
}

func newJob(t *testing.T, event string) *job {
	t.Helper()
	s, err := githubtest.Start(githubtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.AddRepository("acme/app")
	s.AddPullRequest("acme/app", 7)
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, []byte(event), 0o600); err != nil {
		t.Fatal(err)
	}
	j := &job{Server: s, variables: map[string]string{
		"GITHUB_EVENT_PATH": path, "GITHUB_API_URL": s.URL, "GITHUB_REPOSITORY": "acme/app", "GITHUB_RUN_ID": "12",
		"GITHUB_SERVER_URL": "https://github.com", "INPUT_GITHUB-TOKEN": githubtest.JobToken,
	}}
	j.env.Notice = func(text string) { j.notices = append(j.notices, text) }
	j.env.Say = func(text string) { j.log = append(j.log, text) }
	return j
}

const opened = `{"action":"opened","number":7,"pull_request":{"number":7}}`

// commenter reads the inputs, and returns the mistakes.
func (j *job) commenter(t *testing.T) (*Commenter, error) {
	t.Helper()
	d, err := input.ParseDefinition([]byte("inputs:\n  github-token: {description: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := input.New(d, nil, func(name string) (string, bool) { v, ok := j.variables[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	return NewCommenter(in, j.env), in.Err()
}

func TestACommenterKeepsOneComment(t *testing.T) {
	j := newJob(t, opened)
	for _, text := range []string{"first", "second", strings.Repeat("a row\n", 20_000)} {
		c, err := j.commenter(t)
		if err == nil {
			err = c.Comment(t.Context(), "rehearsal", text)
		}
		if err != nil {
			t.Fatal(err)
		}
		all := j.Comments("acme/app", 7)
		if len(all) != 1 || !strings.Contains(all[0].Body, text[:5]) || len(all[0].Body) > 65536 {
			t.Fatalf("%d comments, the first is %.80q", len(all), all[0].Body)
		}
	}
	if body := j.Comments("acme/app", 7)[0].Body; !strings.HasSuffix(body, "\n\nThis was too long for a comment; "+
		"the rest is in the step summary of [the run](https://github.com/acme/app/actions/runs/12).\n") {
		t.Errorf("it ends with %q", body[len(body)-160:])
	}
	if len(j.log) != 3 ||
		!strings.HasPrefix(j.log[0], "commented on the pull request: https://github.com/acme/app/pull/7#") {
		t.Errorf("said %q", j.log)
	}
}

// An event without a pull request is no error, and makes no call.
func TestWhereThereIsNoComment(t *testing.T) {
	push := newJob(t, `{"ref":"refs/heads/main"}`)
	push.variables["INPUT_GITHUB-TOKEN"], push.variables["GITHUB_REPOSITORY"] = "", ""
	c, err := push.commenter(t)
	if err == nil {
		err = c.Comment(t.Context(), "rehearsal", "x")
	}
	const notice = "no pull request started this workflow, so there is no comment"
	if err != nil || len(push.notices) != 1 || push.notices[0] != notice || push.Calls().Total > 0 {
		t.Errorf("%v, %q, %d calls", err, push.notices, push.Calls().Total)
	}
	var none *Commenter
	if err := none.Comment(t.Context(), "rehearsal", "x"); err != nil {
		t.Error(err)
	}
}

func TestMistakesOfACommenter(t *testing.T) {
	for name, c := range map[string]struct{ variable, value, says string }{
		"no token":  {"INPUT_GITHUB-TOKEN", "", "pass the job's own, ${{ github.token }}"},
		"two lines": {"INPUT_GITHUB-TOKEN", "a\nb", "github-token: the GitHub token contains"},
		"no address": {"GITHUB_API_URL", "ghe.acme.com", "variable GITHUB_API_URL: the address of GitHub's API is not a URL" +
			" such as https://api.github.com; GitHub's runner sets this variable: unset it"},
		"no repository": {"GITHUB_REPOSITORY", "", "GITHUB_REPOSITORY"},
	} {
		j := newJob(t, opened)
		j.variables[c.variable] = c.value
		if _, err := j.commenter(t); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The token of a fork's run may only read.
func TestACommentFromAFork(t *testing.T) {
	j := newJob(t, opened)
	j.AddToken(githubtest.Token{Secret: "ghs_fork", Permissions: map[string]string{"pull_requests": "read"}})
	j.variables["INPUT_GITHUB-TOKEN"] = "ghs_fork"
	c, err := j.commenter(t)
	if err == nil {
		err = c.Comment(t.Context(), "rehearsal", "x")
	}
	if err == nil || !strings.Contains(err.Error(), "comment on pull request #7 of acme/app: the token may only read") ||
		!strings.Contains(fleet.Remedy(err), "fork") {
		t.Errorf("%v (%s)", err, fleet.Remedy(err))
	}
}
