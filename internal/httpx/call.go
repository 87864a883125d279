package httpx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

type callKey struct{}

// call is what is known of one call over all its attempts. One goroutine uses it.
type call struct {
	client   *Client
	method   string
	attempts int
	retries  int       // attempts after failures that may pass
	waits    int       // attempts after the server asked to wait
	since    time.Time // when the server first asked to wait
	passage  *passage  // of the latest attempt
	delay    time.Duration
	gaveUp   string
}

// GaveUp returns why a response that asks for another try is returned all the same ("after 7 attempts"), "" for any other. resp
// must come from a [Client].
func GaveUp(resp *http.Response) string {
	if resp.Request == nil {
		return ""
	}
	if c, ok := resp.Request.Context().Value(callKey{}).(*call); ok {
		return c.gaveUp
	}
	return ""
}

// check is the retryablehttp.CheckRetry of one call. It also settles how long backoff will be.
func (c *call) check(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil || errors.As(err, new(*heldError)) {
		return false, nil
	}
	o := c.client.options
	action := o.Classify(c.method, resp, err)
	now := time.Now()
	asked, said := time.Duration(0), false
	if resp != nil {
		asked, said = o.Asked(resp, now)
		if action != Hold {
			c.client.gate.accepted(c.passage)
		}
	}
	var wait time.Duration // until the next attempt at the earliest
	switch action {
	case Return:
		return false, nil
	case Retry:
		if c.retries == o.Retries {
			c.gaveUp = fmt.Sprintf("after %d attempts", c.attempts)
			return false, nil
		}
		wait = max(asked, backoff(c.retries))
		c.retries++
		c.delay = wait
	case Wait:
		wait = max(asked, backoff(c.waits))
		c.waits++
		c.delay = wait
	case Hold:
		// The gate makes this call wait as it does every other.
		wait = c.client.gate.rejected(c.passage, asked, said).Sub(now)
		c.delay = 0
	}
	if action != Retry || said {
		if c.since.IsZero() {
			c.since = now
		}
		if waited := now.Sub(c.since); waited+wait > o.MaxWait {
			c.gaveUp = fmt.Sprintf("after waiting %s, where the next try would be due in %s (at %s)", round(waited), round(wait), clock(now.Add(wait)))
			return false, nil
		}
	}
	if deadline, ok := ctx.Deadline(); ok && now.Add(wait).After(deadline) {
		c.gaveUp = fmt.Sprintf("as the next try would be due in %s, and only %s are left (it is due at %s)", round(wait), round(deadline.Sub(now)), clock(now.Add(wait)))
		return false, nil
	}
	return true, nil
}

// backoff is the retryablehttp.Backoff of one call.
func (c *call) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.delay }
