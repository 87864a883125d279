package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v66/github"
)

// Note is what one comment of a pull request says.
type Note struct {
	// Marker tells notes of different kinds apart, such as "rehearsal". Readers of the comment don't see it.
	Marker string
	// Body is Markdown. What exceeds [MaxComment] is cut off.
	Body string
	// More ends a body that was cut: where to find the rest, in Markdown.
	More string
}

// commenting is the permission that comments take.
var commenting = permission{"Pull requests", "write"}

// PutComment writes a note into one comment of a pull request, and returns the comment's address: it updates the one
// that an earlier call with the token's account and the marker wrote, and creates one if there is none. Anybody can
// write a comment with the marker, so only those of the account itself count. If it has several, because two calls met
// or an answer was lost, the oldest stays.
func (c *Client) PutComment(ctx context.Context, repository string, number int, n Note) (url string, err error) {
	if err := (Scope{Repository: repository}).Check(); err != nil {
		return "", err
	}
	if n.Marker == "" || strings.Contains(n.Marker, "--") || strings.ContainsAny(n.Marker, "<>\r\n") {
		return "", fmt.Errorf("%q can't be a comment's marker", n.Marker)
	}
	p := &putting{Client: c, repository: repository, number: number}
	if p.login, err = c.account(ctx); err != nil {
		return "", err
	}
	return p.put(ctx, n)
}

// putting is one call of [Client.PutComment].
type putting struct {
	*Client
	repository string
	number     int
	login      string // of the token's account
}

func (p *putting) put(ctx context.Context, n Note) (string, error) {
	head := "<!-- neon-tenants-action: " + n.Marker + " -->"
	body := head + "\n" + fit(n.Body, n.More, MaxComment-units(head)-1)
	own, err := p.own(ctx, head)
	if err != nil {
		return "", err
	}
	if len(own) == 0 {
		made, err := p.write(ctx, http.MethodPost, p.path(), body)
		if err != nil {
			return "", err
		}
		// If an answer was lost, the transport has made the call again; and another run may have made one too.
		if own, err = p.own(ctx, head); err != nil || len(own) == 0 {
			return made.GetHTMLURL(), err
		}
	}
	for _, extra := range own[1:] {
		_, err := p.write(ctx, http.MethodDelete, p.one(extra), "")
		if err != nil && !IsStatus(err, http.StatusNotFound) {
			return "", err
		}
	}
	if own[0].GetBody() != body {
		_, err = p.write(ctx, http.MethodPatch, p.one(own[0]), body)
	}
	return own[0].GetHTMLURL(), err
}

func (p *putting) path() string {
	return fmt.Sprintf("repos/%s/issues/%d/comments", p.repository, p.number)
}

func (p *putting) one(comment *github.IssueComment) string {
	return fmt.Sprintf("repos/%s/issues/comments/%d", p.repository, comment.GetID())
}

// own lists the account's comments that begin with a line, the oldest first, over all pages.
func (p *putting) own(ctx context.Context, head string) (own []*github.IssueComment, err error) {
	err = pages(ctx, p.Client, commenting, p.path(), func(page []*github.IssueComment) {
		for _, comment := range page {
			first, _, _ := strings.Cut(comment.GetBody(), "\n")
			if strings.TrimSuffix(first, "\r") == head && strings.EqualFold(comment.GetUser().GetLogin(), p.login) {
				own = append(own, comment)
			}
		}
	})
	return own, err
}

// write creates, changes or deletes a comment. The error of a token that may not says so.
func (p *putting) write(ctx context.Context, method, path, body string) (*github.IssueComment, error) {
	var in any
	if method != http.MethodDelete {
		in = &github.IssueComment{Body: &body}
	}
	var answer github.IssueComment
	_, err := p.call(ctx, commenting, method, path, in, &answer)
	var e *Error
	if errors.As(err, &e) && e.readOnly() {
		err = fmt.Errorf("the token may only read the comments of pull request %d of %s: %w", p.number, p.repository, err)
	}
	return &answer, err
}

// account returns the login of the account that the token acts for. GET /user refuses the tokens of Apps, which a
// job's own token is one of; GraphQL's viewer does not.
func (c *Client) account(ctx context.Context) (string, error) {
	var answer struct {
		Data struct {
			Viewer struct{ Login string }
		}
		Errors []struct{ Message string }
	}
	path := "graphql"
	if strings.HasSuffix(c.api.BaseURL.Path, "/api/v3/") { // of a GitHub Enterprise server
		path = "../graphql"
	}
	query := map[string]string{"query": "query { viewer { login } }"}
	_, err := c.call(ctx, permission{}, http.MethodPost, path, query, &answer)
	switch login := answer.Data.Viewer.Login; {
	case err == nil && login != "":
		return login, nil
	case c.app && (err == nil || IsStatus(err, http.StatusForbidden) || IsStatus(err, http.StatusNotFound)):
		return jobsAccount, nil // of a server whose viewer is nobody for an App's token
	case err != nil:
		return "", err
	}
	reason := errors.New("the answer does not say whose the token is")
	for _, e := range answer.Errors {
		reason = fmt.Errorf("%w: %s", reason, e.Message)
	}
	return "", unexpected(http.MethodPost, "/graphql", http.StatusOK, reason)
}

// jobsAccount is the account of a job's own token.
const jobsAccount = "github-actions[bot]"
