package githubtest_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

var (
	fleet = githubtest.Scope{Repository: "acme/fleet"}
	prod  = githubtest.Scope{Repository: "acme/fleet", Environment: "prod/eu west"}
	acme  = githubtest.Scope{Organization: "acme"}
)

// start serves the organization acme with a repository, an environment and three secrets in each of the scopes.
func start(t *testing.T) *githubtest.Server {
	t.Helper()
	s, err := githubtest.Start(githubtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	s.AddOrganization("acme")
	s.AddRepository("acme/fleet")
	s.AddEnvironment("acme/fleet", "prod/eu west")
	for _, scope := range []githubtest.Scope{fleet, prod, acme} {
		for i := range 3 {
			s.SetSecret(scope, fmt.Sprintf("BY_HAND_%d", i+1), "x", time.Now())
		}
	}
	return s
}

func opens(t *testing.T, s *githubtest.Server, scope githubtest.Scope, name, want string) {
	t.Helper()
	if got, ok := s.Open(scope, name); !ok || got != want {
		t.Errorf("%s of %+v is %q, %v; want %q", name, scope, got, ok, want)
	}
}

// TestOctokit lets GitHub's own client use the simulator, with boxes that libsodium seals.
func TestOctokit(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: not installing npm packages")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir, err := servertest.InstallNPM(ctx, "githubtest", os.DirFS(filepath.Join("testdata", "npm")))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t)
	s.Fail(githubtest.Fault{Route: "GET /user", Secondary: true, RetryAfter: "1", Times: 1})
	check := exec.CommandContext(ctx, "node", "check.js")
	check.Dir = dir
	check.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GITHUB_API_URL=" + s.URL,
		"GITHUB_TOKEN=" + githubtest.DefaultToken, "JOB_TOKEN=" + githubtest.JobToken}
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	opens(t, s, fleet, "FROM_OCTOKIT", "sealed by libsodium")
	opens(t, s, prod, "FROM_OCTOKIT", "sealed by libsodium")
	opens(t, s, acme, "FROM_OCTOKIT", "chosen")
}

// TestGH lets GitHub's command line use the simulator, in the two ways in which it goes to another host than
// github.com: over TLS to an enterprise's server, and in the open to the host that GitHub's developers have, through a
// proxy, as `make sandbox` says.
func TestGH(t *testing.T) {
	gh, err := exec.LookPath("gh")
	if err != nil {
		t.Skip("gh is not installed")
	}
	s := start(t)
	s.AddEnvironment("acme/fleet", "production") // a name that needs no escaping, which is not what this is about
	secure := httptest.NewTLSServer(s)
	t.Cleanup(secure.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	enterprise := strings.TrimPrefix(secure.URL, "https://")
	for host, environment := range map[string][]string{
		enterprise:         {"SSL_CERT_FILE=" + ca, "GH_ENTERPRISE_TOKEN=" + githubtest.DefaultToken},
		"github.localhost": {"HTTP_PROXY=" + s.URL, "NO_PROXY=none", "GH_TOKEN=" + githubtest.DefaultToken},
	} {
		t.Run(host, func(t *testing.T) {
			home := t.TempDir()
			run := func(stdin string, args ...string) string {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, gh, args...)
				cmd.Env = append([]string{"HOME=" + home, "GH_CONFIG_DIR=" + home, "GH_HOST=" + host,
					"GH_NO_UPDATE_NOTIFIER=1", "PATH=" + os.Getenv("PATH")}, environment...)
				cmd.Stdin, cmd.Dir = strings.NewReader(stdin), home
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("gh %v: %v: %s", args, err, out)
				}
				return string(out)
			}
			repository := host + "/acme/fleet"
			production := githubtest.Scope{Repository: "acme/fleet", Environment: "production"}
			for _, one := range []struct {
				scope githubtest.Scope
				args  []string
			}{
				{fleet, []string{"--repo", repository}},
				{production, []string{"--repo", repository, "--env", "production"}},
				{acme, []string{"--org", "acme"}},
			} {
				put := append([]string{"secret", "set", "FROM_GH"}, one.args...)
				if one.scope.Organization != "" {
					put = append(put, "--visibility", "all")
				}
				run("sealed by gh for "+host, put...)
				opens(t, s, one.scope, "FROM_GH", "sealed by gh for "+host)
				if out := run("", append([]string{"secret", "list"}, one.args...)...); !strings.Contains(out, "FROM_GH") {
					t.Errorf("listed: %s", out)
				}
				run("", append([]string{"secret", "delete", "FROM_GH"}, one.args...)...)
				if _, ok := s.Open(one.scope, "FROM_GH"); ok {
					t.Errorf("gh could not delete the secret of %+v", one.scope)
				}
			}
		})
	}
}
