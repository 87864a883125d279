package github_test

import (
	"fmt"
	"net/http"
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
		fleetScope: {Repository: "acme/fleet"},
		prodScope:  {Repository: "acme/fleet", Environment: "prod/eu west"},
		acmeScope:  {Organization: "acme"},
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
				if first.Name != "ACME_DATABASE_URL" || time.Since(first.UpdatedAt) > time.Minute ||
					first.CreatedAt.After(first.UpdatedAt) || first.Visibility != visibility {
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
		scope := github.Scope{Organization: "acme", Visibility: visibility, Repository: repository}
		_, err := c.PutSecret(t.Context(), scope, key, name, "value of "+name)
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
