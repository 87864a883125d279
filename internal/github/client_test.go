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

const tester = "neon-tenants-action-test"

var (
	fleetScope  = github.Scope{Repository: "acme/fleet"}
	prodScope   = github.Scope{Repository: "acme/fleet", Environment: "prod/eu west"}
	acmeScope   = github.Scope{Organization: "acme"}
	inSimulator = map[github.Scope]githubtest.Scope{
		fleetScope: {Repository: "acme/fleet"}, prodScope: {Repository: "acme/fleet", Environment: "prod/eu west"}, acmeScope: {Organization: "acme"},
	}
)

// simulator starts GitHub with the organization acme, which has two repositories, one of them with an environment.
func simulator(t *testing.T, o githubtest.Options) *githubtest.Server {
	t.Helper()
	s, err := githubtest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	furnish(s)
	return s
}

func furnish(s *githubtest.Server) {
	s.AddOrganization("acme")
	s.AddRepository("acme/fleet")
	s.AddRepository("acme/other")
	s.AddRepository("stranger/thing")
	s.AddEnvironment("acme/fleet", "prod/eu west")
}

func client(t *testing.T, s *githubtest.Server, token string) *github.Client {
	t.Helper()
	c, err := github.New(github.Options{BaseURL: s.URL, Token: token, UserAgent: tester})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func publicKey(t *testing.T, c *github.Client, s github.Scope) github.PublicKey {
	t.Helper()
	key, err := c.PublicKey(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSecrets(t *testing.T) {
	for _, numeric := range []bool{false, true} {
		s := simulator(t, githubtest.Options{NumericKeyIDs: numeric})
		c := client(t, s, githubtest.DefaultToken)
		for scope, there := range inSimulator {
			t.Run(fmt.Sprint(scope, numeric), func(t *testing.T) {
				key := publicKey(t, c, scope)
				for _, step := range []struct {
					name, value string
					created     bool
				}{
					{"acme_database_url", "postgresql://o:pä\n§@host/db", true},
					{"ACME_DATABASE_URL", "another", false},
					{"EMPTY", "", true},
					{"LONGEST", strings.Repeat("x", github.MaxValue), true},
				} {
					created, err := c.PutSecret(t.Context(), scope, key, step.name, step.value)
					if err != nil || created != step.created {
						t.Fatalf("%s: created %v, %v", step.name, created, err)
					}
					if got, ok := s.Open(there, step.name); !ok || got != step.value {
						t.Errorf("%s holds %d bytes, want %d", step.name, len(got), len(step.value))
					}
				}
				infos, err := c.Secrets(t.Context(), scope)
				if err != nil || len(infos) != 3 {
					t.Fatalf("%d secrets, %v", len(infos), err)
				}
				first := infos[0]
				visibility := map[bool]string{true: "private"}[scope.Organization != ""]
				if first.Name != "ACME_DATABASE_URL" || time.Since(first.UpdatedAt) > time.Minute || first.CreatedAt.After(first.UpdatedAt) || first.Visibility != visibility {
					t.Errorf("listed as %+v", first)
				}
				for range 2 { // the second time it is not there
					if err := c.DeleteSecret(t.Context(), scope, "empty"); err != nil {
						t.Error(err)
					}
				}
				if _, ok := s.Open(there, "EMPTY"); ok {
					t.Error("EMPTY is still there")
				}
			})
		}
	}
}

func TestSecretsOverAllPages(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	c := client(t, s, githubtest.DefaultToken)
	for i := range 250 {
		s.SetSecret(githubtest.Scope{Organization: "acme"}, fmt.Sprintf("S_%03d", i), "x", time.Now())
	}
	infos, err := c.Secrets(t.Context(), acmeScope)
	if err != nil || len(infos) != 250 || infos[249].Name != "S_249" {
		t.Fatalf("%d secrets, %v", len(infos), err)
	}
	if got := s.Calls().Total; got != 3 {
		t.Errorf("%d calls for three pages", got)
	}
}

func TestVariables(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	c := client(t, s, githubtest.DefaultToken)
	const name = "NEON_TENANTS_STATE"
	for scope, there := range inSimulator {
		t.Run(scope.String(), func(t *testing.T) {
			if _, _, found, err := c.Variable(t.Context(), scope, name); found || err != nil {
				t.Fatalf("found %v, %v", found, err)
			}
			for i, exists := range []bool{false, true, false} { // the last one is wrong about it
				want := strings.Repeat("v", i*github.MaxValue/2)
				if err := c.PutVariable(t.Context(), scope, name, want, exists); err != nil {
					t.Fatal(err)
				}
				got, at, found, err := c.Variable(t.Context(), scope, name)
				if got != want || !found || err != nil || time.Since(at) > time.Minute {
					t.Errorf("%d bytes of %d, %v, %v, written %s", len(got), len(want), found, err, at)
				}
			}
			s.DeleteVariable(there, name)
			if err := c.PutVariable(t.Context(), scope, name, "again", true); err != nil {
				t.Error(err)
			}
			if got, _ := s.Variable(there, name); got != "again" {
				t.Errorf("holds %q", got)
			}
			if err := c.PutVariable(t.Context(), scope, name, strings.Repeat("v", github.MaxValue+1), true); err == nil {
				t.Error("a value that is too long is taken")
			}
		})
	}
}

func TestWhoSeesAnOrganizationsSecret(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	c := client(t, s, githubtest.DefaultToken)
	key := publicKey(t, c, acmeScope)
	put := func(name, visibility, repository string) error {
		_, err := c.PutSecret(t.Context(), github.Scope{Organization: "acme", Visibility: visibility, Repository: repository}, key, name, "value of "+name)
		return err
	}
	check := func(name, want string) {
		t.Helper()
		visibility, repositories := s.Audience("acme", name)
		if got := fmt.Sprint(visibility, repositories); got != want {
			t.Errorf("%s is seen by %s, want %s", name, got, want)
		}
	}
	for _, step := range []struct{ name, visibility, repository, want string }{
		{"USUAL", "", "", "private[]"},
		{"USUAL", "all", "", "all[]"},
		{"ALL", "all", "acme/fleet", "all[]"},
		{"NOBODY", "selected", "", "selected[]"},
		{"ONE", "selected", "acme/fleet", "selected[acme/fleet]"},
		{"ONE", "all", "acme/other", "selected[acme/fleet]"}, // which stays
	} {
		if err := put(step.name, step.visibility, step.repository); err != nil {
			t.Fatal(err)
		}
		check(step.name, step.want)
	}
	many := []string{}
	for i := range 130 {
		many = append(many, fmt.Sprintf("acme/r%03d", i))
		s.AddRepository(many[i])
	}
	s.Select("acme", "ONE", many...)
	if err := put("ONE", "private", ""); err != nil {
		t.Fatal(err)
	}
	check("ONE", fmt.Sprint("selected", many))
	if value, _ := s.Open(githubtest.Scope{Organization: "acme"}, "ONE"); value != "value of ONE" {
		t.Errorf("ONE holds %q", value)
	}
	if err := put("TWO", "selected", "acme/none"); !github.IsStatus(err, http.StatusNotFound) {
		t.Errorf("given to a repository that is not there: %v", err)
	}
}

func TestAKeyThatIsReplacedInTheMiddle(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	c := client(t, s, githubtest.DefaultToken)
	key := publicKey(t, c, fleetScope)
	s.Fail(githubtest.Fault{Route: "PUT *", Do: func() { s.RotateKey(inSimulator[fleetScope]) }, After: 2, Times: 1})
	for i := range 6 {
		if _, err := c.PutSecret(t.Context(), fleetScope, key, fmt.Sprintf("S_%d", i), fmt.Sprint("value ", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 6 {
		if got, _ := s.Open(inSimulator[fleetScope], fmt.Sprintf("S_%d", i)); got != fmt.Sprint("value ", i) {
			t.Errorf("S_%d holds %q", i, got)
		}
	}
	if calls := s.Calls(); calls.Writes != 7 || calls.Reads != 2 {
		t.Errorf("%d writes and %d reads, want one of each more than without", calls.Writes, calls.Reads)
	}
}

func TestLostAnswersAndTrouble(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	c := client(t, s, githubtest.DefaultToken)
	key := publicKey(t, c, fleetScope)
	for _, fault := range []githubtest.Fault{{Lose: true, Times: 2}, {Status: 502, Times: 2}, {Status: 503, Times: 1}} {
		fault.Route = "P*" // PUT, POST, PATCH
		s.Fail(fault)
		if _, err := c.PutSecret(t.Context(), fleetScope, key, "A", "b"); err != nil {
			t.Errorf("%+v: %v", fault, err)
		}
		s.DeleteVariable(inSimulator[fleetScope], "V")
		s.Fail(fault)
		if err := c.PutVariable(t.Context(), fleetScope, "V", "w", false); err != nil {
			t.Errorf("%+v: %v", fault, err)
		}
		if value, _ := s.Variable(inSimulator[fleetScope], "V"); value != "w" {
			t.Errorf("V holds %q", value)
		}
	}
	s.Fail(githubtest.Fault{Route: "DELETE *", Lose: true, Times: 1})
	if err := c.DeleteSecret(t.Context(), fleetScope, "A"); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	s.AddToken(githubtest.Token{Secret: "github_pat_reader", Permissions: map[string]string{"metadata": "read", "secrets": "read", "organization_secrets": "read"}})
	s.AddToken(githubtest.Token{Secret: "github_pat_other", Permissions: map[string]string{"secrets": "write"}, Only: []string{"acme/other"}})
	s.AddToken(githubtest.Token{Secret: "github_pat_expired", Expired: true})
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
		{"expired", "github_pat_expired", put(fleetScope), 401, "PUT /repos/acme/fleet/actions/secrets/NEW: 401 Unauthorized: Bad credentials", "create a new one"},
		{"may only read", "github_pat_reader", put(fleetScope), 403,
			"403 Forbidden: Resource not accessible by personal access token (X-Accepted-GitHub-Permissions: secrets=write)",
			`use one with the permission "Secrets: write" (a classic one: with the scope repo)`},
		{"of the environment nothing", "github_pat_reader", asKey(prodScope), 403, "GET /repos/acme/fleet/environments/prod%2Feu%20west/secrets/public-key: 403",
			`"Environments: write" (GitHub names "Environments: read" for this call)`},
		{"may only read in the organization", "github_pat_reader", put(acmeScope), 403, "organization_secrets=write", `"Organization secrets: write" (a classic one: with the scope admin:org)`},
		{"the job's own", githubtest.JobToken, asKey(fleetScope), 403, "Resource not accessible by integration", "the job's own GITHUB_TOKEN"},
		{"another repository's", "github_pat_other", asKey(fleetScope), 404, "404 Not Found", "hides it from this token"},
		{"no such environment", githubtest.DefaultToken, asKey(nowhere), 404, "404 Not Found", "environment (which has to exist)"},
		{"the 101st", githubtest.DefaultToken, put(prodScope), 422, "limit of 100 secrets", ""},
		{"a variable without permission", "github_pat_reader", func(t *testing.T, c *github.Client) error {
			return c.PutVariable(t.Context(), fleetScope, "V", "x", false)
		}, 403, "POST /repos/acme/fleet/actions/variables: 403", `"Variables: write"`},
		{"a bad name", githubtest.DefaultToken, func(t *testing.T, c *github.Client) error {
			_, err := c.PutSecret(t.Context(), fleetScope, github.PublicKey{}, "GITHUB_X", "hidden value")
			return err
		}, 0, `the name "GITHUB_X" may not begin with GITHUB_`, ""},
		{"too long", githubtest.DefaultToken, func(t *testing.T, c *github.Client) error {
			_, err := c.PutSecret(t.Context(), fleetScope, github.PublicKey{}, "X", strings.Repeat("hidden value", 5000))
			return err
		}, 0, "the value of the secret X has 60000 bytes, where GitHub takes 49152", ""},
		{"a bad scope", githubtest.DefaultToken, asKey(github.Scope{Repository: "acme"}), 0, `"acme" is not a repository as owner/repo`, ""},
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
			if errors.As(err, &e) != (test.status != 0) || e != nil && (e.Status != test.status || !strings.Contains(e.Remedy(), test.remedy)) {
				t.Errorf("%+v with the remedy %q, want status %d and %q", e, e.Remedy(), test.status, test.remedy)
			}
		})
	}
}

func TestSomethingElseAnswers(t *testing.T) {
	s := simulator(t, githubtest.Options{})
	s.Fail(githubtest.Fault{Status: 200, Message: "hello"})
	c := client(t, s, githubtest.DefaultToken)
	_, err := c.PublicKey(t.Context(), fleetScope)
	if err == nil || !strings.Contains(err.Error(), "no public key") {
		t.Error(err)
	}
	s.ClearFaults()
	s.Fail(githubtest.Fault{Status: 404, Message: "two\nlines\x1b[31m ::error::" + strings.Repeat("x", 600)})
	if _, err = c.PublicKey(t.Context(), fleetScope); err == nil || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 700 {
		t.Errorf("%q", err)
	}
	nobody, err := github.New(github.Options{BaseURL: "http://127.0.0.1:1", Token: "t", HTTP: &http.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.PublicKey(t.Context(), fleetScope); err == nil || !strings.Contains(err.Error(), "connection refused") {
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
	const want = "PUT /repos/acme/formerly/actions/secrets/A: 301 Moved Permanently: led to /repos/acme/fleet/actions/secrets/A"
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
	good := []string{"", "https://github.acme.example/api/v3", "https://api.github.com/", "http://127.0.0.1:80", "http://10.1.2.3:8080/api/v3", "http://simulator:9000", "http://api.github.localhost"}
	bad := []string{"github.com", "ftp://x", "https://", "http://github.acme.example", "http://8.8.8.8", "https://user:secret@x", "://", "https://x?y"}
	for _, base := range slices.Concat(good, bad) {
		_, err := github.New(github.Options{BaseURL: base, Token: "t"})
		if (err == nil) != slices.Contains(good, base) {
			t.Errorf("%q: %v", base, err)
		}
	}
	for _, token := range []string{"", "x y", "x\n", "ä"} {
		if _, err := github.New(github.Options{Token: token}); err == nil || token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("%q: %v", token, err)
		}
	}
}
