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
	// Retry repeats the call with backoff, at most Options.Retries times.
	Retry
	// Wait repeats the call with backoff until Options.MaxWait is used up: the server did nothing yet, and says that
	// it can later.
	Wait
	// Hold is Wait for every call of the client: the account's rate limit is exceeded.
	Hold
)

// Classify is the default policy, and the one that Neon documents (in the text of GeneralError in its OpenAPI file).
// After a 423 (another operation is running in the project), a 503 or a 429 no work was begun, so every method is
// repeated. A network error or any other 5xx (524 is Cloudflare's timeout) may come after the work was done, so only
// GET, HEAD and OPTIONS are.
func Classify(method string, resp *http.Response, err error) Action {
	if err != nil {
		// retryablehttp knows the errors that no retry can fix: certificates, schemes, malformed headers, redirects.
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
	// A quarter of Neon's window. A longer hold would often last long past the end of the limit, and one refused call
	// of the whole client in this time does no harm.
	holdCap = 15 * time.Second
)

// backoff returns a full-jitter delay: anything up to 250 ms × 2^n, at most 10 s. n counts from 0.
func backoff(n int) time.Duration {
	return rand.N(min(backoffCap, backoffBase<<min(n, 16))) + time.Millisecond
}

// hold returns how long to hold every call after the nth consecutive 429 (from 0) that does not say so itself. Only
// half of it is jitter, as a call that returns at once would get the next 429.
func hold(n int) time.Duration {
	d := min(holdCap, holdBase<<min(n, 16))
	return d/2 + rand.N(d/2)
}

// RetryAfter reads a response's Retry-After header: seconds, or an HTTP date, which is compared with the server's own
// clock if the response tells it. ok is false if the header is missing or malformed.
func RetryAfter(resp *http.Response, now time.Time) (d time.Duration, ok bool) {
	text := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	if server, known := ServerTime(resp); known {
		now = server
	}
	return max(0, at.Sub(now)), true
}

// ServerTime returns the time by the server's clock when it answered; known is false if the response does not tell it.
func ServerTime(resp *http.Response) (at time.Time, known bool) {
	at, err := http.ParseTime(resp.Header.Get("Date"))
	return at, err == nil
}

// PeekBody returns the body of a [Client]'s response and leaves it to be read again.
func PeekBody(resp *http.Response) []byte {
	body, _ := io.ReadAll(resp.Body) // it is in memory, so reading cannot fail
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return body
}
