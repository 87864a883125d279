// Package httpx is the project's one way to call an HTTP API: it queues calls behind the API's rate limits, tries again
// what is safe to try again, obeys Retry-After, and keeps credentials out of errors. A [Client] is an http.RoundTripper
// that all workers share; other libraries use it through [Client.HTTP]. Retries are go-retryablehttp's, paces are
// x/time/rate's.
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
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Options are an API's limits and manners. Every zero value means what its comment says.
type Options struct {
	// UserAgent is sent where a request names none. Zero: Go's own.
	UserAgent string
	// Account limits all calls of the client together, over a true sliding window. It allows a burst of all its calls at
	// once; after a 429 calls are spread evenly for a while. Zero: no limit.
	Account Limit
	// PerRoute limits each route's calls (see [WithRoute]) and spreads them. Zero: no limit.
	PerRoute Limit
	// Writes limit all calls but GET, HEAD and OPTIONS together, in the place of PerRoute. A burst of all that they allow goes
	// at once. Zero: writes are limited as reads are.
	Writes []Limit
	// WritesAtOnce is how many writes may be on their way at a time. Zero: any number.
	WritesAtOnce int
	// Retries is how often a call is tried again after a failure that may pass. Zero: 6, which takes about 8 s.
	Retries int
	// MaxWait is how long one call keeps trying while the server asks it to wait (429, 423, Retry-After), counted from the
	// first such answer: a longer wait is not begun. The time in the queue is not counted. Zero: 10 minutes.
	MaxWait time.Duration
	// AttemptTimeout is the time for one attempt, from sending it to the end of its answer. Zero: 30 s.
	AttemptTimeout time.Duration
	// Classify decides what follows an attempt, by the request's method and either a response or an error. Its answer
	// must depend on nothing else. Zero: [Classify].
	Classify func(method string, resp *http.Response, err error) Action
	// Asked reads from an answer how long the server asks to wait before the next try; ok is false where it does not say.
	// Zero: [RetryAfter].
	Asked func(resp *http.Response, now time.Time) (d time.Duration, ok bool)
	// Hold is how long every call is held back after the nth refusal in a row (from 0) that does not say so itself. Zero:
	// half a second to a second for the first, twice as long for each further one, at most 15 s.
	Hold func(n int) time.Duration
	// OnWait is told about waits of a second and more that hold up the queue, by the one call at its head. It may be
	// called concurrently. Zero: nobody is told.
	OnWait func(d time.Duration, why string)
	// Base sends the requests. Zero: a transport of its own, like http.DefaultTransport.
	Base http.RoundTripper
}

// maxBody bounds an answer: the largest real ones, pages of 400 projects, stay under 2 MiB.
const maxBody = 64 << 20

// Client is an http.RoundTripper, safe for concurrent use.
type Client struct {
	options Options
	gate    *gate
	base    http.RoundTripper
	once    *http.Client // one attempt, through the gate
}

// New returns a client.
func New(o Options) *Client {
	o.Retries = cmp.Or(o.Retries, 6)
	o.MaxWait = cmp.Or(o.MaxWait, 10*time.Minute)
	o.AttemptTimeout = cmp.Or(o.AttemptTimeout, 30*time.Second)
	if o.Classify == nil {
		o.Classify = Classify
	}
	if o.Asked == nil {
		o.Asked = RetryAfter
	}
	if o.Hold == nil {
		o.Hold = hold
	}
	c := &Client{options: o, gate: newGate(o), base: o.Base}
	if c.base == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64 // all workers talk to one host; Go's default of 2 would reconnect for every call
		c.base = t
	}
	c.once = &http.Client{
		Transport:     roundTripper(c.attempt),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// HTTP returns an *http.Client over c. It follows redirects within the same scheme and host only: credentials are never
// carried elsewhere.
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

// CloseIdleConnections closes the connections that no call uses.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.base.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

type routeKey struct{}

// WithRoute names the route that requests made with the returned context belong to, for the limit per route: method and
// path with the ids taken out. Without it the method and the whole path are taken.
func WithRoute(ctx context.Context, route string) context.Context {
	return context.WithValue(ctx, routeKey{}, route)
}

func route(r *http.Request) string {
	if name, ok := r.Context().Value(routeKey{}).(string); ok {
		return name
	}
	return r.Method + " " + r.URL.Path
}

// RoundTrip implements http.RoundTripper. A response of any status is returned as it is, with its body in memory, once
// no further try is due ([GaveUp] tells why); an error is always an [*Error].
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
		RetryMax:     math.MaxInt, // check counts
		CheckRetry:   state.check,
		Backoff:      state.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	resp, err := retrying.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // url.Error's text holds the whole URL
		}
		return nil, &Error{Method: r.Method, Path: r.URL.Path, Attempts: state.attempts, Err: err}
	}
	return resp, nil
}

// attempt sends a request once, when the limits let it, and reads the whole answer, so that a connection that breaks in
// the middle of one is a failed attempt like any other.
func (c *Client) attempt(r *http.Request) (*http.Response, error) {
	state := r.Context().Value(callKey{}).(*call)
	p, err := c.gate.enter(r.Context(), route(r), !safe(r.Method))
	if err != nil {
		if r.Body != nil {
			err = errors.Join(err, r.Body.Close())
		}
		return nil, err
	}
	state.passage = p
	state.attempts++
	defer c.gate.answered(p)
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

// Error is a call that got no answer. Its text holds the path without the query, and no header.
type Error struct {
	Method, Path string
	Attempts     int // 0: it was never sent
	Err          error
}

func (e *Error) Error() string {
	tries := ""
	if e.Attempts > 1 {
		tries = fmt.Sprintf(" (%d attempts)", e.Attempts)
	}
	return fmt.Sprintf("%s %s%s: %v", e.Method, e.Path, tries, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }
