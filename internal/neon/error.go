package neon

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/org/neon-tenants-action/internal/httpx"
)

// Error is a failed call. Neon's own error codes are usually empty, so the HTTP status says what is wrong. RequestID
// comes from the answer's body or, if that has none, from its X-Request-Id header.
type Error struct {
	httpx.APIError
	// Code is Neon's own, which only the errors about limits have, like BRANCHES_LIMIT_EXCEEDED.
	Code string
}

// Remedy tells what to do about it, "" if there is nothing to say.
func (e *Error) Remedy() string {
	switch {
	case e.Unreachable():
		return "the Neon API could not be reached: check its address, the runner's network, and Neon's status at " +
			"https://neonstatus.com"
	case e.Status >= 200 && e.Status <= 299:
		return "the answer did not come from the Neon API: check its address, which ends in /api/v2, and any proxy in between"
	case e.Status == http.StatusUnauthorized:
		return "the Neon API key is wrong, was revoked, or contains a space or a line break: create a new one in " +
			"Neon's console (organization settings, API keys) and store it again"
	case e.Status == http.StatusForbidden:
		return "the Neon API key lacks the permission: use a key of the organization that owns the projects, or " +
			"a personal key of one of its admins"
	case e.Status == http.StatusNotFound:
		return "Neon has nothing of that name or id, or hides it from this API key: it may have been deleted or " +
			"renamed, or belong to another organization"
	case e.Status == http.StatusConflict:
		return "the name is taken: choose another one, or delete what has it"
	case e.Status == http.StatusLocked:
		return "another operation was running in this project all the time: look at its operations in Neon's " +
			"console, and run again when they have finished"
	case e.Status == http.StatusTooManyRequests:
		return "the account stayed over Neon's limit of 700 calls a minute: run fewer jobs with this account at " +
			"the same time, and run again"
	case e.Status >= http.StatusInternalServerError:
		return "Neon has a problem, which is usually temporary: run again later, and see https://neonstatus.com"
	}
	return ""
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

// refused reads an answer that is not what was asked for. Its body may be Neon's JSON, a proxy's HTML page, or empty.
func refused(method, path string, resp *http.Response) *Error {
	e := &Error{APIError: httpx.Refusal(method, path, resp)}
	var body struct {
		RequestID string `json:"request_id"`
		Code      string `json:"code"`
		Message   string `json:"message"`
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // half a body is as good as none
	if json.Unmarshal(raw, &body) != nil {
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if kind == "text/plain" {
			body.Message = string(raw)
		}
	}
	e.Code, e.Message = body.Code, httpx.Sentence(body.Message)
	if e.RequestID = body.RequestID; e.RequestID == "" {
		e.RequestID = resp.Header.Get("X-Request-Id")
	}
	return e
}
