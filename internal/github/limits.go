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

// GitHub's limits for one token: calls an hour, and what it calls content-generating requests
// (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api). Whether it counts writes of secrets as
// such it does not say.
const (
	CallsPerHour    = 5000
	WritesPerMinute = 80
	WritesPerHour   = 500
)

// Limits returns the transport's options for GitHub's limits and its ways to say that one is exceeded. It waits for as long as a
// primary limit can last, an hour, unless a call's context ends before: then it refuses to.
func Limits() httpx.Options {
	return httpx.Options{
		Account:      httpx.Limit{Calls: CallsPerHour, Per: time.Hour},
		Writes:       []httpx.Limit{{Calls: WritesPerMinute, Per: time.Minute}, {Calls: WritesPerHour, Per: time.Hour}},
		WritesAtOnce: 2,
		MaxWait:      65 * time.Minute,
		Classify:     classify,
		Asked:        asked,
		Hold:         hold,
	}
}

// WriteTime is how long n writes take at least under [Limits].
func WriteTime(n int) time.Duration {
	n = max(0, n-1)
	return time.Duration(n/WritesPerHour)*time.Hour + time.Duration(n%WritesPerHour/WritesPerMinute)*time.Minute
}

// classify decides what follows an attempt. All that this package writes may be written twice: a secret or a variable is put
// as a whole, what is deleted twice is gone, and a variable that is created twice is updated the second time. So writes are
// tried again as reads are.
func classify(_ string, resp *http.Response, err error) httpx.Action {
	if resp != nil && limited(resp) {
		return httpx.Hold
	}
	return httpx.Classify(http.MethodGet, resp, err)
}

// limited reports whether an answer says that a rate limit is exceeded. GitHub says it with 403 as well as with 429, and
// means a missing permission by most 403s.
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
	// Message and documentation_url name the limit. A name that a user chose stands in neither.
	body := bytes.ToLower(httpx.PeekBody(resp))
	for _, sign := range []string{"rate limit", "rate-limit", "abuse detection", "abuse-rate-limits"} {
		if bytes.Contains(body, []byte(sign)) {
			return true
		}
	}
	return false
}

// asked reads how long GitHub asks to wait: Retry-After, else the time at which the exceeded primary limit starts anew.
func asked(resp *http.Response, now time.Time) (time.Duration, bool) {
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
	// Both clocks count whole seconds, so that a second is added. A reset longer away than any of GitHub's is none.
	d := time.Unix(reset, 0).Sub(httpx.ServerTime(resp, now)) + time.Second
	if d < 0 || d > 25*time.Hour {
		return 0, false
	}
	return d, true
}

// hold is how long to make no call after the nth refusal in a row that does not say: at least a minute, as GitHub asks for, and
// twice as long every time.
func hold(n int) time.Duration {
	d := min(16*time.Minute, time.Minute<<min(n, 8))
	return d + rand.N(d/10)
}
