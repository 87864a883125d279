package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

func TestErrors(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	s.AddToken(githubtest.Token{Secret: "github_pat_reader",
		Permissions: map[string]string{"metadata": "read", "secrets": "read", "organization_secrets": "read"}})
	s.AddToken(githubtest.Token{Secret: "github_pat_other", Permissions: map[string]string{"secrets": "write"},
		Only: []string{"acme/other"}})
	s.AddToken(githubtest.Token{Secret: "github_pat_expired", Expired: true})
	s.AddRepository("acme/attic")
	s.Archive("acme/attic")
	for i := range 100 {
		s.SetSecret(inSimulator[prodScope], fmt.Sprintf("FULL_%d", i), "x", time.Now())
	}
	put := func(scope github.Scope) func(*testing.T, *github.Client) error {
		return func(t *testing.T, c *github.Client) error {
			key := publicKey(t, client(t, s, githubtest.DefaultToken), scope)
			_, err := c.PutSecret(t.Context(), scope, key, "NEW", "hidden value")
			return err
		}
	}
	asKey := func(scope github.Scope) func(*testing.T, *github.Client) error {
		return func(t *testing.T, c *github.Client) error { _, err := c.PublicKey(t.Context(), scope); return err }
	}
	nowhere := github.Scope{Repository: "acme/fleet", Environment: "staging"}
	for _, test := range []struct {
		name, token  string
		call         func(*testing.T, *github.Client) error
		status       int
		want, remedy string
	}{
		{"expired", "github_pat_expired", put(fleetScope), 401,
			"PUT /repos/acme/fleet/actions/secrets/NEW: 401 Unauthorized: Bad credentials", "create a new one"},
		{"may only read", "github_pat_reader", put(fleetScope), 403,
			"403 Forbidden: Resource not accessible by personal access token (X-Accepted-GitHub-Permissions: secrets=write)",
			`use one with the permission "Secrets: write" (a classic token: with the scope repo)`},
		{"of the environment nothing", "github_pat_reader", asKey(prodScope), 403,
			"GET /repos/acme/fleet/environments/prod%2Feu%20west/secrets/public-key: 403",
			`"Environments: write" (a classic token: with the scope repo)`},
		{"may only read in the organization", "github_pat_reader", put(acmeScope), 403, "organization_secrets=write",
			`"Organization secrets: write" (a classic token: with the scope admin:org)`},
		{"the job's own", githubtest.JobToken, asKey(fleetScope), 403, "Resource not accessible by integration",
			"the job's own GITHUB_TOKEN"},
		{"another repository's", "github_pat_other", asKey(fleetScope), 404, "404 Not Found", "hides it from this token"},
		{"no such environment", githubtest.DefaultToken, asKey(nowhere), 404, "404 Not Found",
			"environment (which has to exist)"},
		{"the 101st", githubtest.DefaultToken, put(prodScope), 422, "limit of 100 secrets", "there is no room"},
		{"a variable without permission", "github_pat_reader", func(t *testing.T, c *github.Client) error {
			return c.PutVariable(t.Context(), fleetScope, "V", "x", false)
		}, 403, "POST /repos/acme/fleet/actions/variables: 403", `"Variables: write"`},
		{"a variable that is only read", "github_pat_reader", func(t *testing.T, c *github.Client) error {
			_, _, _, err := c.Variable(t.Context(), fleetScope, "V")
			return err
		}, 403, "GET /repos/acme/fleet/actions/variables/V: 403",
			`"Variables: write" (a classic token: with the scope repo)`},
		{"of an archived repository", githubtest.DefaultToken, put(github.Scope{Repository: "acme/attic"}), 403,
			"403 Forbidden: Repository was archived so is read-only.", "unarchive it in its settings"},
		{"no such organization", githubtest.DefaultToken, asKey(github.Scope{Organization: "nobody"}), 404, "404 Not Found",
			"check the organization's name"},
		{"a bad name", githubtest.DefaultToken, func(t *testing.T, c *github.Client) error {
			_, err := c.PutSecret(t.Context(), fleetScope, github.PublicKey{}, "GITHUB_X", "hidden value")
			return err
		}, 0, `the name "GITHUB_X" may not begin with GITHUB_`, ""},
		{"too long", githubtest.DefaultToken, func(t *testing.T, c *github.Client) error {
			_, err := c.PutSecret(t.Context(), fleetScope, github.PublicKey{}, "X", strings.Repeat("hidden value", 5000))
			return err
		}, 0, "the value of the secret X has 60000 bytes, and GitHub accepts 49152", ""},
		{"a bad scope", githubtest.DefaultToken, asKey(github.Scope{Repository: "acme"}), 0,
			`"acme" is not a repository in the form owner/repo`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.call(t, client(t, s, test.token))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v, want %s", err, test.want)
			}
			if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), test.token) {
				t.Errorf("the error gives a secret away: %v", err)
			}
			var e *github.Error
			if errors.As(err, &e) != (test.status != 0) ||
				e != nil && (e.Status != test.status || !strings.Contains(e.Remedy(), test.remedy)) {
				t.Errorf("%+v with the remedy %q, want status %d and %q", e, e.Remedy(), test.status, test.remedy)
			}
		})
	}
}

