// Package deadline is a time limit whose clock stops while the work waits for something that is not its own fault, such
// as an API's rate limit, which all workers share.
package deadline

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Context returns a copy of ctx that ends with context.DeadlineExceeded and the given cause once the work has taken d,
// not counting its pauses. A d of zero is no limit. The copy reports no Deadline, because that is not known in advance;
// [Left] tells what is left. The caller must call cancel to release it.
func Context(ctx context.Context, d time.Duration, cause error) (_ context.Context, cancel context.CancelFunc) {
	inner, end := context.WithCancelCause(ctx)
	c := &clock{end: func() { end(expired{cause}) }, limited: d > 0, left: d}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start()
	outer := &timed{Context: context.WithValue(inner, clockKey{}, c), done: make(chan struct{})}
	unwatch := context.AfterFunc(inner, func() { close(outer.done) })
	return outer, func() {
		c.mu.Lock()
		c.stop()
		c.released = true
		c.mu.Unlock()
		alive := unwatch()
		end(nil)
		if alive {
			close(outer.done)
		}
	}
}

// timed is a context that reports DeadlineExceeded once its time is over, where the cancelled context in it reports
// Canceled. It has a channel of its own, or contexts derived from it would take their error from the inner one.
type timed struct {
	context.Context
	done chan struct{}
}

func (t *timed) Done() <-chan struct{} { return t.done }

func (t *timed) Err() error {
	err := t.Context.Err()
	if err != nil && errors.As(context.Cause(t.Context), new(expired)) {
		return context.DeadlineExceeded
	}
	return err
}

// AfterFunc spares contexts derived from it a goroutine each.
func (t *timed) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(t.Context, f) }

// expired is the cause of a context whose time is over.
type expired struct{ cause error }

func (e expired) Error() string        { return e.cause.Error() }
func (e expired) Unwrap() error        { return e.cause }
func (e expired) Is(target error) bool { return target == context.DeadlineExceeded }

type clockKey struct{}

func clockOf(ctx context.Context) *clock {
	c, _ := ctx.Value(clockKey{}).(*clock)
	return c
}

// clock counts down while it is not paused.
type clock struct {
	end     func()
	limited bool

	mu      sync.Mutex
	left    time.Duration // when it was last started or stopped
	started time.Time
	timer   *time.Timer
	pauses  int           // under way, in any number of goroutines
	since   time.Time     // when the first of those began
	paused  time.Duration // in all, without those under way

	waited   bool // there was a pause
	got      bool // one ended with what it waited for
	away     bool // [TurnAway]
	changed  bool // [Change]
	released bool
}

// start starts the clock. The caller holds mu.
func (c *clock) start() {
	c.started = time.Now()
	if c.limited && !c.released {
		c.timer = time.AfterFunc(c.left, c.end)
	}
}

// stop stops the clock. The caller holds mu.
func (c *clock) stop() {
	if c.timer != nil {
		c.timer.Stop()
		c.left -= time.Since(c.started)
		c.timer = nil
	}
}

// Pause stops the clock of ctx until the returned function is called, once, with whether the work got what it waited
// for. Without a clock it does nothing.
func Pause(ctx context.Context) (resume func(got bool)) {
	c := clockOf(ctx)
	if c == nil {
		return func(bool) {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pauses++; c.pauses == 1 {
		c.since, c.waited = time.Now(), true
		c.stop()
	}
	return func(got bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = c.got || got
		if c.pauses--; c.pauses == 0 {
			c.paused += time.Since(c.since)
			c.start()
		}
	}
}

// Paused is how long the clock of ctx has been stopped.
func Paused(ctx context.Context) time.Duration {
	c := clockOf(ctx)
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pauses > 0 {
		return c.paused + time.Since(c.since)
	}
	return c.paused
}

// TurnAway records that the work of ctx ends while it waits to begin. What it got before that served to prepare it,
// unless it made a [Change].
func TurnAway(ctx context.Context) { note(ctx, func(c *clock) { c.away = true }) }

// Change records that the work of ctx changes something.
func Change(ctx context.Context) { note(ctx, func(c *clock) { c.changed = true }) }

func note(ctx context.Context, what func(*clock)) {
	if c := clockOf(ctx); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		what(c)
	}
}

// OnlyWaited reports whether the work of ctx has paused, and never got what it waited for, or was turned away.
func OnlyWaited(ctx context.Context) (only bool) {
	note(ctx, func(c *clock) { only = !c.changed && (c.away || c.waited && !c.got) })
	return only
}

// Unbounded returns a copy of ctx for what goes on after the work, such as cleaning up: the clock of ctx still learns
// what that does, but does not bound it.
func Unbounded(ctx context.Context) context.Context {
	return context.WithValue(ctx, unboundedKey{}, clockOf(ctx))
}

type unboundedKey struct{}

// Left is how long work that does not pause may still take, by the clock of ctx and its Deadline; ok is false if
// neither bounds it.
func Left(ctx context.Context) (left time.Duration, ok bool) {
	if at, bounded := ctx.Deadline(); bounded {
		left, ok = time.Until(at), true
	}
	c := clockOf(ctx)
	if c == nil || !c.limited || ctx.Value(unboundedKey{}) == c {
		return left, ok
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := c.left
	if c.timer != nil {
		mine -= time.Since(c.started)
	}
	if !ok || mine < left {
		return mine, true
	}
	return left, ok
}
