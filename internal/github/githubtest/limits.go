package githubtest

import (
	"cmp"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Limits apply to a token's calls in an hour, which begins with its first call, and to the writes of all tokens
// together, over sliding windows. Refused calls do not count.
type Limits struct {
	PerHour         int    // 0: 5,000, negative: none
	WritesPerMinute int    // 0: 80, negative: none
	WritesPerHour   int    // 0: 500, negative: none
	Status          int    // of the refusal of a write; 0: 403
	RetryAfter      string // the header of that refusal; empty: none
}

type limits struct {
	mu           sync.Mutex
	limits       Limits
	hours        map[string]*hour // by token
	minute, long servertest.Window
}

type hour struct {
	used  int
	reset time.Time
}

func (l *limits) configure(limits Limits) {
	l.limits, l.hours = Limits{
		PerHour: cmp.Or(limits.PerHour, 5000), WritesPerMinute: cmp.Or(limits.WritesPerMinute, 80),
		WritesPerHour: cmp.Or(limits.WritesPerHour, 500), Status: cmp.Or(limits.Status, http.StatusForbidden),
		RetryAfter: limits.RetryAfter,
	}, map[string]*hour{}
	l.minute, l.long = servertest.Window{Span: time.Minute}, servertest.Window{Span: time.Hour}
}

// primary counts a token's call and sets the headers that say so. It returns false if the call is over the limit.
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

// secondary counts a write, or refuses one that is over a limit.
func (l *limits) secondary(h http.Header, now time.Time) *reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limits.WritesPerMinute >= 0 && l.minute.Count(now) >= l.limits.WritesPerMinute ||
		l.limits.WritesPerHour >= 0 && l.long.Count(now) >= l.limits.WritesPerHour {
		if l.limits.RetryAfter != "" {
			h.Set("Retry-After", l.limits.RetryAfter)
		}
		p := secondaryRefusal(l.limits.Status)
		return &p
	}
	l.minute.Add(now)
	l.long.Add(now)
	return nil
}

func secondaryRefusal(status int) reply {
	return reply{status, map[string]string{
		"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If " +
			"you reach out to GitHub Support for help, please include the request ID.",
		"documentation_url": "https://docs.github.com/free-pro-team@latest/rest/overview/" +
			"rate-limits-for-the-rest-api#about-secondary-rate-limits",
	}}
}