// GitHub refuses with 403 what no permission would change, and says so in its message alone.
func TestRefusalsThatNoPermissionChanges(t *testing.T) {
	for _, test := range []struct {
		fault        githubtest.Fault
		want, remedy string
	}{
		{githubtest.Fault{Status: 403, Message: "Resource protected by organization SAML enforcement. You must grant your " +
			"Personal Access token access to this organization."}, "403 Forbidden: Resource protected", "Configure SSO"},
		{githubtest.Fault{Status: 403, Message: "Forbidden",
			Header: map[string]string{"X-GitHub-SSO": "required; url=https://x"}},
			"403", "Configure SSO"},
		{githubtest.Fault{Status: 403, Message: "Although you appear to have the correct authorization credentials, the " +
			"`acme` organization has an IP allow list enabled, and 203.0.113.7 is not permitted to access this resource."},
			"IP allow list", "a runner with a fixed address"},
		{githubtest.Fault{Status: 403, Message: "The 'acme' organization forbids access via a fine-grained personal access " +
			"tokens if the token's lifetime is greater than 366 days."}, "lifetime", "of this kind, or of so long a life"},
		{githubtest.Fault{Status: 403, Message: "`acme` forbids access via a personal access token (classic). Please use a " +
			"GitHub App."}, "classic", "of this kind, or of so long a life"},
		{githubtest.Fault{Status: 451, Message: "Repository access blocked"}, "451",
			"GitHub has blocked the repository itself"},
		{githubtest.Fault{Status: 403, Message: "Repository access blocked"}, "403",
			"GitHub has blocked the repository itself"},
		{githubtest.Fault{Status: 451, Message: "Sorry"}, "451", "legal reasons"},
		{githubtest.Fault{Status: 403, Message: "Actions has been disabled for this repository."},
			"disabled", "switch it on"},
		{githubtest.Fault{Status: 403, Message: "Sorry. Your account was suspended."}, "suspended", "use another's token"},
		{githubtest.Fault{Status: 403, Message: "Repository has been locked for migration."}, "locked", "run again once"},
		{githubtest.Fault{Status: 403,
			Message: "Upgrade to GitHub Pro or make this repository public to enable this feature."},
			"Upgrade", "raise it"},
		{githubtest.Fault{Status: 403, Message: "A reason of tomorrow's."}, "tomorrow's", "GitHub's message says why"},
	} {
		s := simulator(t, githubtest.Options{})
		s.Fail(test.fault)
		_, err := client(t, s, githubtest.DefaultToken).PublicKey(t.Context(), fleetScope)
		var e *github.Error
		if !errors.As(err, &e) || !strings.Contains(e.Error(), test.want) || !strings.Contains(e.Remedy(), test.remedy) {
			t.Errorf("%v with the remedy %q, want %q", err, e.Remedy(), test.remedy)
		}
		if (e.Lacks() != "" || strings.Contains(e.Remedy(), `"Secrets: write"`)) !=
			strings.Contains(test.remedy, "says why") {
			t.Errorf("%q: the remedy is a permission: %q", test.fault.Message, e.Remedy())
		}
	}
}

