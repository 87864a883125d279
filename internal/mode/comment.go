package mode

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/input"
)

// Commenter writes what a mode has to say into one comment of the pull request that started the workflow. A nil one
// writes nothing.
type Commenter struct {
	env        Env
	client     *github.Client
	repository string
	pull       int    // 0: there is none
	run        string // the address of the workflow's run
}

// NewCommenter reads what it takes to write a comment: the token, the repository and the pull request. Without a pull
// request nothing is required, because there is nothing to write to: a workflow may be started by other events too.
func NewCommenter(in *input.Reader, env Env) *Commenter {
	c := &Commenter{env: env, repository: in.Variable("GITHUB_REPOSITORY"), pull: PullRequest(in)}
	token := in.OptionalSecret("github-token")
	if c.pull == 0 {
		return c
	}
	if token == "" {
		in.Mistake("github-token", "is empty, and a comment needs a token; pass the job's own, ${{ github.token }}, and "+
			"give the job the permission pull-requests: write")
		return c
	}
	if err := (github.Scope{Repository: c.repository}).Check(); err != nil {
		in.Mistake("github-token", "there is no repository to comment in: GITHUB_REPOSITORY %v; "+
			"the runner sets it, so leave the comment out elsewhere", err)
		return c
	}
	c.client = GitHub(in, env, token)
	if server, id := in.Variable("GITHUB_SERVER_URL"), in.Variable("GITHUB_RUN_ID"); server != "" && id != "" {
		c.run = fmt.Sprintf("%s/%s/actions/runs/%s", server, c.repository, id)
	}
	return c
}

// Comment writes Markdown into the one comment that marker names, or updates it. It holds no secret: nothing is
// redacted on the way. Without a pull request a notice says that there is no comment. A dry run comments too: on a pull
// request nothing else is to be changed.
func (c *Commenter) Comment(ctx context.Context, marker, markdown string) error {
	switch {
	case c == nil:
		return nil
	case c.pull == 0:
		c.env.Notice("no pull request started this workflow, so there is no comment")
		return nil
	}
	more := "This was too long for a comment; the rest is in the step summary"
	if c.run != "" {
		more += " of [the run](" + c.run + ")"
	}
	note := github.Note{Marker: marker, Body: markdown, More: more + "."}
	url, err := c.client.PutComment(ctx, c.repository, c.pull, note)
	if err != nil {
		return fmt.Errorf("comment on pull request #%d of %s: %w", c.pull, c.repository, err)
	}
	c.env.Say("commented on the pull request: " + url)
	return nil
}
