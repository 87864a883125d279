package github

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/httpx"
)

// GitHub's limits for one token: calls, and content-generating requests, which may or may not include writes of
// secrets. See https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
const (
	CallsPerHour    = 5000
	WritesPerMinute = 80
	WritesPerHour   = 500
)

// Limits returns the transport's options for GitHub's limits and its ways to report that one is exceeded. A call
// waits for as long as a primary limit can last, an hour, but begins no wait that its context would cut short.
func Limits() httpx.Options {
	return httpx.Options{
		Account:      httpx.Limit{Calls: CallsPerHour, Per: time.Hour},
		Writes:       []httpx.Limit{{Calls: WritesPerMinute, Per: time.Minute}, {Calls: WritesPerHour, Per: time.Hour}},
		WritesAtOnce: 2,
		MaxWait:      65 * time.Minute,
		Classify:     classify,
		RetryAfter:   retryAfter,
		Hold:         hold,
	}
}

// WriteTime returns the least time that n writes take under [Limits].
func WriteTime(n int) time.Duration {
	n = max(0, n-1)
	return time.Duration(n/WritesPerHour)*time.Hour + time.Duration(n%WritesPerHour/WritesPerMinute)*time.Minute
}

// classify decides what follows an attempt. All writes of this package are idempotent: a secret or a variable is
// written as a whole, deleting twice is no error, and a variable that exists already is updated. So they are retried
// as reads are.
func classify(_ string, resp *http.Response, err error) httpx.Action {
	if resp != nil && limited(resp) {
		return httpx.Hold
	}
	return httpx.Classify(http.MethodGet, resp, err)
}

// limited reports whether a response means that a rate limit is exceeded. GitHub uses both 429 and 403 for that, but
// most 403s are missing permissions.
func limited(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
	default:
		return false
	}
	if resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-Ratelimit-Remaining") == "0" {
		return true
	}
	// The message and the documentation_url name the limit. Neither contains a name that a user chose.
	body := bytes.ToLower(httpx.PeekBody(resp))
	for _, sign := range []string{"rate limit", "rate-limit", "abuse detection", "abuse-rate-limits"} {
		if bytes.Contains(body, []byte(sign)) {
			return true
		}
	}
	return false
}

// retryAfter reads how long GitHub asks to wait: by Retry-After, or until the exceeded primary limit resets.
func retryAfter(resp *http.Response, now time.Time) (time.Duration, bool) {
	if d, ok := httpx.RetryAfter(resp, now); ok {
		return d, true
	}
	if !limited(resp) || resp.Header.Get("X-Ratelimit-Remaining") != "0" {
		return 0, false
	}
	reset, err := strconv.ParseInt(strings.TrimSpace(resp.Header.Get("X-Ratelimit-Reset")), 10, 64)
	if err != nil || reset <= 0 {
		return 0, false
	}
	if server, known := httpx.ServerTime(resp); known {
		now = server
	}
	// Both clocks count whole seconds, so a second is added. No limit of GitHub's resets later than in 25 hours.
	d := time.Unix(reset, 0).Sub(now) + time.Second
	if d < 0 || d > 25*time.Hour {
		return 0, false
	}
	return d, true
}

// hold returns how long to hold every call after the nth consecutive refusal (from 0) that does not say so itself: at
// least a minute, as GitHub asks, twice as long each time, and 16 minutes at most.
func hold(n int) time.Duration {
	d := min(16*time.Minute, time.Minute<<min(n, 8))
	return d + rand.N(d/10)
}
