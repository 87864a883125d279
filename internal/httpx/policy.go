package httpx

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Action is what follows an attempt.
type Action int

// The four actions.
const (
	// Return hands the response or the error to the caller.
	Return Action = iota
	// Retry tries this call again with backoff, at most Options.Retries times.
	Retry
	// Wait tries this call again with backoff until Options.MaxWait is used up: the server said that it did nothing and
	// that it will be able to.
	Wait
	// Hold is Wait, and holds back every other call of the client for as long: the account's rate limit was exceeded.
	Hold
)

// Classify is the default policy, Neon's own (the text of GeneralError in its OpenAPI file): 423 (another operation runs in
// the project) and 503 were not begun, so they are safe for every method, as is 429; a network error and every other 5xx
// (524 is Cloudflare's timeout) may come after the work was done, so only GET, HEAD and OPTIONS are tried again.
func Classify(method string, resp *http.Response, err error) Action {
	if err != nil {
		// retryablehttp knows the errors that no retry cures: certificates, schemes, malformed headers, redirects.
		if again, _ := retryablehttp.DefaultRetryPolicy(context.Background(), nil, err); again && safe(method) {
			return Retry
		}
		return Return
	}
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		return Hold
	case status == http.StatusLocked:
		return Wait
	case status == http.StatusServiceUnavailable:
		return Retry
	case status >= 500 && status != http.StatusNotImplemented && safe(method):
		return Retry
	}
	return Return
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

const (
	backoffBase = 250 * time.Millisecond // the official SDK's
	backoffCap  = 10 * time.Second       // the official SDK's
	holdBase    = time.Second
	// A quarter of Neon's window: a longer one is overslept by much when the limit lets calls through again, and one
	// refused call in such a time, of the whole client, is no burden.
	holdCap = 15 * time.Second
)

// backoff returns a full-jitter delay: anything up to 250 ms × 2^n, at most 10 s. n counts from 0.
func backoff(n int) time.Duration {
	return rand.N(min(backoffCap, backoffBase<<min(n, 16))) + time.Millisecond
}

// hold returns how long to hold every call back after the nth 429 in a row that does not say so itself. It has half its
// jitter only: coming back at once would earn the next 429.
func hold(n int) time.Duration {
	d := min(holdCap, holdBase<<min(n, 16))
	return d/2 + rand.N(d/2)
}

// RetryAfter reads an answer's Retry-After header, in seconds or as an HTTP date, which is taken by the server's own clock
// where it sent one. ok is false where there is none that can be read.
func RetryAfter(resp *http.Response, now time.Time) (d time.Duration, ok bool) {
	text := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return max(0, at.Sub(ServerTime(resp, now))), true
}

// ServerTime is what the server's clock said when it answered, or now where it did not say.
func ServerTime(resp *http.Response, now time.Time) time.Time {
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return date
	}
	return now
}

// PeekBody returns the body of an answer that is about to be classified, and leaves it to be read by others.
func PeekBody(resp *http.Response) []byte {
	body, _ := io.ReadAll(resp.Body) // it is in memory, so that nothing can go wrong
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return body
}
