package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/grace"
)

// ExistsError is a creation that was refused because the name is taken.
type ExistsError struct {
	// Kind is project or branch.
	Kind, Name, ID string
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("a %s named %q already exists: %s", e.Kind, e.Name, e.ID)
}

// Remedy tells what to do about it.
func (e *ExistsError) Remedy() string {
	return fmt.Sprintf("choose another name, or rename or delete the existing %s", e.Kind)
}

// UnknownOutcomeError is a creation that may or may not have succeeded: its answer was lost, and a search for its
// result was inconclusive.
type UnknownOutcomeError struct {
	// Kind is project or branch.
	Kind, Name string
	// Candidates are the ids of the new resources of that name if there are several, one of which this call created.
	Candidates []string
	// Err is how the call ended.
	Err error
}

func (e *UnknownOutcomeError) Error() string {
	if len(e.Candidates) > 0 {
		return fmt.Sprintf("%s %q could be any of several new ones (%s): %v", e.Kind, e.Name,
			strings.Join(e.Candidates, ", "), e.Err)
	}
	return fmt.Sprintf("it is not known whether %s %q was created: %v", e.Kind, e.Name, e.Err)
}

func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// Remedy tells what to do about it.
func (e *UnknownOutcomeError) Remedy() string {
	return fmt.Sprintf("look in Neon's console for a %s named %q, delete it if it exists and is not in use, and run again",
		e.Kind, e.Name)
}

// How long a creation goes on after its context has ended while Neon is at work on it. All of it, and whatever the
// caller then does about the new resource, has to fit into the 5 s that a cancelled job has.
const (
	answerGrace    = 2500 * time.Millisecond // to wait for the answer, the only certain proof
	searchGrace    = 3500 * time.Millisecond // to search for a resource whose answer never came
	searchInterval = 500 * time.Millisecond
	// bodyGrace is for reading an answer that has begun. If the call takes longer, the answer was a temporary refusal,
	// and the call is waiting for its next attempt.
	bodyGrace = 100 * time.Millisecond
)

// searchDelays are the pauses before each search while the context is alive. Neon may still be at work after a
// Cloudflare timeout (524).
var searchDelays = []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second}

// clockSkew is how far Neon's clock may be behind ours.
const clockSkew = 2 * time.Minute

// idempotentCreate runs post, which asks Neon to create something, at most once: a second request could create a
// second resource if the first one appears late. If post fails in a way that leaves open whether it succeeded, find
// searches for the result; if that never finds it, the error is an [*UnknownOutcomeError]. If ctx ends while Neon has
// the request, post gets a little longer, so idempotentCreate may return without an error although ctx has ended.
func idempotentCreate(ctx context.Context, kind, name string, post func(context.Context) error,
	find func(context.Context) (found bool, err error),
) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	late, cancel := grace.Context(ctx, searchGrace)
	defer cancel()
	var trace requestTrace
	err := trace.run(ctx, post)
	if err == nil || !trace.mayHaveSucceeded(err) {
		return err
	}
	if trace.reached() == answering && !answered(err) && ctx.Err() != nil {
		// The answer was most likely a temporary refusal, and ctx ended before the next attempt. Otherwise it was cut
		// off, and what it announced exists by now: a single search tells which.
		if found, searchErr := find(late); found || final(searchErr) {
			return searchErr
		}
		return err
	}
	for _, delay := range searchDelays {
		if ctx.Err() != nil {
			break
		}
		if sleep(ctx, delay) {
			if found, searchErr := find(late); found || final(searchErr) {
				return searchErr
			}
		}
	}
	for ctx.Err() != nil && late.Err() == nil {
		if found, searchErr := find(late); found || final(searchErr) {
			return searchErr
		}
		sleep(late, searchInterval)
	}
	return &UnknownOutcomeError{Kind: kind, Name: name, Err: err}
}

// final reports whether a search failed in a way that no other search can change.
func final(err error) bool { return errors.As(err, new(*UnknownOutcomeError)) }

// requestTrace follows one call on the wire over all its attempts.
type requestTrace struct {
	mu    sync.Mutex
	stage stage
}

// stage is how far the latest attempt has come.
type stage int

const (
	unsent    stage = iota // it has no connection yet
	sent                   // it has one: Neon may have the request
	answering              // the first byte of the answer has arrived
)

func (t *requestTrace) enter(s stage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stage = s
}

func (t *requestTrace) reached() stage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stage
}

// run calls post with a context that ends with ctx or, if Neon has the request by then, with its answer, but no later
// than answerGrace after ctx. It stops an attempt that begins in that time; one that it cannot stop in time counts as
// sent.
func (t *requestTrace) run(ctx context.Context, post func(context.Context) error) error {
	late, cancel := grace.ContextFunc(ctx, func() time.Duration {
		if t.reached() == sent {
			return answerGrace
		}
		return 0
	})
	defer cancel()
	return post(httptrace.WithClientTrace(late, &httptrace.ClientTrace{
		GetConn: func(string) {
			t.enter(unsent)
			if ctx.Err() != nil {
				cancel()
			}
		},
		GotConn: func(httptrace.GotConnInfo) { t.enter(sent) },
		GotFirstResponseByte: func() {
			t.enter(answering)
			if ctx.Err() != nil {
				time.AfterFunc(bodyGrace, cancel)
			}
		},
	}))
}

// mayHaveSucceeded reports whether a call that failed with err may have done its work all the same.
func (t *requestTrace) mayHaveSucceeded(err error) bool {
	return (t.reached() != unsent || answered(err)) && ambiguous(err)
}

// answered reports whether the failed call got a complete answer.
func answered(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status != 0
}

// ambiguous reports whether a call that was sent may have done its work although it failed: it got no complete
// answer, or one that says nothing about Neon. A 503 and every refusal mean that Neon did nothing.
func ambiguous(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch {
	case e.Status == 0:
		return e.Sent
	case e.Status >= 200 && e.Status <= 299:
		return true // an answer that can't be read
	case e.Status == http.StatusServiceUnavailable, e.Status == http.StatusNotImplemented:
		return false
	}
	return e.Status >= http.StatusInternalServerError
}
