package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Limits are a token's calls in an hour, which starts with its first call and starts anew when it is over, and the writes of
// all tokens together, over sliding windows. What is refused does not count.
type Limits struct {
	PerHour         int    // 0: 5,000, negative: none
	WritesPerMinute int    // 0: 80, negative: none
	WritesPerHour   int    // 0: 500, negative: none
	Status          int    // of the refusal of a write too many; 0: 403
	RetryAfter      string // its header; empty: none
}

type limits struct {
	mu           sync.Mutex
	limits       Limits
	hours        map[string]*hour // by token
	minute, long window
}

type hour struct {
	used  int
	reset time.Time
}

func (l *limits) configure(limits Limits) {
	for field, usual := range map[*int]int{&limits.PerHour: 5000, &limits.WritesPerMinute: 80, &limits.WritesPerHour: 500, &limits.Status: http.StatusForbidden} {
		if *field == 0 {
			*field = usual
		}
	}
	l.limits, l.hours = limits, map[string]*hour{}
	l.minute, l.long = window{span: time.Minute}, window{span: time.Hour}
}

// primary counts a call of a token, says so in the headers, and returns false for one too many.
func (l *limits) primary(h http.Header, token string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	this := l.hours[token]
	if this == nil || !now.Before(this.reset) {
		this = &hour{reset: now.Add(time.Hour).Truncate(time.Second)}
		l.hours[token] = this
	}
	limit := l.limits.PerHour
	allowed := limit < 0 || this.used < limit
	if allowed {
		this.used++
	}
	limit = max(limit, this.used)
	setRate(h, limit, limit-this.used, this.reset)
	return allowed
}

func setRate(h http.Header, limit, remaining int, reset time.Time) {
	h.Set("X-RateLimit-Limit", fmt.Sprint(limit))
	h.Set("X-RateLimit-Remaining", fmt.Sprint(remaining))
	h.Set("X-RateLimit-Used", fmt.Sprint(limit-remaining))
	h.Set("X-RateLimit-Reset", fmt.Sprint(reset.Unix()))
	h.Set("X-RateLimit-Resource", "core")
}

// secondary counts a write, or refuses one too many.
func (l *limits) secondary(h http.Header, now time.Time) *reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limits.WritesPerMinute >= 0 && l.minute.count(now) >= l.limits.WritesPerMinute || l.limits.WritesPerHour >= 0 && l.long.count(now) >= l.limits.WritesPerHour {
		if l.limits.RetryAfter != "" {
			h.Set("Retry-After", l.limits.RetryAfter)
		}
		p := secondaryRefusal(l.limits.Status)
		return &p
	}
	l.minute.add(now)
	l.long.add(now)
	return nil
}

func secondaryRefusal(status int) reply {
	return reply{status, map[string]string{
		"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to GitHub Support for help, " +
			"please include the request ID.",
		"documentation_url": "https://docs.github.com/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
	}}
}

// window is the times of the calls within a span that slides with the clock.
type window struct {
	span  time.Duration
	times []time.Time
	most  int // the fullest that the window has been
}

func (w *window) count(now time.Time) int {
	i, _ := slices.BinarySearchFunc(w.times, now.Add(-w.span), time.Time.Compare)
	w.times = w.times[i:]
	return len(w.times)
}

func (w *window) add(now time.Time) {
	w.count(now)
	i, _ := slices.BinarySearchFunc(w.times, now, time.Time.Compare) // calls are timed before they get here
	w.times = slices.Insert(w.times, i, now)
	w.most = max(w.most, len(w.times))
}
