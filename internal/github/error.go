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

// Error is a failed call of GitHub's API.
type Error struct {
	httpx.APIError
	// Accepted is what GitHub says a token needs for this call (X-Accepted-GitHub-Permissions), such as
	// "secrets=write"; empty if it does not say.
	Accepted string

	need    permission
	limited bool // a rate limit is exceeded
	signOn  bool // the organization requires single sign-on for the token
}

// Remedy tells what to do about it, "" if there is nothing to say.
func (e *Error) Remedy() string {
	switch {
	case e.Unreachable():
		return "GitHub's API could not be reached: check its address (GITHUB_API_URL), the runner's network, and " +
			"GitHub's status at https://www.githubstatus.com"
	case e.Status >= 200 && e.Status <= 299:
		return "the answer did not come from GitHub's API: check its address (GITHUB_API_URL) and any proxy in between"
	case e.Status >= 300 && e.Status <= 399:
		return "the repository or organization was renamed or moved: use its new name"
	case e.limited:
		return "the token stayed over GitHub's rate limit: run again after the time given, with fewer jobs that " +
			"use the token at the same time; fewer and larger secrets need fewer writes"
	case e.Status == http.StatusUnauthorized:
		return "the GitHub token is wrong, has expired (a GitHub App's lasts an hour) or was revoked: create a " +
			"new one and store it again"
	case e.reason() != "":
		return e.reason()
	case e.readOnly():
		return "give the job the permission pull-requests: write, or use a token " + e.permission() + "; a run that a " +
			"fork or Dependabot started has a token that only reads, whatever its permissions say, and writes no comment"
	case e.Status == http.StatusForbidden && strings.Contains(e.Message, "accessible by integration"):
		return "this is the job's own GITHUB_TOKEN, which has no access to secrets and variables whatever " +
			"`permissions:` says, or a GitHub App's token without the permission: use a fine-grained personal " +
			"access token, or an App's token, " + e.permission()
	case e.Status == http.StatusForbidden && e.Accepted == "" && !strings.Contains(e.Message, "accessible by"):
		return "GitHub's message says why; if a permission of the GitHub token is what it lacks, use one " + e.permission()
	case e.Status == http.StatusForbidden:
		return "the GitHub token lacks a permission: use one " + e.permission()
	case e.Status == http.StatusNotFound && e.need == commenting:
		return "GitHub has no such pull request, or hides it from this token: check its number, and use a token " +
			e.permission()
	case e.Status == http.StatusNotFound:
		return e.missing()
	case e.Status == http.StatusUnprocessableEntity:
		return e.invalid()
	case e.Status >= http.StatusInternalServerError:
		return "GitHub has a problem, which is usually temporary: run again later, and see https://www.githubstatus.com"
	}
	return ""
}

// missing is the remedy for a 404, which GitHub also gives instead of a 403 for what it hides from the token.
func (e *Error) missing() string {
	names := "the owner and the repository (which the token must include)"
	switch {
	case strings.HasPrefix(e.Path, "/orgs/"):
		names = "the organization's name, and that its owners have approved the token"
	case strings.Contains(e.Path, "/environments/"):
		names = "the owner, the repository (which the token must include) and the environment (which has to exist)"
	}
	return "GitHub has nothing of that name, or hides it from this token: check " + names + ", and use a token " +
		e.permission()
}

// readOnly reports whether a comment could not be written because the token may only read, or not even that.
func (e *Error) readOnly() bool {
	return e.Status == http.StatusForbidden && e.need == commenting && !e.limited && !e.signOn
}

// permission names the permission that a token needs for everything done in the scope, and what GitHub names for this
// call.
func (e *Error) permission() string {
	need := fmt.Sprintf("%q", e.need.name+": "+e.need.level)
	wanted := "with the permission " + need
	// GitHub names what the single call needs: to read, where everything that is done there also writes.
	reads := fmt.Sprintf("%q", e.need.name+": read")
	if set := accepted(e.Accepted); set != "" && !strings.Contains(set, need) && !strings.Contains(set, reads) {
		wanted += " (GitHub names " + set + " for this call)"
	}
	scope := "repo"
	if strings.HasPrefix(e.need.name, "Organization") {
		scope = "admin:org"
	}
	return fmt.Sprintf("%s (a classic token: with the scope %s)", wanted, scope)
}

// accepted puts X-Accepted-GitHub-Permissions into words. Alternatives are separated by semicolons.
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

// failed is an [Error] that is about neither the status nor the network.
func failed(method, path string, err error) *Error {
	return &Error{APIError: httpx.APIError{Method: method, Path: path, Err: err}}
}

// noAnswer is a call for which go-github returned err and no response.
func noAnswer(ctx context.Context, method, path string, err error) *Error {
	e := &Error{APIError: httpx.NoAnswer(ctx, method, path, err)}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(e.Err, cause) {
		e.Err = fmt.Errorf("%w: %w", e.Err, cause) // go-github drops the cause
	}
	return e
}

// unexpected is an answer that was accepted but is not what it should be.
func unexpected(method, path string, status int, err error) *Error {
	return &Error{APIError: httpx.APIError{Method: method, Path: path, Status: status, Sent: true, Err: err}}
}

// refused reads an answer that is not what was asked for, whatever its body, which can still be read afterwards.
func refused(method, path string, resp *http.Response, need permission) *Error {
	e := &Error{
		APIError: httpx.Refusal(method, path, resp), need: need,
		Accepted: httpx.Sentence(resp.Header.Get("X-Accepted-GitHub-Permissions")),
		signOn:   strings.HasPrefix(resp.Header.Get("X-GitHub-SSO"), "required"),
	}
	e.RequestID = httpx.Sentence(resp.Header.Get("X-GitHub-Request-Id"))
	var answer refusal
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // half a body is as good as none
	resp.Body = io.NopCloser(strings.NewReader(string(raw)))
	if json.Unmarshal(raw, &answer) == nil {
		e.Message = answer.text()
	}
	forbidden := e.Status == http.StatusForbidden || e.Status == http.StatusTooManyRequests
	e.limited = limited(resp) || e.GaveUp != "" && forbidden
	if e.limited || e.reason() != "" {
		e.Accepted = "" // the permission was not the problem
	}
	if e.Accepted != "" {
		e.Detail = "X-Accepted-GitHub-Permissions: " + e.Accepted
	}
	return e
}
