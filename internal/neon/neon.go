// Package neon is a client of the Neon API v2, limited to the calls that this project makes and the fields that it
// reads. Enumerations stay strings, because Neon extends them.
package neon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/org/neon-tenants-action/internal/httpx"
)

// DefaultPerMinute is how many calls a minute leave some of the account's 700 to the team's other clients.
const DefaultPerMinute = 600

// DefaultBaseURL is the address of Neon's API.
const DefaultBaseURL = "https://console.neon.tech/api/v2"

// Limits returns the transport's options for Neon's limits: 700 calls a minute for an account, and 40 a second for a
// route (https://api-docs.neon.tech/reference/api-rate-limiting). Up to 40 calls a second go in a burst, but never
// more than perMinute in any minute: the console and the team's other clients draw on the same limit.
func Limits(perMinute int) httpx.Options {
	return httpx.Options{
		Account:  httpx.Limit{Calls: perMinute, Per: time.Minute},
		PerRoute: httpx.Limit{Calls: 40, Per: time.Second},
	}
}

// Options configure a [Client].
type Options struct {
	// BaseURL is the API's address including the version. Empty: [DefaultBaseURL].
	BaseURL string
	// Key is a personal, an organization or a project-scoped API key.
	Key string
	// HTTP sends the requests. Nil: a client of its own, with [Limits].
	HTTP *http.Client
}

// Client calls the API. It is safe for concurrent use. The error of a call that failed is or wraps an [*Error], unless
// its method names another one. An answer that makes no sense together with others, such as a list that would never
// end, is an error of no type.
type Client struct {
	base  string
	key   string
	http  *http.Client
	ahead atomic.Pointer[time.Duration] // nil: not known
}

// Ahead is by how much Neon's clock was ahead of this machine's at the last answer, to a second or so; known is false
// if that did not tell.
func (c *Client) Ahead() (d time.Duration, known bool) {
	if ahead := c.ahead.Load(); ahead != nil {
		return *ahead, true
	}
	return 0, false
}

// Now is the time by Neon's clock, as far as the last answer told it, or else by this machine's. What Neon dates and
// what expires there is compared with it.
func (c *Client) Now() time.Time {
	ahead, _ := c.Ahead()
	return time.Now().Add(ahead)
}

// New returns a client. It makes no call.
func New(o Options) *Client {
	c := &Client{base: strings.TrimRight(o.BaseURL, "/"), key: o.Key, http: o.HTTP}
	if c.base == "" {
		c.base = DefaultBaseURL
	}
	if c.http == nil {
		c.http = httpx.New(Limits(DefaultPerMinute)).HTTP()
	}
	return c
}

// get is [Client.call] with GET and without a body.
func (c *Client) get(ctx context.Context, out any, query url.Values, pattern string, ids ...string) error {
	return c.call(ctx, http.MethodGet, nil, out, query, pattern, ids...)
}

// call sends in as JSON, unless it is nil, and decodes the JSON of the answer into out, unless the answer has no
// content. ids, escaped, take the place of each {} in pattern; method and pattern are the route for the limit per
// route.
func (c *Client) call(
	ctx context.Context, method string, in, out any, query url.Values, pattern string, ids ...string,
) error {
	path := pattern
	for _, id := range ids {
		path = strings.Replace(path, "{}", url.PathEscape(id), 1)
	}
	req, err := c.request(httpx.WithRoute(ctx, method+" "+pattern), method, path, in, query)
	if err != nil {
		return failed(method, path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return &Error{APIError: httpx.NoAnswer(ctx, method, path, err)}
	}
	defer func() { _ = resp.Body.Close() }()
	var ahead *time.Duration
	if server, known := httpx.ServerTime(resp); known {
		ahead = new(time.Duration)
		*ahead = time.Until(server)
	}
	c.ahead.Store(ahead)
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return refused(method, path, resp)
	case resp.StatusCode == http.StatusNoContent && method != http.MethodGet:
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		e := &Error{APIError: httpx.Refusal(method, path, resp)}
		e.RequestID, e.Err = resp.Header.Get("X-Request-Id"), fmt.Errorf("decode the answer: %w", err)
		return e
	}
	return nil
}

// request makes a signed request with in as its JSON body, unless in is nil.
func (c *Client) request(ctx context.Context, method, path string, in any, query url.Values) (*http.Request, error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		// The text of err would repeat the address, which may hold anything.
		return nil, errors.New("the API's address is not a valid URL")
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// sleep waits for d, and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
