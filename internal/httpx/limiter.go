package httpx

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/deadline"
)

// limiter admits a client's calls in order. Calls of one route queue up behind each other (a channel serves its
// senders first come, first served), the first of each route queues behind those of the other routes, and only the
// foremost call watches the clock: thousands of waiting workers cost no timers.
type limiter struct {
	options Options
	account window
	turn    chan struct{} // held by the foremost call

	mu       sync.Mutex
	routes   map[string]*queue
	writes   *queue // nil: writes queue by their route, as reads do
	throttle throttle
	slow     slowdown
	pause    time.Time     // no call is admitted before
	changed  chan struct{} // signals that a call is over, so a wait may have become shorter; capacity 1
}

// queue is the calls of one route, or all writes.
type queue struct {
	turn    chan struct{} // held by the first call
	slots   chan struct{} // as many as calls may be in flight at once; nil: any number
	windows []*window
	pacer   pacer
	limit   string // what its limit is called
}

func newLimiter(o Options) *limiter {
	l := &limiter{
		options:  o,
		account:  window{limit: o.Account},
		turn:     make(chan struct{}, 1),
		routes:   map[string]*queue{},
		throttle: throttle{limit: o.Account, hold: o.Hold},
		changed:  make(chan struct{}, 1),
	}
	if len(o.Writes) > 0 || o.WritesAtOnce > 0 {
		l.writes = &queue{turn: make(chan struct{}, 1), limit: "the rate limit of writes"}
		for _, limit := range o.Writes {
			l.writes.windows = append(l.writes.windows, &window{limit: limit})
		}
		if o.WritesAtOnce > 0 {
			l.writes.slots = make(chan struct{}, o.WritesAtOnce)
		}
	}
	return l
}

// reserve waits until a call may be sent. It returns at once if ctx ends, and without waiting if ctx's deadline would
// come first; its error is then a [*notSentError]. The caller must pass the reservation to release.
func (l *limiter) reserve(ctx context.Context, route string, write bool) (r *reservation, err error) {
	resume := deadline.Pause(ctx)
	defer func() {
		resume(err == nil)
		if err == nil && write {
			deadline.Change(ctx)
		}
	}()
	q := l.queue(route, write)
	if q.slots != nil {
		if err := acquire(ctx, q.slots); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				<-q.slots
				return
			}
			r.slot = q.slots
		}()
	}
	if err := acquire(ctx, q.turn); err != nil {
		return nil, err
	}
	defer func() { <-q.turn }()
	// The call waits for its own queue's limits first, without holding up the other queues. While it has the queue's
	// turn, nothing else can use these limits up.
	if _, err := l.wait(ctx, q, false); err != nil {
		return nil, err
	}
	if err := acquire(ctx, l.turn); err != nil {
		return nil, err
	}
	defer func() { <-l.turn }()
	return l.wait(ctx, q, true)
}

// worthTelling is how long a wait is told of. A server that refuses calls makes hundreds of them wait, one after
// another, which [Options].OnSlow tells once; only the waits that it asks for itself are longer.
func worthTelling(limit string) time.Duration {
	if limit == serverLimit {
		return 30 * time.Second
	}
	return time.Second
}

func acquire(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &notSentError{limit: "the rate limit", err: ended(ctx)}
	}
}

// wait waits for the queue's own limits or, if send is true, for the account's too, and then counts the call as sent.
func (l *limiter) wait(ctx context.Context, q *queue, send bool) (*reservation, error) {
	reported := false
	for {
		r, d, limit := l.try(q, send)
		if r != nil {
			l.endSlow(r.sent)
		}
		if d <= 0 {
			return r, nil
		}
		if limit == serverLimit && d > l.options.MaxWait {
			return nil, &notSentError{fmt.Sprintf("%s, which lasts %s (until %s)", limit, round(d),
				clock(time.Now().Add(d))), errTooLong}
		}
		// The wait may turn out shorter, by maxTransit at most.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d-maxTransit {
			return nil, &notSentError{fmt.Sprintf("%s, which takes %s (until %s), with only %s left", limit, round(d),
				clock(time.Now().Add(d)), round(time.Until(deadline))), context.DeadlineExceeded}
		}
		if d >= worthTelling(limit) && !reported && l.options.OnWait != nil {
			l.options.OnWait(d, limit)
			reported = true
		}
		var changed chan struct{}
		if send {
			changed = l.changed
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return nil, &notSentError{limit, ended(ctx)}
		}
	}
}

