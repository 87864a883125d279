package httpx

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// gate is the queue that all calls of a client pass. Calls of one route wait for each other in the order in which they
// came (a channel's senders are a queue), their first one waits for the first ones of the other routes, and only the
// foremost looks at the clock: thousands of waiting workers cost no timers.
type gate struct {
	options Options
	account window
	turn    chan struct{}

	mu      sync.Mutex
	lanes   map[string]*lane // by route
	writes  *lane            // nil: writes go by their route, as reads do
	caution caution
	pause   time.Time     // nobody passes before
	changed chan struct{} // a call came back, so a wait may have become shorter; capacity 1
}

// lane is one route's part of the gate, or that of all writes.
type lane struct {
	turn    chan struct{}
	slots   chan struct{} // as many calls as may be on their way at once; nil: any number
	windows []*window
	pace    pace
	why     string // what its limits are called
}

func newGate(o Options) *gate {
	g := &gate{
		options: o,
		account: window{limit: o.Account},
		turn:    make(chan struct{}, 1),
		lanes:   map[string]*lane{},
		caution: caution{limit: o.Account, hold: o.Hold},
		changed: make(chan struct{}, 1),
	}
	if len(o.Writes) > 0 || o.WritesAtOnce > 0 {
		g.writes = &lane{turn: make(chan struct{}, 1), why: "the rate limit of writes"}
		for _, limit := range o.Writes {
			g.writes.windows = append(g.writes.windows, &window{limit: limit})
		}
		if o.WritesAtOnce > 0 {
			g.writes.slots = make(chan struct{}, o.WritesAtOnce)
		}
	}
	return g
}

// enter waits until a call may be sent. It returns at once where ctx ends, and before waiting where ctx's deadline would
// come first. The caller gives the passage back with answered.
func (g *gate) enter(ctx context.Context, route string, write bool) (p *passage, err error) {
	l := g.lane(route, write)
	if l.slots != nil {
		if err := take(ctx, l.slots); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				<-l.slots
				return
			}
			p.slot = l.slots
		}()
	}
	if err := take(ctx, l.turn); err != nil {
		return nil, err
	}
	defer func() { <-l.turn }()
	// What a route has to wait for is waited for here, without keeping the other routes. It can't come back while this
	// call holds the route's turn.
	if _, err := g.await(ctx, l, false); err != nil {
		return nil, err
	}
	if err := take(ctx, g.turn); err != nil {
		return nil, err
	}
	defer func() { <-g.turn }()
	return g.await(ctx, l, true)
}

func take(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &heldError{why: "the rate limit", err: ended(ctx)}
	}
}

// await waits for the lane's limits and, where send is true, for the account's too, and then counts the call as sent.
func (g *gate) await(ctx context.Context, l *lane, send bool) (*passage, error) {
	said := false
	for {
		p, d, why := g.try(l, send)
		if d <= 0 {
			return p, nil
		}
		// The wait may turn out shorter by transit at most.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d-transit {
			return nil, &heldError{fmt.Sprintf("%s, which asks for %s where %s are left (until %s)", why, round(d), round(time.Until(deadline)), clock(time.Now().Add(d))),
				context.DeadlineExceeded}
		}
		if d >= time.Second && !said && g.options.OnWait != nil {
			g.options.OnWait(d, why)
			said = true
		}
		var changed chan struct{}
		if send {
			changed = g.changed
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return nil, &heldError{why, ended(ctx)}
		}
	}
}

func (g *gate) try(l *lane, send bool) (p *passage, d time.Duration, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	d, why = l.pace.delay(now), l.why
	for _, w := range l.windows {
		d = max(d, w.delay(now))
	}
	longest := func(other time.Duration, because string) {
		if other > d {
			d, why = other, because
		}
	}
	if !send {
		return nil, d, why
	}
	longest(g.pause.Sub(now), "the server's rate limit")
	longest(g.account.delay(now), "the account's rate limit")
	longest(g.caution.delay(now), "the server's rate limit")
	if d > 0 {
		return nil, d, why
	}
	p = &passage{sent: now, arrived: now.Add(transit)}
	for _, w := range l.windows {
		w.add(p)
	}
	l.pace.take(now)
	g.account.add(p)
	g.caution.pace.take(now)
	return p, 0, ""
}

// answered takes note that a call came back, or failed, so that the server has counted it by now if it ever will.
func (g *gate) answered(p *passage) {
	if p.slot != nil {
		<-p.slot
	}
	g.mu.Lock()
	if now := time.Now(); now.Before(p.arrived) {
		p.arrived = now
	}
	g.mu.Unlock()
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// accepted takes note of an answer that did not name a rate limit.
func (g *gate) accepted(p *passage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.sent.Before(g.caution.last429) {
		g.caution.inRow = 0
	}
}

// rejected takes note of an exceeded rate limit (a 429) and returns until when nobody passes: what the server asks for (asked, where said), never
// shortened, else an exponential default.
func (g *gate) rejected(p *passage, asked time.Duration, said bool) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	d := g.caution.penalty(p, now)
	if said {
		d = asked
	}
	if until := now.Add(d); until.After(g.pause) {
		g.pause = until
	}
	return g.pause
}

func (g *gate) lane(route string, write bool) *lane {
	if write && g.writes != nil {
		return g.writes
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	limit := g.options.PerRoute
	if limit.Calls <= 0 {
		route = "" // without a limit per route one lane serves all
	}
	l := g.lanes[route]
	if l == nil {
		l = &lane{turn: make(chan struct{}, 1), windows: []*window{{limit: limit}}, pace: spread(limit), why: "the rate limit of this kind of call"}
		g.lanes[route] = l
	}
	return l
}

// heldError says that a call was never sent, because its context ended or would have ended while it waited.
type heldError struct {
	why string
	err error
}

func (e *heldError) Error() string { return "waiting for " + e.why + ": " + e.err.Error() }
func (e *heldError) Unwrap() error { return e.err }

// ended returns why a context is done: its error, and its cause where that says more.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// clock writes a time for a reader who has the log's times, in UTC, beside it.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func round(d time.Duration) time.Duration {
	if d > 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}
