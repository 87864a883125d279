package servertest

import (
	"slices"
	"time"
)

// Window counts the calls within a span that slides with the clock, as rate limits do. It is not safe for concurrent
// use.
type Window struct {
	Span time.Duration
	// Most is the highest count so far.
	Most  int
	times []time.Time
}

// Count forgets the calls that have left the window and returns how many are in it.
func (w *Window) Count(now time.Time) int {
	i, _ := slices.BinarySearchFunc(w.times, now.Add(-w.Span), time.Time.Compare)
	w.times = w.times[i:]
	return len(w.times)
}

// Add counts a call. Calls may be added slightly out of order.
func (w *Window) Add(now time.Time) {
	w.Count(now)
	i, _ := slices.BinarySearchFunc(w.times, now, time.Time.Compare)
	w.times = slices.Insert(w.times, i, now)
	w.Most = max(w.Most, len(w.times))
}
