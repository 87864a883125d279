// Package githubtest simulates GitHub for tests, the sandbox and the demo: the API for the secrets and variables of
// Actions, the OIDC issuer (token.actions.githubusercontent.com) and the runner's token service.
package githubtest

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// tokenLife is how long GitHub's tokens are valid.
const tokenLife = 300 * time.Second

// IssuerOptions describe the job that requests tokens. The zero value is a push to main of acme/fleet.
type IssuerOptions struct {
	Listen      string // address; default: 127.0.0.1 with a free port
	Repository  string // owner/name; default: acme/fleet
	Ref         string // default: refs/heads/main
	Environment string // of the job; default: none
	// ImmutableSubject gives sub its newer form, with ids next to the names, which repositories have that were
	// created, renamed or transferred after 15 July 2026.
	ImmutableSubject bool
}

// Issuer is a running issuer.
type Issuer struct {
	// URL is the issuer's, "iss" in its tokens. Below it are the discovery document and the keys.
	URL string
	// RequestURL and RequestToken are what the runner gives a job as ACTIONS_ID_TOKEN_REQUEST_URL and
	// ACTIONS_ID_TOKEN_REQUEST_TOKEN.
	RequestURL, RequestToken string

	options IssuerOptions
	key     *rsa.PrivateKey
	keyID   string
	http    *servertest.HTTP

	mu      sync.Mutex
	calls   int
	failing []int // statuses of the next answers
}

const (
	repositoryID = "74015238"
	ownerID      = "65123"
	requestPath  = "/runner/42/idtoken"
)

// StartIssuer starts an issuer with a key of its own.
func StartIssuer(o IssuerOptions) (*Issuer, error) {
	o.Repository, o.Ref = cmp.Or(o.Repository, "acme/fleet"), cmp.Or(o.Ref, "refs/heads/main")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make the issuer's key: %w", err)
	}
	i := &Issuer{RequestToken: "runner-" + rand.Text(), options: o, key: key, keyID: rand.Text()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /.well-known/jwks", i.keys)
	mux.HandleFunc("GET "+requestPath, i.request)
	if i.http, err = servertest.Serve(cmp.Or(o.Listen, "127.0.0.1:0"), mux); err != nil {
		return nil, fmt.Errorf("start the issuer: %w", err)
	}
	i.URL = "http://" + i.http.Address()
	i.RequestURL = i.URL + requestPath + "?api-version=2.0"
	return i, nil
}

// Close stops the issuer.
func (i *Issuer) Close() error { return i.http.Close() }

// Calls returns how many tokens were requested, refused ones included.
func (i *Issuer) Calls() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls
}

// Fail answers the next requests for a token with these statuses, one each.
func (i *Issuer) Fail(statuses ...int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.failing = append(i.failing, statuses...)
}

// Subject returns "sub" in the tokens, which a role's trust policy compares.
func (i *Issuer) Subject() string {
	owner, name, _ := strings.Cut(i.options.Repository, "/")
	if i.options.ImmutableSubject {
		owner, name = owner+"@"+ownerID, name+"@"+repositoryID
	}
	context := "ref:" + i.options.Ref
	if i.options.Environment != "" {
		context = "environment:" + i.options.Environment
	}
	return fmt.Sprintf("repo:%s/%s:%s", owner, name, context)
}

// Token makes a token that is valid for that long from now. Tests of whoever checks tokens use short and negative
// lives.
func (i *Issuer) Token(audience string, life time.Duration) (string, error) {
	owner, _, _ := strings.Cut(i.options.Repository, "/")
	workflow := i.options.Repository + "/.github/workflows/backup.yml@" + i.options.Ref
	now := time.Now()
	claims := map[string]any{
		"iss": i.URL, "aud": audience, "sub": i.Subject(), "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(life).Unix(),
		"repository": i.options.Repository, "repository_id": repositoryID, "repository_visibility": "private",
		"repository_owner": owner, "repository_owner_id": ownerID,
		"ref": i.options.Ref, "ref_type": "branch", "ref_protected": "true", "sha": strings.Repeat("4f", 20),
		"base_ref": "", "head_ref": "", "event_name": "push", "actor": "octocat", "actor_id": "583231",
		"workflow": "backup", "workflow_ref": workflow, "workflow_sha": strings.Repeat("4f", 20),
		"job_workflow_ref": workflow, "run_id": "1234567890", "run_number": "42", "run_attempt": "1",
		"runner_environment": "github-hosted",
	}
	if i.options.Environment != "" {
		claims["environment"] = i.options.Environment
	}
	var parts [2]string
	for n, part := range []any{map[string]string{"alg": "RS256", "typ": "JWT", "kid": i.keyID, "x5t": i.keyID}, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("make a token: %w", err)
		}
		parts[n] = base64.RawURLEncoding.EncodeToString(text)
	}
	signed := parts[0] + "." + parts[1]
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/.well-known/jwks",
		"subject_types_supported": []string{"public", "pairwise"}, "response_types_supported": []string{"id_token"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "scopes_supported": []string{"openid"},
		"claims_supported": []string{
			"sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref", "sha", "repository", "repository_id", "repository_owner",
			"repository_owner_id", "run_id", "run_number", "run_attempt", "actor", "actor_id", "workflow", "workflow_ref",
			"workflow_sha", "head_ref", "base_ref", "event_name", "ref_type", "ref_protected", "environment",
			"job_workflow_ref", "repository_visibility", "runner_environment",
		},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": i.keyID,
		"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i.key.E)).Bytes()),
	}}})
}

// request is the runner's token service.
func (i *Issuer) request(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.calls++
	status := 0
	if len(i.failing) > 0 {
		status, i.failing = i.failing[0], i.failing[1:]
	}
	i.mu.Unlock()
	if status != 0 {
		answer(w, status, map[string]string{"message": http.StatusText(status)})
		return
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+i.RequestToken)) != 1 {
		answer(w, http.StatusUnauthorized, map[string]string{"message": "the request token is not this job's"})
		return
	}
	audience := r.URL.Query().Get("audience")
	if audience == "" {
		owner, _, _ := strings.Cut(i.options.Repository, "/")
		audience = "https://github.com/" + owner // GitHub's default
	}
	token, err := i.Token(audience, tokenLife)
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"message": err.Error()})
		return
	}
	answer(w, http.StatusOK, map[string]any{"count": len(token), "value": token})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
