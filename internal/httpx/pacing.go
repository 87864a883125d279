package httpx

import (
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// Limit allows that many calls in any period of that length. The zero value is no limit.
type Limit struct {
	Calls int
	Per   time.Duration
}

// maxTransit is how long after it was sent a call without an answer may still be on its way to the server.
const maxTransit = 2 * time.Second

// reservation is one call's place within the limits.
type reservation struct {
	sent time.Time
	// counted is the latest time at which the server can have counted the call. It only ever moves to an earlier
	// time.
	counted time.Time
	slot    chan struct{} // to be freed when the call is over; nil: none was taken
}

// window counts calls over a true sliding window. The server counts a call when it arrives, and all that is known is
// that it arrives between being sent and being answered. So a call counts until a full window after its answer (or,
// without an answer, after maxTransit), and no delay in transit can push calls together beyond the limit.
type window struct {
	limit        Limit
	reservations []*reservation
}

// delay returns how long until the next call may be sent, 0 for now.
func (w *window) delay(now time.Time) time.Duration {
	if w.limit.Calls <= 0 {
		return 0
	}
	w.reservations = slices.DeleteFunc(w.reservations, func(r *reservation) bool {
		return !r.counted.Add(w.limit.Per).After(now)
	})
	over := len(w.reservations) - w.limit.Calls
	if over < 0 {
		return 0
	}
	ends := make([]time.Time, len(w.reservations))
	for i, r := range w.reservations {
		ends[i] = r.counted
	}
	slices.SortFunc(ends, time.Time.Compare)
	return ends[over].Add(w.limit.Per).Sub(now)
}

func (w *window) add(r *reservation) {
	if w.limit.Calls > 0 {
		w.reservations = append(w.reservations, r)
	}
}

// pacer spaces calls evenly. A window alone would send all of a route's 40 calls at the start of every second.
type pacer struct{ limiter *rate.Limiter }

// newPacer returns a pacer at the limit's mean rate. Up to four calls may go together, which makes up for timers that
// fire late.
func newPacer(l Limit) pacer {
	if l.Calls <= 0 {
		return pacer{}
	}
	return pacer{rate.NewLimiter(meanRate(l), min(4, l.Calls))}
}

func meanRate(l Limit) rate.Limit { return rate.Limit(float64(l.Calls) / l.Per.Seconds()) }

// delay returns how long until the next call may be sent, 0 for now.
func (p pacer) delay(now time.Time) time.Duration {
	if p.limiter == nil {
		return 0
	}
	missing := 1 - p.limiter.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(p.limiter.Limit())*float64(time.Second)) + time.Microsecond
}

// add counts a call that is sent now.
func (p pacer) add(now time.Time) {
	if p.limiter != nil {
		p.limiter.AllowN(now, 1)
	}
}

// throttle slows the whole client down after a 429, which means that the server's count is not ours: it counts in
// another way, or other jobs and the console use the same account. Bursts end, and calls are paced at the limit's
// mean rate. Every further 429 halves the rate, provided that other calls were accepted in between: if none was, the
// rate is not the problem, and a longer hold is the answer. Every quarter of a window without a 429 restores an
// eighth of the mean rate. After two such windows, once the rate is back at the mean, bursts are allowed again.
type throttle struct {
	limit    Limit
	hold     func(n int) time.Duration
	pacer    pacer
	last429  time.Time
	restored time.Time // when the rate last rose, or fell
	inRow    int       // 429s since the last other answer
}

// minRate is the slowest pace, as a share of the mean rate.
const minRate = 1.0 / 32

// delay returns how long until the next call may be sent, 0 for now.
func (t *throttle) delay(now time.Time) time.Duration {
	if t.pacer.limiter == nil {
		return 0
	}
	mean := meanRate(t.limit)
	for step := t.limit.Per / 4; now.Sub(t.restored) >= step && t.pacer.limiter.Limit() < mean; {
		t.restored = t.restored.Add(step)
		t.pacer.limiter.SetLimitAt(now, min(mean, t.pacer.limiter.Limit()+mean/8))
	}
	if now.Sub(t.last429) >= 2*t.limit.Per && t.pacer.limiter.Limit() >= mean {
		t.pacer.limiter = nil
		return 0
	}
	return t.pacer.delay(now)
}

// rejected records a 429 for a call and returns how long to hold all calls if the server does not say. A call that
// was sent before the last 429 arrived adds nothing new.
func (t *throttle) rejected(r *reservation, now time.Time) time.Duration {
	if !t.last429.IsZero() && r.sent.Before(t.last429) {
		return 0
	}
	if t.limit.Calls > 0 {
		mean := meanRate(t.limit)
		switch {
		case t.pacer.limiter == nil:
			t.pacer.limiter = rate.NewLimiter(mean, 1)
		case t.inRow == 0:
			t.pacer.limiter.SetLimitAt(now, max(mean*minRate, t.pacer.limiter.Limit()/2))
		}
	}
	t.last429, t.restored = now, now
	d := t.hold(t.inRow)
	t.inRow++
	return d
}

// perMinute is the pace, in calls a minute; 0 if calls are not paced.
func (t *throttle) perMinute() int {
	if t.pacer.limiter == nil {
		return 0
	}
	return max(1, int(float64(t.pacer.limiter.Limit())*time.Minute.Seconds()))
}

// accepted records an answer other than a 429.
func (t *throttle) accepted(r *reservation) {
	if !r.sent.Before(t.last429) {
		t.inRow = 0
	}
}
