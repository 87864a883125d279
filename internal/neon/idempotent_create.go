package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// ExistsError says that something was not made because there is one of its name.
type ExistsError struct {
	// Kind is project or branch.
	Kind, Name, ID string
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("there is a %s named %q already: %s", e.Kind, e.Name, e.ID)
}

// Remedy tells what to do about it.
func (e *ExistsError) Remedy() string {
	return fmt.Sprintf("choose another name, or rename or delete the %s that is there", e.Kind)
}

// UnknownError says that a call to make something ended so that it may have been made, and that it was not to be found.
type UnknownError struct {
	// Kind is project or branch.
	Kind, Name string
	// Several holds the ids where more than one was found, of which Neon made one for this call.
	Several []string
	// Err is how the call ended.
	Err error
}

func (e *UnknownError) Error() string {
	if len(e.Several) > 0 {
		return fmt.Sprintf("which of several new ones is %s %q is not known (%v): %v", e.Kind, e.Name, e.Several, e.Err)
	}
	return fmt.Sprintf("whether %s %q was made is not known: %v", e.Kind, e.Name, e.Err)
}

func (e *UnknownError) Unwrap() error { return e.Err }

// Remedy tells what to do about it.
func (e *UnknownError) Remedy() string {
	return fmt.Sprintf("look in Neon's console for a %s named %q, delete it where it is there and nothing else uses it, and run again", e.Kind, e.Name)
}

// How a call to make something ends where its context does while Neon has it in hand, as times after the context's end.
// All of it, and what the caller does about what was made, has to fit into the 5 s that a cancelled job is given.
const (
	linger    = 2500 * time.Millisecond // its answer is waited for, which alone tells for certain what was made
	lookUntil = 3500 * time.Millisecond // what may have been made without an answer is looked for
	lookEvery = 500 * time.Millisecond  // so often
	readReply = 100 * time.Millisecond  // an answer that has begun is read within; longer, and it was a refusal for now
)

// lookAfter are the pauses before each look for what may have been made where the context goes on: Cloudflare's timeout (524)
// leaves Neon at work.
var lookAfter = []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second}

// clockSkew is by how much Neon's clock may be behind ours.
const clockSkew = 2 * time.Minute

// makeOnce runs post, which asks Neon to make something. Where that ends so that Neon may have made it without saying so, find
// looks for it, and an [*UnknownError] is returned where it never finds it. Nothing is ever asked for twice: what is
// late to appear would then be there twice. A ctx that ends while Neon has the request in hand ends post a little later; so
// what was made is returned, without an error, although ctx is over.
func makeOnce(ctx context.Context, kind, name string, post func(context.Context) error, find func(context.Context) (found bool, err error)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	late, stop := outlive(ctx, lookUntil)
	defer stop()
	var d delivery
	err := d.carry(ctx, post)
	if err == nil || !d.mayHaveActed(err) {
		return err
	}
	if d.at() == replied && !answered(err) && ctx.Err() != nil {
		// Most likely it was refused for now and ctx ended before its next try; else its answer was cut off, and what it
		// tells of is there.
		if found, lookErr := find(late); found || fatal(lookErr) {
			return lookErr
		}
		return err
	}
	for _, after := range lookAfter {
		if ctx.Err() != nil {
			break
		}
		if pause(ctx, after) {
			if found, lookErr := find(late); found || fatal(lookErr) {
				return lookErr
			}
		}
	}
	for ctx.Err() != nil && late.Err() == nil {
		if found, lookErr := find(late); found || fatal(lookErr) {
			return lookErr
		}
		pause(late, lookEvery)
	}
	return &UnknownError{Kind: kind, Name: name, Err: err}
}

// fatal tells an error of a look that no further one will mend.
func fatal(err error) bool { return errors.As(err, new(*UnknownError)) }

// outlive returns a context that ends that long after ctx does.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		pause(late, d)
		cancel(context.Cause(ctx))
	})
	return late, func() {
		stop()
		cancel(nil)
	}
}

// delivery follows one call on the wire, over all its attempts.
type delivery struct {
	mu    sync.Mutex
	stage stage
}

type stage int

const (
	unsent  stage = iota // no attempt has got a connection
	sent                 // the latest attempt has: Neon may have the request
	replied              // and an answer has begun
)

func (d *delivery) reach(s stage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stage = s
}

func (d *delivery) at() stage {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stage
}

// carry runs post under a context that ends with ctx, or where Neon has the request in hand then, with its answer, and
// linger later at the latest. A next attempt that begins in that time is stopped, or if that comes too late counts as sent.
func (d *delivery) carry(ctx context.Context, post func(context.Context) error) error {
	call, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		if d.at() == sent {
			pause(call, linger)
		}
		cancel(context.Cause(ctx))
	})
	defer stop()
	return post(httptrace.WithClientTrace(call, &httptrace.ClientTrace{
		GetConn: func(string) {
			d.reach(unsent)
			if ctx.Err() != nil {
				cancel(context.Cause(ctx))
			}
		},
		GotConn: func(httptrace.GotConnInfo) { d.reach(sent) },
		GotFirstResponseByte: func() {
			d.reach(replied)
			if ctx.Err() != nil {
				time.AfterFunc(readReply, func() { cancel(context.Cause(ctx)) })
			}
		},
	}))
}

// mayHaveActed reports whether a call that failed so may have done its work: it got no whole answer, or one that says
// nothing about Neon. 503 and every refusal say that it did nothing.
func (d *delivery) mayHaveActed(err error) bool {
	return (d.at() != unsent || answered(err)) && uncertain(err)
}

// answered reports whether the call that failed got a whole answer.
func answered(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status != 0
}

// uncertain is mayHaveActed where nobody followed the call.
func uncertain(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch {
	case e.Status == 0:
		return e.unreachable
	case e.Status >= 200 && e.Status <= 299:
		return true // an answer that can't be read
	}
	return e.Status >= http.StatusInternalServerError && e.Status != http.StatusServiceUnavailable && e.Status != http.StatusNotImplemented
}
