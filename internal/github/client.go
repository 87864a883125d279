package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/google/go-github/v66/github"

	"github.com/org/neon-tenants-action/internal/hosts"
	"github.com/org/neon-tenants-action/internal/httpx"
)

// DefaultBaseURL is the address of GitHub's API. On a runner, GITHUB_API_URL is that of its own server.
const DefaultBaseURL = "https://api.github.com"

// Options configure a [Client].
type Options struct {
	// BaseURL is the API's address. Empty: [DefaultBaseURL].
	BaseURL string
	// Token is a personal access token or a GitHub App's installation token.
	Token string
	// HTTP sends the requests. Nil: a client of its own, with [Limits].
	HTTP *http.Client
	// UserAgent is required by GitHub. Empty: go-github's.
	UserAgent string
}

// Client calls the API. It is safe for concurrent use. The error of every call is or wraps an [*Error], except
// that arguments which GitHub would reject are refused without a call.
type Client struct {
	api *github.Client
	app bool // the token is an App's, as a job's own is

	mu sync.Mutex
	// renewed holds the keys that replaced others while they were in use, by scope and the old key's id.
	renewed map[string]PublicKey
	// repositories caches ids, by owner/repo.
	repositories map[string]int64
}

// AddressError is an address of GitHub's API that cannot be right.
type AddressError struct{ Reason string }

func (e *AddressError) Error() string { return e.Reason }

// New returns a client. It makes no call. Its error is a token that cannot be right, or an [*AddressError].
func New(o Options) (*Client, error) {
	if o.Token == "" {
		return nil, errors.New("the GitHub token is empty")
	}
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the GitHub token contains a space, a line break or another character that no token has")
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	base, err := url.Parse(strings.TrimRight(o.BaseURL, "/") + "/")
	switch {
	case err != nil, base.Host == "", base.User != nil, base.RawQuery != "",
		base.Scheme != "https" && base.Scheme != "http":
		return nil, &AddressError{"the address of GitHub's API is not a URL such as " + DefaultBaseURL}
	case hosts.Exposed(base):
		return nil, &AddressError{"the GitHub token would be sent unencrypted to " + base.Host +
			": the address of GitHub's API has to begin with https://"}
	}
	if o.HTTP == nil {
		o.HTTP = httpx.New(Limits()).HTTP()
	}
	calls := *o.HTTP
	calls.Transport = &transport{base: o.HTTP.Transport, token: o.Token}
	api := github.NewClient(&calls)
	api.BaseURL = base
	if o.UserAgent != "" {
		api.UserAgent = o.UserAgent
	}
	app := strings.HasPrefix(o.Token, "ghs_")
	return &Client{api: api, app: app, renewed: map[string]PublicKey{}, repositories: map[string]int64{}}, nil
}

// transport signs calls, and hides rate limits from go-github, which would refuse further calls while one is exceeded.
// [httpx.Client] waits instead.
type transport struct {
	base  http.RoundTripper
	token string
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	signed := r.Clone(r.Context())
	signed.Header.Set("Authorization", "Bearer "+t.token)
	base := t.base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(signed)
	if err != nil {
		return nil, err
	}
	for name := range resp.Header {
		if name == "Retry-After" || strings.HasPrefix(name, "X-Ratelimit-") {
			resp.Header.Del(name)
		}
	}
	return resp, nil
}

// call makes one call. path is relative to the API's address, and escaped: go-github's own methods would not escape
// names, and would address an environment's secrets by the repository's id, which is gone from GitHub's OpenAPI
// description. in and out are JSON; nil is none. need is the permission that a token needs. Every error is an
// [*Error].
func (c *Client) call(
	ctx context.Context, need permission, method, path string, in, out any,
) (*github.Response, error) {
	shown, _, _ := strings.Cut(path, "?")
	shown = "/" + shown
	req, err := c.api.NewRequest(method, path, in)
	if err != nil {
		return nil, failed(method, shown, errors.New("no request can be made from this address and these names"))
	}
	resp, err := c.api.Do(ctx, req, out)
	switch {
	case resp != nil && resp.Request != nil && resp.Request.Method != method:
		// Redirects other than 307 and 308 turn a write into a read.
		e := unexpected(method, shown, http.StatusMovedPermanently, nil)
		e.Message = "redirected to " + resp.Request.URL.Path
		return resp, e
	case err == nil:
		return resp, nil
	case resp == nil:
		return nil, noAnswer(ctx, method, shown, err)
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return resp, unexpected(method, shown, resp.StatusCode, fmt.Errorf("decode the answer: %w", err))
	}
	return resp, refused(method, shown, resp.Response, need)
}

// pages calls read with each page of a list, whose path has no query.
func pages[T any](ctx context.Context, c *Client, need permission, path string, read func(T)) error {
	for page := 1; ; {
		var answer T
		resp, err := c.call(ctx, need, http.MethodGet, fmt.Sprintf("%s?per_page=100&page=%d", path, page), nil, &answer)
		if err != nil {
			return err
		}
		read(answer)
		if resp.NextPage <= page {
			return nil // the last page, or a server whose pages go in circles
		}
		page = resp.NextPage
	}
}

// repositoryID returns a repository's id, and asks for it once.
func (c *Client) repositoryID(ctx context.Context, repository string) (int64, error) {
	c.mu.Lock()
	id, ok := c.repositories[repository]
	c.mu.Unlock()
	if ok {
		return id, nil
	}
	var answer github.Repository
	if _, err := c.call(ctx, permission{"Metadata", "read"}, http.MethodGet, "repos/"+repository, nil,
		&answer); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.repositories[repository] = answer.GetID()
	return answer.GetID(), nil
}
