package github_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

func issuer(t *testing.T, o githubtest.IssuerOptions) *githubtest.Issuer {
	t.Helper()
	i, err := githubtest.StartIssuer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// verified checks a token as a token service does, by what the issuer publishes, and returns its claims.
func verified(t *testing.T, i *githubtest.Issuer, token string) map[string]any {
	t.Helper()
	get := func(url string, into any) {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	decode := func(text string) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	get(i.URL+"/.well-known/openid-configuration", &discovery)
	if discovery.Issuer != i.URL {
		t.Errorf("the issuer calls itself %s, not %s", discovery.Issuer, i.URL)
	}
	var set struct {
		Keys []struct{ Kid, N, E string }
	}
	get(discovery.Keys, &set)
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(set.Keys) != 1 {
		t.Fatalf("a token of %d parts, %d keys", len(parts), len(set.Keys))
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(decode(set.Keys[0].N)),
		E: int(new(big.Int).SetBytes(decode(set.Keys[0].E)).Int64())}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], decode(parts[2])); err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(decode(parts[1]), &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestIDToken(t *testing.T) {
	for _, test := range []struct {
		options githubtest.IssuerOptions
		subject string
	}{
		{githubtest.IssuerOptions{}, "repo:acme/fleet:ref:refs/heads/main"},
		{githubtest.IssuerOptions{Repository: "o/r", Environment: "production"}, "repo:o/r:environment:production"},
		{githubtest.IssuerOptions{ImmutableSubject: true}, "repo:acme@65123/fleet@74015238:ref:refs/heads/main"},
	} {
		i := issuer(t, test.options)
		token, err := github.IDToken(t.Context(), nil, i.RequestURL, i.RequestToken, "sts.amazonaws.com")
		if err != nil {
			t.Fatal(err)
		}
		claims := verified(t, i, token)
		if claims["sub"] != test.subject || claims["aud"] != "sts.amazonaws.com" || claims["iss"] != i.URL {
			t.Errorf("claims %v, want the subject %s", claims, test.subject)
		}
		if life := claims["exp"].(float64) - claims["iat"].(float64); life != 300 {
			t.Errorf("the token lives %v seconds", life)
		}
		again, err := github.IDToken(t.Context(), nil, i.RequestURL, i.RequestToken, "sts.amazonaws.com")
		if err != nil || again == token {
			t.Errorf("the second token is the first: %v", err)
		}
		if i.Calls() != 2 {
			t.Errorf("%d calls", i.Calls())
		}
	}
}

func TestIDTokenTrouble(t *testing.T) {
	i := issuer(t, githubtest.IssuerOptions{})
	i.Fail(500, 503)
	if _, err := github.IDToken(t.Context(), nil, i.RequestURL, i.RequestToken, "x"); err != nil {
		t.Errorf("trouble that passes: %v", err)
	}
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>"))
	}))
	defer odd.Close()
	for _, test := range []struct{ name, url, token, want, remedy string }{
		{"no permission", "", "", "are not set", "`permissions: id-token: write`"},
		{"half of it", i.RequestURL, "", "are not set", "`permissions: id-token: write`"},
		{"another job's token", i.RequestURL, "secret-token", "401", "`permissions: id-token: write`"},
		{"something else", odd.URL + "?secret=1", "secret-token", "without a token", "run the job again"},
		{"nobody", "http://127.0.0.1:1/?secret=1", "secret-token", "connection refused", "run the job again"},
		{"exposed", "http://example.com/?secret=1", "secret-token", "unencrypted to example.com", "begins with https://"},
		{"no host", "/?secret=1", "secret-token", "is not a URL", ""},
		{"no URL", "http://\x00secret", "secret-token", "is not a URL", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := github.IDToken(t.Context(), http.DefaultClient, test.url, test.token, "x")
			var e *github.TokenError
			if !errors.As(err, &e) || !strings.Contains(e.Error(), test.want) || !strings.Contains(e.Remedy(), test.remedy) {
				t.Errorf("got %v, want %q with the remedy %q", err, test.want, test.remedy)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells secrets: %v", err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if _, err := github.IDToken(ctx, nil, i.RequestURL, i.RequestToken, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after its context: %v", err)
	}
}
