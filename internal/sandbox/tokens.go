package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// roleARN is the one role that there is.
	roleARN = "arn:aws:iam::123456789012:role/tenant-backups"
	// audience and subject are the conditions of the role's trust policy.
	audience = "sts.amazonaws.com"
	subject  = "repo:" + fleet + ":"
)

// tokens is AWS's token service in front of a store: it exchanges an identity token for a session, and lets only
// requests with a session's key through. Of a request's signature it reads whose it is, and no more.
type tokens struct {
	issuer string
	store  http.Handler

	mu       sync.Mutex
	sessions map[string]session // by access key
}

type session struct {
	token string
	ends  time.Time
}

func newTokens(issuer string, store http.Handler) *tokens {
	return &tokens{issuer: issuer, store: store, sessions: map[string]session{}}
}

// refusal is an error of AWS's.
type refusal struct {
	status        int
	code, message string
}

func (t *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && r.URL.Path == "/" {
		t.assumeRole(w, r)
		return
	}
	if no := t.admit(r); no != nil {
		type response struct {
			XMLName       xml.Name `xml:"Error"`
			Code, Message string
		}
		respond(w, no.status, response{Code: no.code, Message: no.message})
		return
	}
	t.store.ServeHTTP(w, r)
}

var credential = regexp.MustCompile(`Credential=([^/,]+)/`)

// admit returns nil for a request in a session.
func (t *tokens) admit(r *http.Request) *refusal {
	key := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	if key == nil {
		return &refusal{http.StatusForbidden, "AccessDenied", "the request is not signed"}
	}
	t.mu.Lock()
	s, ok := t.sessions[key[1]]
	t.mu.Unlock()
	switch {
	case !ok || subtle.ConstantTimeCompare([]byte(s.token), []byte(r.Header.Get("X-Amz-Security-Token"))) != 1:
		return &refusal{http.StatusForbidden, "InvalidAccessKeyId", "this key is of no session: assume the role " + roleARN}
	case time.Now().After(s.ends):
		return &refusal{http.StatusBadRequest, "ExpiredToken", "the session has ended"}
	}
	return nil
}

// assumeRole answers AssumeRoleWithWebIdentity.
func (t *tokens) assumeRole(w http.ResponseWriter, r *http.Request) {
	type credentials struct {
		Key        string `xml:"AccessKeyId"`
		Secret     string `xml:"SecretAccessKey"`
		Token      string `xml:"SessionToken"`
		Expiration string
	}
	type result struct {
		SubjectFromWebIdentityToken, Audience, Provider string
		Credentials                                     credentials
	}
	type response struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
		Result  result   `xml:"AssumeRoleWithWebIdentityResult"`
	}
	who, life, no := t.check(r)
	if no != nil {
		type failure struct{ Type, Code, Message string }
		type response struct {
			XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
			Error   failure
		}
		respond(w, no.status, response{Error: failure{"Sender", no.code, no.message}})
		return
	}
	key, s := "ASIA"+rand.Text()[:16], session{rand.Text() + rand.Text(), time.Now().Add(life)}
	t.mu.Lock()
	t.sessions[key] = s
	t.mu.Unlock()
	respond(w, http.StatusOK, response{Result: result{
		SubjectFromWebIdentityToken: who, Audience: audience, Provider: t.issuer,
		Credentials: credentials{key, rand.Text(), s.token, s.ends.UTC().Format(time.RFC3339)},
	}})
}

// check returns whose token a request has, and how long the session is to last.
func (t *tokens) check(r *http.Request) (who string, life time.Duration, no *refusal) {
	seconds := 3600
	if text := r.PostFormValue("DurationSeconds"); text != "" {
		seconds, _ = strconv.Atoi(text) // what is no number is 0, and refused below
	}
	switch {
	case r.PostFormValue("Action") != "AssumeRoleWithWebIdentity":
		return "", 0, &refusal{http.StatusBadRequest, "InvalidAction", "the action is not AssumeRoleWithWebIdentity"}
	case r.PostFormValue("RoleArn") != roleARN:
		return "", 0, &refusal{http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	case seconds < 900 || seconds > 43200:
		return "", 0, &refusal{http.StatusBadRequest, "ValidationError", "DurationSeconds is not between 900 and 43200"}
	}
	c, err := t.verify(r)
	now := time.Now().Unix()
	switch {
	case err != nil:
		return "", 0, &refusal{http.StatusBadRequest, "InvalidIdentityToken", err.Error()}
	case now >= c.Expires || now < c.NotBefore:
		return "", 0, &refusal{http.StatusBadRequest, "ExpiredTokenException", "Token expired"}
	case c.Audience != audience || c.Issuer != t.issuer:
		return "", 0, &refusal{http.StatusBadRequest, "InvalidIdentityToken", "Incorrect token audience"}
	case !strings.HasPrefix(c.Subject, subject):
		return "", 0, &refusal{http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	}
	return c.Subject, time.Duration(seconds) * time.Second, nil
}

// claims are those of an identity token that a role's trust depends on.
type claims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub"`
	Expires   int64  `json:"exp"`
	NotBefore int64  `json:"nbf"`
}

// verify checks a token's signature by the keys that its issuer publishes.
func (t *tokens) verify(r *http.Request) (claims, error) {
	parts := strings.Split(r.PostFormValue("WebIdentityToken"), ".")
	if len(parts) != 3 {
		return claims{}, errors.New("the token is not a JSON web token")
	}
	var header struct{ Alg, Kid string }
	var c claims
	for i, into := range []any{&header, &c} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			return claims{}, fmt.Errorf("read the token: %w", err)
		}
	}
	if header.Alg != "RS256" {
		return claims{}, fmt.Errorf("the token is signed by %q, not by RS256", header.Alg)
	}
	key, err := t.key(r, header.Kid)
	if err != nil {
		return claims{}, err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err == nil {
		digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
	}
	if err != nil {
		return claims{}, fmt.Errorf("check the token's signature: %w", err)
	}
	return c, nil
}

// key asks the issuer for a public key.
func (t *tokens) key(r *http.Request, id string) (*rsa.PublicKey, error) {
	var discovery struct {
		Keys string `json:"jwks_uri"`
	}
	var set struct {
		Keys []struct{ Kid, N, E string }
	}
	if err := t.get(r, t.issuer+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, err
	}
	if err := t.get(r, discovery.Keys, &set); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		n, err := base64.RawURLEncoding.DecodeString(k.N)
		e, err2 := base64.RawURLEncoding.DecodeString(k.E)
		if k.Kid == id && err == nil && err2 == nil {
			return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
		}
	}
	return nil, fmt.Errorf("the issuer has no key %q", id)
}

func (t *tokens) get(r *http.Request, url string, into any) error {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the issuer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read the issuer's answer: %w", err)
	}
	return nil
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(body) // a client that has gone has no use for it
}
