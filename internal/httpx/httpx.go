// Package httpx is the one way in which this project calls an HTTP API: it queues calls behind the API's rate limits,
// retries what is safe to retry, obeys Retry-After, and keeps credentials out of errors. A [Client] is an
// http.RoundTripper that all workers share; other libraries use it through [Client.HTTP]. go-retryablehttp does the
// retries, x/time/rate the pacing.
package httpx

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Options describe an API's limits and conventions. Each zero value means what its comment says.
type Options struct {
	// UserAgent is sent with requests that have none. Zero: Go's own.
	UserAgent string
	// Account limits all calls of the client together, over a true sliding window. All its calls may go in one burst;
	// after a 429, calls are paced for a while. Zero: no limit.
	Account Limit
	// PerRoute limits and paces the calls of each route (see [WithRoute]). Zero: no limit.
	PerRoute Limit
	// Writes limit all calls but GET, HEAD and OPTIONS together, in place of PerRoute. All that they allow may go in
	// one burst. Zero: writes are limited as reads are.
	Writes []Limit
	// WritesAtOnce is how many writes may be in flight at once. Zero: any number.
	WritesAtOnce int
	// Retries is how often a call is retried after temporary failures. Zero: 6, which takes about 8 s.
	Retries int
	// MaxWait is how long one call keeps trying while the server asks it to wait (429, 423, Retry-After), counted
	// from the first such answer: a wait that would exceed it is not begun. Time in the queue does not count. Zero:
	// 10 minutes.
	MaxWait time.Duration
	// AttemptTimeout bounds one attempt, from sending it to the end of its answer. Zero: 30 s.
	AttemptTimeout time.Duration
	// Classify decides what follows an attempt, from the request's method and either a response or an error, and from
	// nothing else. Zero: [Classify].
	Classify func(method string, resp *http.Response, err error) Action
	// RetryAfter reads from a response how long the server asks to wait before the next attempt; ok is false if it
	// does not say. Zero: [RetryAfter].
	RetryAfter func(resp *http.Response, now time.Time) (d time.Duration, ok bool)
	// Hold is how long every call is held after the nth consecutive refusal (from 0) that does not say so itself.
	// Zero: half a second to a second for the first, twice as long for each further one, at most 15 s.
	Hold func(n int) time.Duration
	// OnWait receives each long wait of the foremost call of a queue, with the limit that causes it: of a second or more
	// for a limit of ours, of 30 s or more for one that the server enforces. It may be called concurrently. Zero: waits
	// are not reported.
	OnWait func(d time.Duration, limit string)
	// OnSlow is called when the server begins to refuse calls for their rate, and once the client is as fast as before.
	// It may be called concurrently, and must not make a call. Zero: that is not reported.
	OnSlow func(s Slowdown)
	// Base sends the requests. Zero: a transport of its own, like http.DefaultTransport.
	Base http.RoundTripper
}

// maxBody bounds an answer, in bytes. The largest real ones, pages of 400 Neon projects, stay under 2 MiB.
const maxBody = 64 << 20

// UserAgent names this program to an API's support.
const UserAgent = "neon-tenants-action (+https://github.com/org/neon-tenants-action)"

// Client is an http.RoundTripper, safe for concurrent use.
type Client struct {
	options Options
	limiter *limiter
	base    http.RoundTripper
	once    *http.Client // makes one attempt
	sent    atomic.Int64
}

// Sent is how many requests were sent so far, repeated ones included.
func (c *Client) Sent() int64 { return c.sent.Load() }

// New returns a client.
func New(o Options) *Client {
	o.Retries = cmp.Or(o.Retries, 6)
	o.MaxWait = cmp.Or(o.MaxWait, 10*time.Minute)
	o.AttemptTimeout = cmp.Or(o.AttemptTimeout, 30*time.Second)
	if o.Classify == nil {
		o.Classify = Classify
	}
	if o.RetryAfter == nil {
		o.RetryAfter = RetryAfter
	}
	if o.Hold == nil {
		o.Hold = hold
	}
	c := &Client{options: o, limiter: newLimiter(o), base: o.Base}
	if c.base == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64 // all workers call one host, and with Go's default of 2 most calls would reconnect
		c.base = t
	}
	c.once = &http.Client{
		Transport:     roundTripper(c.attempt),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// HTTP returns an *http.Client over c. It follows redirects within the same scheme and host only, so credentials
// never go elsewhere.
func (c *Client) HTTP() *http.Client {
	return &http.Client{
		Transport: c,
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			from := via[0].URL
			if len(via) > 5 || to.URL.Scheme != from.Scheme || to.URL.Host != from.Host {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// idleCloser is a transport that keeps connections.
type idleCloser interface{ CloseIdleConnections() }

// CloseIdleConnections closes the connections that are not in use.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.base.(idleCloser); ok {
		t.CloseIdleConnections()
	}
}

type routeKey struct{}

// WithRoute names the route of requests made with the returned context, for the limit per route: the method, and the
// path without its ids. By default a route is the method and the whole path.
func WithRoute(ctx context.Context, route string) context.Context {
	return context.WithValue(ctx, routeKey{}, route)
}

func route(r *http.Request) string {
	if name, ok := r.Context().Value(routeKey{}).(string); ok {
		return name
	}
	return r.Method + " " + r.URL.Path
}

// RoundTrip implements http.RoundTripper. Once no further attempt is due ([APIError].GaveUp tells why), it returns the
// response as it is, whatever its status, with its body in memory. Its error is always an [*Error].
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	state := &call{client: c, method: r.Method}
	clone := r.Clone(context.WithValue(r.Context(), callKey{}, state))
	if clone.Body == http.NoBody {
		clone.Body = nil
	}
	if c.options.UserAgent != "" && clone.Header.Get("User-Agent") == "" {
		clone.Header.Set("User-Agent", c.options.UserAgent)
	}
	req, err := retryablehttp.FromRequest(clone) // reads the body, to send it again
	if r.Body != nil {
		err = errors.Join(err, r.Body.Close())
	}
	if err != nil {
		return nil, &Error{Method: r.Method, Path: r.URL.Path, Err: fmt.Errorf("read the request's body: %w", err)}
	}
	retrying := &retryablehttp.Client{
		HTTPClient:   c.once,
		RetryMax:     math.MaxInt, // check does the counting
		CheckRetry:   state.check,
		Backoff:      state.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	resp, err := retrying.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // url.Error's text has the whole URL
		}
		return nil, &Error{Method: r.Method, Path: r.URL.Path, Attempts: state.attempts, Err: err}
	}
	return resp, nil
}

// attempt sends a request once, as soon as the limits allow, and reads the whole answer: a connection that breaks in
// the middle of one is a failed attempt like any other.
func (c *Client) attempt(r *http.Request) (*http.Response, error) {
	state := r.Context().Value(callKey{}).(*call)
	reservation, err := c.limiter.reserve(r.Context(), route(r), !safe(r.Method))
	if err != nil {
		if r.Body != nil {
			err = errors.Join(err, r.Body.Close())
		}
		return nil, err
	}
	state.reservation = reservation
	state.attempts++
	c.sent.Add(1)
	defer c.limiter.release(reservation)
	limit := c.options.AttemptTimeout
	ctx, cancel := context.WithTimeoutCause(r.Context(), limit, fmt.Errorf("no complete answer within %s", limit))
	defer cancel()
	resp, err := c.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	err = errors.Join(err, resp.Body.Close())
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("the answer is longer than %d MiB", maxBody>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.Request = r
	return resp, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
