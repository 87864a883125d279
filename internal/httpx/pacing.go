package httpx

import (
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// Limit is a number of calls in any stretch of time of a length. The zero value is no limit.
type Limit struct {
	Calls int
	Per   time.Duration
}

// transit is how long after it was sent a call without an answer may still be on its way to the server.
const transit = 2 * time.Second

// window counts calls over a true sliding window. What the server counts is when a call arrives, and all that is known is
// that it arrives between being sent and being answered: a call counts until a full window after its answer (or, where
// none came, after transit), so that no delay on the way can bunch calls together beyond the limit.
type window struct {
	limit Limit
	calls []*passage
}

// passage is one call's way through the limits.
type passage struct {
	sent time.Time
	// arrived is the latest time at which the server can have counted the call. It is only ever moved to an earlier time.
	arrived time.Time
	slot    chan struct{} // to be given back with the answer; nil: none was taken
}

// delay returns how long until the next call may be sent, 0 for now.
func (w *window) delay(now time.Time) time.Duration {
	if w.limit.Calls <= 0 {
		return 0
	}
	w.calls = slices.DeleteFunc(w.calls, func(p *passage) bool { return !p.arrived.Add(w.limit.Per).After(now) })
	over := len(w.calls) - w.limit.Calls
	if over < 0 {
		return 0
	}
	ends := make([]time.Time, len(w.calls))
	for i, p := range w.calls {
		ends[i] = p.arrived
	}
	slices.SortFunc(ends, time.Time.Compare)
	return ends[over].Add(w.limit.Per).Sub(now)
}

func (w *window) add(p *passage) {
	if w.limit.Calls > 0 {
		w.calls = append(w.calls, p)
	}
}

// pace spreads calls evenly. A window alone would send a route's 40 calls at once at the start of every second.
type pace struct{ limiter *rate.Limiter }

// spread returns a pace of the limit's mean rate. Four calls may go together: timers fire late, and what was lost by that
// has to be made up for.
func spread(l Limit) pace {
	if l.Calls <= 0 {
		return pace{}
	}
	return pace{rate.NewLimiter(mean(l), min(4, l.Calls))}
}

func mean(l Limit) rate.Limit { return rate.Limit(float64(l.Calls) / l.Per.Seconds()) }

func (p pace) delay(now time.Time) time.Duration {
	if p.limiter == nil {
		return 0
	}
	missing := 1 - p.limiter.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(p.limiter.Limit())*float64(time.Second)) + time.Microsecond
}

func (p pace) take(now time.Time) {
	if p.limiter != nil {
		p.limiter.AllowN(now, 1)
	}
}

// caution is how the whole client behaves after a 429: our count of the window is then not the server's (it counts
// otherwise, or other jobs and the console use up the same account), so bursts end and calls go at the limit's mean rate.
// A further 429 halves that, if calls were accepted in between (else not the pace is wrong, and holding back longer is the
// answer); every quiet quarter of a window gives an eighth back. After two windows without a 429, at the full mean rate
// again, bursts are allowed again.
type caution struct {
	limit   Limit
	hold    func(n int) time.Duration
	pace    pace
	last429 time.Time
	raised  time.Time
	inRow   int // 429s since the last other answer
}

const slowest = 1.0 / 32 // of the mean rate

func (c *caution) delay(now time.Time) time.Duration {
	if c.pace.limiter == nil {
		return 0
	}
	full := mean(c.limit)
	for step := c.limit.Per / 4; now.Sub(c.raised) >= step && c.pace.limiter.Limit() < full; {
		c.raised = c.raised.Add(step)
		c.pace.limiter.SetLimitAt(now, min(full, c.pace.limiter.Limit()+full/8))
	}
	if now.Sub(c.last429) >= 2*c.limit.Per && c.pace.limiter.Limit() >= full {
		c.pace.limiter = nil
		return 0
	}
	return c.pace.delay(now)
}

// penalty takes note of a 429 to a call and returns how long to hold back where the server does not say. A call sent before
// the last 429 came tells nothing new.
func (c *caution) penalty(p *passage, now time.Time) time.Duration {
	if !c.last429.IsZero() && p.sent.Before(c.last429) {
		return 0
	}
	if c.limit.Calls > 0 {
		full := mean(c.limit)
		switch {
		case c.pace.limiter == nil:
			c.pace.limiter = rate.NewLimiter(full, 1)
		case c.inRow == 0:
			c.pace.limiter.SetLimitAt(now, max(full*slowest, c.pace.limiter.Limit()/2))
		}
	}
	c.last429, c.raised = now, now
	d := c.hold(c.inRow)
	c.inRow++
	return d
}
