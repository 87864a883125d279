package neontest

import (
	"net/http"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Limits apply to all calls of the account together (all keys here belong to one account), over sliding windows.
// Refused calls do not count.
type Limits struct {
	PerMinute  int    // all routes together; 0: Neon's 700, negative: none
	PerSecond  int    // each route; 0: Neon's 40, negative: none
	RetryAfter string // the header of a refusal, as in [Fault]
}

type limiter struct {
	mu     sync.Mutex
	limits Limits
	minute servertest.Window
	second map[string]*servertest.Window // by route
}

func (l *limiter) configure(limits Limits) {
	if limits.PerMinute == 0 {
		limits.PerMinute = 700
	}
	if limits.PerSecond == 0 {
		limits.PerSecond = 40
	}
	l.limits, l.minute, l.second = limits, servertest.Window{Span: time.Minute}, map[string]*servertest.Window{}
}

// ResetLimits forgets the calls that count against the limits, as if a minute had passed.
func (s *Server) ResetLimits() {
	l := &s.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	l.configure(l.limits)
}

// allow counts a call. If the call is over a limit, ok is false, and retryAfter is the header to send.
func (l *limiter) allow(route string, now time.Time) (retryAfter string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	second := l.second[route]
	if second == nil {
		second = &servertest.Window{Span: time.Second}
		l.second[route] = second
	}
	if l.limits.PerMinute > 0 && l.minute.Count(now) >= l.limits.PerMinute ||
		l.limits.PerSecond > 0 && second.Count(now) >= l.limits.PerSecond {
		return l.limits.RetryAfter, false
	}
	l.minute.Add(now)
	second.Add(now)
	return "", true
}

// setRetryAfter sets the header to a value as it is, unless that is empty.
func setRetryAfter(h http.Header, value string) {
	if value != "" {
		h.Set("Retry-After", value)
	}
}