// try returns a reservation, or how long to wait for one (or, if send is false, for the queue's own limits), and
// which limit is the reason.
func (l *limiter) try(q *queue, send bool) (r *reservation, d time.Duration, limit string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	d, limit = q.pacer.delay(now), q.limit
	for _, w := range q.windows {
		d = max(d, w.delay(now))
	}
	longest := func(other time.Duration, name string) {
		if other > d {
			d, limit = other, name
		}
	}
	if !send {
		return nil, d, limit
	}
	longest(l.pause.Sub(now), serverLimit)
	longest(l.account.delay(now), "the account's rate limit")
	longest(l.throttle.delay(now), serverLimit)
	if d > 0 {
		return nil, d, limit
	}
	r = &reservation{sent: now, counted: now.Add(maxTransit)}
	for _, w := range q.windows {
		w.add(r)
	}
	q.pacer.add(now)
	l.account.add(r)
	l.throttle.pacer.add(now)
	return r, 0, ""
}

// release records that a call was answered or failed: the server has counted it by now, if it ever will.
func (l *limiter) release(r *reservation) {
	if r.slot != nil {
		<-r.slot
	}
	l.mu.Lock()
	if now := time.Now(); now.Before(r.counted) {
		r.counted = now
	}
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// accepted records an answer that does not report an exceeded rate limit.
func (l *limiter) accepted(r *reservation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.throttle.accepted(r)
}

// rejected records an answer that reports an exceeded rate limit (a 429), and returns until when no call is admitted.
// asked is how long the server asks to wait, which is never shortened; if stated is false, the server does not say.
func (l *limiter) rejected(r *reservation, asked time.Duration, stated bool) time.Time {
	l.mu.Lock()
	now := time.Now()
	d := l.throttle.rejected(r, now)
	if stated {
		d = asked
	}
	if until := now.Add(d); until.After(l.pause) {
		l.pause = until
	}
	until := l.pause
	began := l.slow.refused(now, l.throttle.perMinute())
	l.mu.Unlock()
	if began && l.options.OnSlow != nil {
		l.options.OnSlow(Slowdown{Hold: until.Sub(now)})
	}
	return until
}

// endSlow ends a slowdown with a call that is sent as if there had been none.
func (l *limiter) endSlow(now time.Time) {
	l.mu.Lock()
	s, over := Slowdown{}, false
	if l.throttle.pacer.limiter == nil {
		s, over = l.slow.end(now)
	}
	l.mu.Unlock()
	if over && l.options.OnSlow != nil {
		l.options.OnSlow(s)
	}
}

func (l *limiter) queue(route string, write bool) *queue {
	if write && l.writes != nil {
		return l.writes
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.options.PerRoute
	if limit.Calls <= 0 {
		route = "" // without a limit per route, one queue serves all
	}
	q := l.routes[route]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1), limit: "the rate limit of this kind of call"}
		q.windows, q.pacer = []*window{{limit: limit}}, newPacer(limit)
		l.routes[route] = q
	}
	return q
}

// notSentError is a call that was never sent, because its context ended, or would have ended, while it waited.
type notSentError struct {
	limit string // what it waited for
	err   error
}

// serverLimit is what a limit is called that the server enforces, and of which it says how long it lasts.
const serverLimit = "the server's rate limit"

// errTooLong says that a wait is not begun.
var errTooLong = errors.New("not waited for")

func (e *notSentError) Error() string { return "waiting for " + e.limit + ": " + e.err.Error() }
func (e *notSentError) Unwrap() error { return e.err }

// ended returns why a context is done: its error, and its cause if that says more.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// clock writes a time the way a job's log does, in UTC.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func round(d time.Duration) time.Duration {
	if d > 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}
