package neon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/org/neon-tenants-action/internal/httpx"
)

// Error is a call that failed. Neon's own codes are usually empty, so the status tells what is the matter.
type Error struct {
	Method, Path string // the path under the API's address, without the query
	// Status is the HTTP status, 0 where no answer came.
	Status int
	// Message is Neon's own sentence; empty where the body was none of Neon's (a proxy's HTML page, nothing at all).
	Message string
	// RequestID is what Neon's support asks for.
	RequestID string
	// Err is what went wrong where it was not the status.
	Err error
	// gaveUp says why there was no further try, where one was due.
	gaveUp string
	// unreachable is true where the call was sent and got no answer.
	unreachable bool
	// ended is true where the call was given up with its context.
	ended bool
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", e.Method, e.Path)
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	} else {
		fmt.Fprintf(&b, "%d %s", e.Status, statusText(e.Status))
		if e.Message != "" {
			b.WriteString(": " + e.Message)
		}
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

// Remedy tells what to do about the status, "" where there is nothing to say.
func (e *Error) Remedy() string {
	switch {
	case e.unreachable && !e.ended:
		return "the Neon API could not be reached: check its address and the network of the runner, and Neon's status at https://neonstatus.com"
	case e.Status >= 200 && e.Status <= 299:
		return "something other than the Neon API answered: check its address, which ends in /api/v2, and any proxy in between"
	case e.Status == http.StatusUnauthorized:
		return "the Neon API key is wrong, was revoked or has a blank or line break in it: create a new one in Neon's console (organization settings, API keys) " +
			"and store it again"
	case e.Status == http.StatusForbidden:
		return "the Neon API key may not do this: use a key of the organization that owns the projects, or a personal key of one of its admins"
	case e.Status == http.StatusNotFound:
		return "Neon knows nothing of that name or id, or the API key may not see it: it was deleted or renamed, or belongs to another organization"
	case e.Status == http.StatusConflict:
		return "Neon has one of that name already: choose another name, or delete the one that is there"
	case e.Status == http.StatusLocked:
		return "another operation kept running in this project: look at its operations in Neon's console, and run again when they are finished"
	case e.Status == http.StatusTooManyRequests:
		return "Neon's limit of 700 calls a minute for the account stayed exceeded: run fewer jobs with this account at the same time, then run again"
	case e.Status >= http.StatusInternalServerError:
		return "Neon has trouble, which usually passes: run again later, and see https://neonstatus.com"
	}
	return ""
}

// IsStatus reports whether err is an [Error] with that status.
func IsStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

// callError makes an [Error] of one that http.Client.Do returned.
func callError(ctx context.Context, method, path string, err error) *Error {
	e := &Error{Method: method, Path: path, ended: ctx.Err() != nil}
	e.gaveUp, e.unreachable, e.Err = httpx.Failed(err)
	return e
}

// statusError makes an [Error] of an answer, whatever its body: Neon's JSON, a proxy's HTML page, or nothing.
func statusError(method, path string, resp *http.Response) *Error {
	e := &Error{Method: method, Path: path, Status: resp.StatusCode, gaveUp: httpx.GaveUp(resp)}
	var body struct {
		RequestID string `json:"request_id"`
		Message   string `json:"message"`
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // a body that breaks off is no body
	if json.Unmarshal(raw, &body) != nil {
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if kind == "text/plain" {
			body.Message = string(raw)
		}
	}
	e.Message = httpx.Sentence(body.Message)
	e.RequestID = requestID(resp, body.RequestID)
	return e
}

func requestID(resp *http.Response, fromBody string) string {
	if fromBody != "" {
		return fromBody
	}
	return resp.Header.Get("X-Request-Id")
}

func statusText(status int) string {
	if status == 524 {
		return "A Timeout Occurred" // Cloudflare's own, before Neon's API
	}
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "unknown status"
}
