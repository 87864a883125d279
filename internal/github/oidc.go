// Package github is a client of the runner's token service, and of GitHub's API for the secrets and variables of
// Actions. It calls that API by go-github over the project's own transport.
package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/org/neon-tenants-action/internal/hosts"
	"github.com/org/neon-tenants-action/internal/httpx"
)

// TokenError is a failed request for an identity token.
type TokenError struct {
	Status int // HTTP status of the token service, 0 if it was not asked or did not answer
	Err    error
	remedy string
}

func (e *TokenError) Error() string { return "get an identity token from the runner: " + e.Err.Error() }

func (e *TokenError) Unwrap() error { return e.Err }

// Remedy tells what to do about it.
func (e *TokenError) Remedy() string { return e.remedy }

const (
	permissionRemedy = "give the job this permission: `permissions: id-token: write` (a job of a pull request " +
		"from a fork cannot have it)"
	outageRemedy = "GitHub's token service has a problem, which is usually temporary: run the job again, and " +
		"see https://www.githubstatus.com"
)

// IDToken requests the job's OIDC token for an audience from the runner's token service. The token is a JWT that is
// valid for five minutes; a job may request any number of them. requestURL and requestToken are the runner's
// ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN, which it sets if the job has the permission. A nil
// client means one that retries temporary failures. The error is always a [*TokenError].
func IDToken(ctx context.Context, client *http.Client, requestURL, requestToken, audience string) (string, error) {
	if requestURL == "" || requestToken == "" {
		unset := errors.New("ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set")
		return "", &TokenError{Err: unset, remedy: permissionRemedy}
	}
	if client == nil {
		c := httpx.New(httpx.Options{Retries: 4, AttemptTimeout: 10 * time.Second, MaxWait: 30 * time.Second})
		defer c.CloseIdleConnections()
		client = c.HTTP()
	}
	req, err := tokenRequest(ctx, requestURL, requestToken, audience)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		if outer := (*url.Error)(nil); errors.As(err, &outer) {
			err = outer.Err // its text has the whole URL
		}
		return "", &TokenError{Err: err, remedy: outageRemedy}
	}
	defer resp.Body.Close()
	return readToken(resp)
}

// tokenRequest makes a signed request. Its errors do not repeat the URL.
func tokenRequest(ctx context.Context, requestURL, requestToken, audience string) (*http.Request, error) {
	invalid := &TokenError{Err: errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL")}
	u, err := url.Parse(requestURL)
	switch {
	case err != nil || u.Host == "":
		return nil, invalid
	case hosts.Exposed(u):
		return nil, &TokenError{Err: fmt.Errorf("ACTIONS_ID_TOKEN_REQUEST_URL would send the job's token unencrypted to %s",
			u.Host), remedy: "leave the variable as the runner sets it; an address of your own begins with https://"}
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, invalid
	}
	req.Header.Set("Authorization", "Bearer "+requestToken)
	req.Header.Set("Accept", "application/json")
	return req, nil
}

func readToken(resp *http.Response) (string, error) {
	if resp.StatusCode != http.StatusOK {
		e := &TokenError{Status: resp.StatusCode, Err: fmt.Errorf("the token service answered %s", resp.Status)}
		e.remedy = outageRemedy
		if resp.StatusCode < http.StatusInternalServerError && resp.StatusCode != http.StatusTooManyRequests {
			e.remedy = permissionRemedy
		}
		return "", e
	}
	var answer struct {
		Value string `json:"value"`
	}
	err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer)
	if err != nil || answer.Value == "" {
		err := errors.New("the token service answered without a token")
		return "", &TokenError{Status: resp.StatusCode, Err: err, remedy: outageRemedy}
	}
	return answer.Value, nil
}
