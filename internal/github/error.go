package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/org/neon-tenants-action/internal/httpx"
)

// Error is a call of the API that failed.
type Error struct {
	Method, Path string // the path under the API's address, without the query
	// Status is the HTTP status, 0 where no answer came.
	Status int
	// Message is GitHub's own sentence; empty where the body was none of GitHub's (a proxy's page, nothing at all).
	Message string
	// Accepted is what GitHub says a token would have to be allowed (X-Accepted-GitHub-Permissions: "secrets=write"), where
	// it says so.
	Accepted string
	// RequestID is what GitHub's support asks for.
	RequestID string
	// Err is what went wrong where it was not the status.
	Err error

	need        permission
	gaveUp      string // why there was no further try, where one was due
	limited     bool   // a rate limit is exceeded
	signOn      bool   // the organization wants the token authorized
	unreachable bool   // the call was sent and got no answer
	ended       bool   // the call was given up with its context
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", e.Method, e.Path)
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	} else {
		fmt.Fprintf(&b, "%d %s", e.Status, http.StatusText(e.Status))
		if e.Message != "" {
			b.WriteString(": " + e.Message)
		}
	}
	if e.Accepted != "" {
		fmt.Fprintf(&b, " (X-Accepted-GitHub-Permissions: %s)", e.Accepted)
	}
	if e.gaveUp != "" {
		b.WriteString(", given up " + e.gaveUp)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request id %s)", e.RequestID)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Remedy tells what to do about it, "" where there is nothing to say.
func (e *Error) Remedy() string {
	switch {
	case e.unreachable && !e.ended:
		return "GitHub's API could not be reached: check its address (GITHUB_API_URL) and the network of the runner, and GitHub's status at https://www.githubstatus.com"
	case e.Status >= 200 && e.Status <= 299:
		return "something other than GitHub's API answered: check its address (GITHUB_API_URL) and any proxy in between"
	case e.Status >= 300 && e.Status <= 399:
		return "the repository or the organization was renamed or moved: use its new name"
	case e.limited:
		return "GitHub's rate limit for this token stayed exceeded: run again after the time that is named, with fewer jobs that use the token at the same time; " +
			"fewer and larger secrets need fewer writes"
	case e.Status == http.StatusUnauthorized:
		return "the GitHub token is wrong, has expired or was revoked (a GitHub App's lives for an hour): create a new one and store it again"
	case e.signOn:
		return "the organization wants single sign-on: authorize the token for it in GitHub's settings, under Personal access tokens, Configure SSO"
	case e.Status == http.StatusForbidden && strings.Contains(e.Message, "accessible by integration"):
		return "this is the job's own GITHUB_TOKEN, which has no access to secrets and variables whatever `permissions:` says, or a GitHub App's token without the " +
			"permission: use a fine-grained personal access token, or an App's token, " + e.permission()
	case e.Status == http.StatusForbidden:
		return "the GitHub token may not do this: use one " + e.permission()
	case e.Status == http.StatusNotFound:
		return "GitHub knows nothing of that name, or hides it from this token: check owner, repository and environment (which has to exist), and that the token is one " +
			e.permission()
	case e.Status >= http.StatusInternalServerError:
		return "GitHub has trouble, which usually passes: run again later, and see https://www.githubstatus.com"
	}
	return ""
}

// permission says what a token has to be allowed: for all that is done in the scope, and for this call by what GitHub says.
func (e *Error) permission() string {
	need := fmt.Sprintf("%q", e.need.name+": "+e.need.level)
	wanted := "with the permission " + need
	if set := accepted(e.Accepted); set != "" && !strings.Contains(set, need) {
		wanted += " (GitHub names " + set + " for this call)"
	}
	scope := "repo"
	if strings.HasPrefix(e.need.name, "Organization") {
		scope = "admin:org"
	}
	return fmt.Sprintf("%s (a classic one: with the scope %s)", wanted, scope)
}

// accepted puts X-Accepted-GitHub-Permissions, sets of permissions between semicolons, into words.
func accepted(header string) string {
	var sets []string
	for set := range strings.SplitSeq(header, ";") {
		var all []string
		for one := range strings.SplitSeq(set, ",") {
			name, level, ok := strings.Cut(strings.TrimSpace(one), "=")
			if !ok {
				continue
			}
			name = strings.ReplaceAll(strings.ReplaceAll(name, "actions_variables", "variables"), "_", " ")
			if name != "" {
				name = strings.ToUpper(name[:1]) + name[1:]
			}
			all = append(all, fmt.Sprintf("%q", name+": "+level))
		}
		if len(all) > 0 {
			sets = append(sets, strings.Join(all, " and "))
		}
	}
	return strings.Join(sets, ", or ")
}

// IsStatus reports whether err is an [Error] with that status.
func IsStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

// callError makes an [Error] of one that came without an answer.
func callError(ctx context.Context, method, path string, err error) *Error {
	e := &Error{Method: method, Path: path, ended: ctx.Err() != nil}
	e.gaveUp, e.unreachable, e.Err = httpx.Failed(err)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(e.Err, cause) {
		e.Err = fmt.Errorf("%w: %w", e.Err, cause) // go-github keeps the context's error only
	}
	return e
}

// statusError makes an [Error] of an answer, whatever its body.
func statusError(method, path string, resp *http.Response, need permission) *Error {
	e := &Error{
		Method: method, Path: path, Status: resp.StatusCode, need: need,
		Accepted:  httpx.Sentence(resp.Header.Get("X-Accepted-GitHub-Permissions")),
		RequestID: httpx.Sentence(resp.Header.Get("X-GitHub-Request-Id")),
		gaveUp:    httpx.GaveUp(resp),
		signOn:    strings.HasPrefix(resp.Header.Get("X-GitHub-SSO"), "required"),
	}
	var body struct{ Message string }
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // a body that breaks off is no body
	resp.Body = io.NopCloser(strings.NewReader(string(raw)))
	if json.Unmarshal(raw, &body) == nil {
		e.Message = httpx.Sentence(body.Message)
	}
	e.limited = limited(resp) || e.gaveUp != "" && (e.Status == http.StatusForbidden || e.Status == http.StatusTooManyRequests)
	if e.limited {
		e.Accepted = "" // which was granted
	}
	return e
}
