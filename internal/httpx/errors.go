package httpx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
)

// Error is a call that got no answer. Its text holds the path without the query, and no header.
type Error struct {
	Method, Path string
	Attempts     int // 0: it was never sent
	Err          error
}

func (e *Error) Error() string {
	attempts := ""
	if e.Attempts > 1 {
		attempts = fmt.Sprintf(" (%d attempts)", e.Attempts)
	}
	return fmt.Sprintf("%s %s%s: %v", e.Method, e.Path, attempts, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// APIError is a failed call of an API. Each API's client embeds it in an error of its own.
type APIError struct {
	Method, Path string // the path below the API's address, without the query
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Message is the API's own text. It is empty if the body was not the API's: a proxy's HTML page, or nothing at
	// all.
	Message string
	// Detail is one more fact about the answer.
	Detail string
	// RequestID is what the API's support asks for.
	RequestID string
	// Err is what went wrong if it was not the status.
	Err error
	// GaveUp says why there was no further attempt although one was due: "after 7 attempts".
	GaveUp string
	// Sent is true if an attempt may have reached the API.
	Sent bool
	// Ended is true if the call was cut short because its context ended.
	Ended bool
}

func (e *APIError) Error() string {
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
	if e.Detail != "" {
		fmt.Fprintf(&b, " (%s)", e.Detail)
	}
	if e.GaveUp != "" {
		b.WriteString("; gave up " + e.GaveUp)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request id %s)", e.RequestID)
	}
	return b.String()
}

func (e *APIError) Unwrap() error { return e.Err }

// Unreachable reports whether the call was sent and got no answer, although there was time for one.
func (e *APIError) Unreachable() bool { return e.Status == 0 && e.Sent && !e.Ended }

// NoAnswer describes a call for which http.Client.Do, over a [Client], returned err. ctx is the call's.
func NoAnswer(ctx context.Context, method, path string, err error) APIError {
	// *url.Error and *Error repeat what APIError's own text says.
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	e := APIError{Method: method, Path: path, Err: err, Ended: ctx.Err() != nil}
	if inner := (*Error)(nil); errors.As(err, &inner) {
		e.Err, e.Sent = inner.Err, inner.Attempts > 0
		if inner.Attempts > 1 {
			e.GaveUp = fmt.Sprintf("after %d attempts", inner.Attempts)
		}
	}
	return e
}

// Refusal describes an answer of a [Client] that is not what was asked for.
func Refusal(method, path string, resp *http.Response) APIError {
	return APIError{Method: method, Path: path, Status: resp.StatusCode, GaveUp: gaveUp(resp), Sent: true}
}

func statusText(status int) string {
	if status == 524 {
		return "A Timeout Occurred" // Cloudflare's own, in front of the API
	}
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "unknown status"
}

// maxSentence bounds how much of a server's text goes into an error, in bytes.
const maxSentence = 500

// Sentence makes a server's text safe to stand in an error: one line, no control characters, at most 500 bytes and
// "…".
func Sentence(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(text) > maxSentence {
		text = strings.ToValidUTF8(text[:maxSentence], "") + "…"
	}
	return text
}
