package action

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A branch expires, and a run before that renews it. A push after that makes a new one.
func TestABranchExpiresAndComesBack(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("shop")...)
	expiry := func() time.Duration {
		b, ok := p.branches(t, p.projects[0])["dev/alice"]
		if !ok || b.ExpiresAt.IsZero() {
			t.Fatalf("it has %+v, which does not expire", b)
		}
		return b.ExpiresAt.Sub(p.Now()).Round(time.Hour)
	}
	dev := []string{"branch-name=dev/alice", "branch-expires-in=7d"}
	o := p.do(t, t.Context(), "create-branches", dev...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "they expire from ", " UTC on, unless a later run renews them", " calls of Neon's API")
	if got := expiry(); got != 7*24*time.Hour || listed(t, o)[0]["expires_at"] == nil {
		t.Errorf("expires in %s", got)
	}
	dev[1] = "branch-expires-in=9d"
	o = p.do(t, t.Context(), "create-branches", append(dev, "dry-run=true")...)
	o.counts(t, 0, 1, 0, 0)
	o.says(t, "shop  its expiry would be renewed")
	if got := expiry(); got != 7*24*time.Hour {
		t.Errorf("after a dry run it expires in %s", got)
	}
	o = p.do(t, t.Context(), "create-branches", dev...)
	o.counts(t, 0, 1, 0, 0)
	o.says(t, "shop  expiry renewed")
	if got := expiry(); got != 9*24*time.Hour {
		t.Errorf("renewed, it expires in %s", got)
	}
	// Without the input, an existing expiry stays; a reset starts it again, as Neon does by itself.
	p.do(t, t.Context(), "create-branches", dev[0]).counts(t, 0, 1, 0, 0)
	if got := expiry(); got != 9*24*time.Hour {
		t.Errorf("left alone, it expires in %s", got)
	}
	if err := p.Advance(t.Context(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	o = p.do(t, t.Context(), "reset-branches", dev[0])
	if got := expiry(); got != 9*24*time.Hour {
		t.Errorf("reset, it expires in %s", got)
	}
	if at, err := time.Parse(time.RFC3339, listed(t, o)[0]["expires_at"].(string)); err != nil ||
		at.Sub(p.Now()).Round(time.Hour) != 9*24*time.Hour {
		t.Errorf("reset, the output says %s, %v", at, err)
	}
	o = p.do(t, t.Context(), "reset-branches", dev[0], "branch-expires-in=2d12h")
	if got := expiry(); got != 60*time.Hour { // by the simulator's clock, which is a day ahead of this machine's
		t.Errorf("reset and renewed, it expires in %s\n%s", got, o.log)
	}
	if err := p.Advance(t.Context(), 61*time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, there := p.branches(t, p.projects[0])["dev/alice"]; there {
		t.Fatal("it has not expired")
	}
	o = p.do(t, t.Context(), "reset-branches", dev[0])
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "shop  created")
}

// Neon's longest is accepted, although the runner's clock may be a little ahead.
func TestABranchMayLiveFor30Days(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("shop")...)
	p.do(t, t.Context(), "create-branches", "branch-expires-in=30d").counts(t, 1, 0, 0, 0)
}

// It takes three calls to create a branch, and two to find that it exists, beside the list of projects.
func TestCallsOfBranches(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{OperationTime: -1}, named("shop")...)
	for _, want := range []int{3, 2} {
		p.ResetCalls()
		p.do(t, t.Context(), "create-branches")
		calls := p.Calls().ByProject[p.projects[0].ID]
		n := 0
		for _, of := range calls {
			n += of
		}
		if n > want {
			t.Errorf("%d calls: %v", n, calls)
		}
	}
}

// The branch is what other modes work on by neon-branch: its migrations, and its connection string as a secret.
func TestOtherModesWorkOnTheBranch(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("shop")...)
	hub, err := githubtest.Start(githubtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Close() })
	hub.AddRepository("acme/app")
	if err := os.MkdirAll(filepath.Join(p.workspace, "db/migrations"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write(t, "1_new.sql", "insert into t values ('migrated');")
	p.do(t, t.Context(), "create-branches").counts(t, 1, 0, 0, 0)
	p.do(t, t.Context(), "migrate", "neon-branch=preview/pr-7").counts(t, 1, 0, 0, 0)
	p.do(t, t.Context(), "sync-secrets", "neon-branch=preview/pr-7", "secret-name=PREVIEW_7_{TENANT}",
		"github-token="+githubtest.DefaultToken, "$GITHUB_API_URL="+hub.URL,
		"$GITHUB_REPOSITORY=acme/app").counts(t, 1, 0, 0, 0)
	url, ok := hub.Secrets(githubtest.Scope{Repository: "acme/app"})["PREVIEW_7_SHOP"]
	if !ok {
		t.Fatal("there is no secret")
	}
	if got, parent := values(t, url), values(t, p.projects[0].URL); got != "migrated,parent" || parent != "parent" {
		t.Errorf("the branch has %s, its parent %s", got, parent)
	}
}

// What is no preview is left alone: the tenant itself, what the project serves by default or protects, and roots.
func TestOnlyTheBranchOfThatNameIsTouched(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("shop")...)
	project, main := p.projects[0], ""
	for name := range p.branches(t, project) {
		main = name
	}
	p.do(t, t.Context(), "create-branches", "branch-name=dev").counts(t, 1, 0, 0, 0)
	p.do(t, t.Context(), "create-branches", "branch-name=dev-2").counts(t, 1, 0, 0, 0)
	p.do(t, t.Context(), "create-branches", "branch-name=kept").counts(t, 1, 0, 0, 0)
	p.protect(t, project, "kept")
	before := p.branches(t, project)
	p.ResetCalls()
	for _, mode := range []string{"create-branches", "reset-branches", "delete-branches"} {
		for _, c := range []struct {
			says   string
			inputs []string
		}{
			{"is left alone: it is the project's default branch", []string{"branch-name=" + main}},
			{"is left alone: it is protected", []string{"branch-name=kept"}},
			{`branch-name: "dev" is the branch of neon-branch, which the tenants are`,
				[]string{"branch-name=dev", "neon-branch=dev"}},
		} {
			o := p.do(t, t.Context(), mode, c.inputs...)
			o.says(t, c.says)
			if o.err == nil {
				t.Errorf("%s %v succeeded", mode, c.inputs)
			}
		}
	}
	for route := range p.Calls().ByRoute {
		if !strings.HasPrefix(route, "GET ") {
			t.Errorf("called %s", route)
		}
	}
	// Neon finds dev-2 too when it is asked for dev.
	p.do(t, t.Context(), "delete-branches", "branch-name=dev").counts(t, 1, 0, 0, 0)
	delete(before, "dev")
	if diff := gocmp.Diff(before, p.branches(t, project)); diff != "" {
		t.Errorf("branches (-want +got):\n%s", diff)
	}
}
