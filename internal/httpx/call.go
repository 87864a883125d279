package httpx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/org/neon-tenants-action/internal/deadline"
)

type callKey struct{}

// call is the state of one call over all its attempts. One goroutine uses it.
type call struct {
	client      *Client
	method      string
	attempts    int
	retries     int          // attempts after temporary failures
	waits       int          // attempts after the server asked to wait
	since       time.Time    // when the server first asked to wait
	reservation *reservation // of the latest attempt
	delay       time.Duration
	gaveUp      string
}

// gaveUp returns why a response is returned although it calls for another attempt: "after 7 attempts", for example.
// It is empty for any other response. resp must come from a [Client].
func gaveUp(resp *http.Response) string {
	if resp.Request == nil {
		return ""
	}
	if c, ok := resp.Request.Context().Value(callKey{}).(*call); ok {
		return c.gaveUp
	}
	return ""
}

// check is the call's retryablehttp.CheckRetry. It also decides how long backoff will be.
func (c *call) check(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil || errors.As(err, new(*notSentError)) {
		return false, nil
	}
	o := c.client.options
	action := o.Classify(c.method, resp, err)
	now := time.Now()
	asked, stated := time.Duration(0), false
	if resp != nil {
		asked, stated = o.RetryAfter(resp, now)
		if action != Hold {
			c.client.limiter.accepted(c.reservation)
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
		// The limiter makes this call wait, like every other.
		wait = c.client.limiter.rejected(c.reservation, asked, stated).Sub(now)
		c.delay = 0
	}
	c.gaveUp = c.tooLong(ctx, now, wait, action == Hold, action != Retry || stated)
	return c.gaveUp == "", nil
}

// tooLong says why a wait is not begun, or returns "". A wait that the server asked for counts towards MaxWait.
func (c *call) tooLong(ctx context.Context, now time.Time, wait time.Duration, held, asked bool) string {
	due := fmt.Sprintf("the next one is due in %s (at %s)", round(wait), clock(now.Add(wait)))
	if asked {
		if c.since.IsZero() {
			c.since = now
		}
		if waited := now.Sub(c.since); waited+wait > c.client.options.MaxWait {
			return fmt.Sprintf("after waiting %s for another attempt: %s", round(waited), due)
		}
	}
	if left, ok := c.left(ctx, held); ok && wait > left {
		return fmt.Sprintf("with %s left for another attempt: %s", round(left), due)
	}
	return ""
}

// left is how long the call may still wait; ok is false if that is not bounded. While all calls are held, the work's
// own time limit does not count.
func (c *call) left(ctx context.Context, held bool) (left time.Duration, ok bool) {
	if !held {
		return deadline.Left(ctx)
	}
	at, ok := ctx.Deadline()
	return time.Until(at), ok
}

// backoff is the call's retryablehttp.Backoff.
func (c *call) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.delay }