// GitHub's 422 names the field in its message, or in a list beside a message that says nothing.
func TestInvalidRequestsNameTheField(t *testing.T) {
	for _, test := range []struct {
		message string
		errors  []any
		want    string
	}{
		{"Invalid request.\n\n\"key_id\" wasn't supplied.", nil, `Invalid request. "key_id" wasn't supplied.`},
		{"Validation Failed", []any{map[string]string{"resource": "Secret", "field": "visibility", "code": "missing_field"}},
			"Validation Failed: Secret.visibility is missing"},
		{"Validation Failed",
			[]any{map[string]string{"field": "name", "code": "already_exists"}, map[string]string{"code": "custom"}},
			"Validation Failed: name exists already; custom"},
		{"Validation Failed",
			[]any{map[string]string{"resource": "Secret", "code": "custom", "message": "visibility can't be all"}},
			"Validation Failed: visibility can't be all"},
		{"Validation Failed", []any{"name is too long", "value is too large"},
			"Validation Failed: name is too long; value is too large"},
		{"name is too long", []any{"name is too long"}, "name is too long"},
		{"Validation Failed", []any{7, nil, []string{}}, "Validation Failed"},
	} {
		s := simulator(t, githubtest.Options{})
		s.Fail(githubtest.Fault{Route: "POST *", Status: 422, Message: test.message, Errors: test.errors})
		err := client(t, s, githubtest.DefaultToken).PutVariable(t.Context(), fleetScope, "V", "x", false)
		var e *github.Error
		if !errors.As(err, &e) || e.Message != test.want || !strings.Contains(e.Remedy(), "correct that where you gave it") {
			t.Errorf("%v with the remedy %q, want %q", err, e.Remedy(), test.want)
		}
	}
}

func TestSomethingElseAnswers(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	s.Fail(githubtest.Fault{Status: 200, Message: "hello"})
	c := client(t, s, githubtest.DefaultToken)
	_, err := c.PublicKey(t.Context(), fleetScope)
	if err == nil || !strings.Contains(err.Error(), "not a public key") {
		t.Error(err)
	}
	s.ClearFaults()
	s.Fail(githubtest.Fault{Status: 404, Message: "two\nlines\x1b[31m ::error::" + strings.Repeat("x", 600)})
	if _, err = c.PublicKey(t.Context(), fleetScope); err == nil || strings.ContainsAny(err.Error(), "\n\x1b") ||
		len(err.Error()) > 700 {
		t.Errorf("%q", err)
	}
	nobody, err := github.New(github.Options{BaseURL: "http://127.0.0.1:1", Token: "t", HTTP: &http.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.PublicKey(t.Context(), fleetScope); err == nil ||
		!strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
}

// A repository that was renamed: its old name leads to its new one, for a while.
func TestARenamedRepository(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	status := http.StatusMovedPermanently
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/repos/acme/formerly/"); ok {
			http.Redirect(w, r, "/repos/acme/fleet/"+rest, status)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	c, err := github.New(github.Options{BaseURL: front.URL, Token: githubtest.DefaultToken})
	if err != nil {
		t.Fatal(err)
	}
	formerly := github.Scope{Repository: "acme/formerly"}
	key := publicKey(t, c, formerly)
	s.SetSecret(inSimulator[fleetScope], "A", "old", time.Now())
	_, err = c.PutSecret(t.Context(), formerly, key, "A", "new")
	var e *github.Error
	const want = "PUT /repos/acme/formerly/actions/secrets/A: 301 Moved Permanently: redirected to " +
		"/repos/acme/fleet/actions/secrets/A"
	if !errors.As(err, &e) || e.Error() != want || !strings.Contains(e.Remedy(), "its new name") {
		t.Errorf("a write that was led astray: %v", err)
	}
	status = http.StatusTemporaryRedirect
	if _, err = c.PutSecret(t.Context(), formerly, key, "A", "new"); err != nil {
		t.Error(err)
	}
	if value, _ := s.Open(inSimulator[fleetScope], "A"); value != "new" {
		t.Errorf("A holds %q", value)
	}
}

func TestNewRefuses(t *testing.T) {
	good := []string{"", "https://github.acme.example/api/v3", "https://api.github.com/", "http://127.0.0.1:80",
		"http://10.1.2.3:8080/api/v3", "http://simulator:9000", "http://api.github.localhost"}
	bad := []string{"github.com", "ftp://x", "https://", "http://github.acme.example", "http://8.8.8.8",
		"https://user:secret@x", "://", "https://x?y"}
	for _, base := range slices.Concat(good, bad) {
		_, err := github.New(github.Options{BaseURL: base, Token: "t"})
		if (err == nil) != slices.Contains(good, base) {
			t.Errorf("%q: %v", base, err)
		}
	}
	for _, token := range []string{"", "x y", "x\n", "ä"} {
		if _, err := github.New(github.Options{Token: token}); err == nil ||
			token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("%q: %v", token, err)
		}
	}
}
