// Package neon is a client of the Neon API (v2): the calls that this project makes and the fields that it reads, nothing
// else. Enumerations stay strings, as Neon adds to them.
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
	"time"

	"github.com/org/neon-tenants-action/internal/httpx"
)

// DefaultBaseURL is where Neon serves its API.
const DefaultBaseURL = "https://console.neon.tech/api/v2"

// Limits returns the transport's options for Neon's limits, 700 requests a minute for an account and 40 a second for a
// route (https://api-docs.neon.tech/reference/api-rate-limiting): up to 40 calls a second go at once, and never more
// than 690 in any minute, since a person who looks at the console meanwhile uses up the same limit.
func Limits() httpx.Options {
	return httpx.Options{
		Account:  httpx.Limit{Calls: 690, Per: time.Minute},
		PerRoute: httpx.Limit{Calls: 40, Per: time.Second},
	}
}

// Options say where the API is and who calls.
type Options struct {
	// BaseURL is the API's address with its version path. Empty: [DefaultBaseURL].
	BaseURL string
	// Key is the API key: a personal, an organisation's or a project's.
	Key string
	// HTTP sends the requests. Nil: a client of its own, with [Limits].
	HTTP *http.Client
}

// Client calls the API. It is safe for concurrent use.
type Client struct {
	base string
	key  string
	http *http.Client
}

// New returns a client. It calls nothing.
func New(o Options) *Client {
	c := &Client{base: strings.TrimRight(o.BaseURL, "/"), key: o.Key, http: o.HTTP}
	if c.base == "" {
		c.base = DefaultBaseURL
	}
	if c.http == nil {
		c.http = httpx.New(Limits()).HTTP()
	}
	return c
}

// get calls GET on a path whose {} are replaced by ids, escaped, and decodes the answer's JSON into out.
func (c *Client) get(ctx context.Context, out any, query url.Values, pattern string, ids ...string) error {
	return c.call(ctx, http.MethodGet, nil, out, query, pattern, ids...)
}

// call sends in as JSON, unless it is nil, to a path whose {} are replaced by ids, escaped, and decodes the answer's JSON
// into out, unless there is no content. The path as it is given, without the ids, is the route that the limit per route
// goes by.
func (c *Client) call(ctx context.Context, method string, in, out any, query url.Values, pattern string, ids ...string) error {
	path := pattern
	for _, id := range ids {
		path = strings.Replace(path, "{}", url.PathEscape(id), 1)
	}
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return &Error{Method: method, Path: path, Err: fmt.Errorf("encode the request: %w", err)}
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(httpx.WithRoute(ctx, method+" "+pattern), method, target, body)
	if err != nil {
		// The text of err would repeat the address as it was given, and what is wrong is the address.
		return &Error{Method: method, Path: path, Err: errors.New("the API's address is not a valid URL")}
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return callError(ctx, method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return statusError(method, path, resp)
	case resp.StatusCode == http.StatusNoContent && method != http.MethodGet:
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return &Error{Method: method, Path: path, Status: resp.StatusCode, RequestID: requestID(resp, ""),
			Err: fmt.Errorf("the answer is not the JSON it should be: %w", err)}
	}
	return nil
}

// pause waits, and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
