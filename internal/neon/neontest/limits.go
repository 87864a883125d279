package neontest

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Limits are on all calls of the account together (all keys here belong to one account), over sliding windows. Calls that
// are refused do not count.
type Limits struct {
	PerMinute  int    // all routes together; 0: Neon's 700, negative: none
	PerSecond  int    // each route; 0: Neon's 40, negative: none
	RetryAfter string // the header that a refusal carries, as in [Fault]
}

// limiter holds the windows.
type limiter struct {
	mu     sync.Mutex
	limits Limits
	minute window
	second map[string]*window
}

func (l *limiter) configure(limits Limits) {
	if limits.PerMinute == 0 {
		limits.PerMinute = 700
	}
	if limits.PerSecond == 0 {
		limits.PerSecond = 40
	}
	l.limits, l.minute, l.second = limits, window{span: time.Minute}, map[string]*window{}
}

// allow counts a call, or tells that it is one too many, and what Retry-After to send.
func (l *limiter) allow(route string, now time.Time) (retryAfter string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	second := l.second[route]
	if second == nil {
		second = &window{span: time.Second}
		l.second[route] = second
	}
	if l.limits.PerMinute > 0 && l.minute.count(now) >= l.limits.PerMinute ||
		l.limits.PerSecond > 0 && second.count(now) >= l.limits.PerSecond {
		return l.limits.RetryAfter, false
	}
	l.minute.add(now)
	second.add(now)
	return "", true
}

// window is the times of the calls within a span that slides with the clock.
type window struct {
	span  time.Duration
	times []time.Time
	most  int // the fullest that the window has been
}

// count forgets what has left the window and returns how many calls are in it.
func (w *window) count(now time.Time) int {
	oldest := now.Add(-w.span)
	i, _ := slices.BinarySearchFunc(w.times, oldest, time.Time.Compare)
	w.times = w.times[i:]
	return len(w.times)
}

func (w *window) add(now time.Time) {
	w.count(now)
	// Calls are timed before they get here, so that two may come in the wrong order.
	i, _ := slices.BinarySearchFunc(w.times, now, time.Time.Compare)
	w.times = slices.Insert(w.times, i, now)
	w.most = max(w.most, len(w.times))
}

// setRetryAfter sends the header as it stands; "" sends none.
func setRetryAfter(h http.Header, value string) {
	if value != "" {
		h.Set("Retry-After", value)
	}
}
