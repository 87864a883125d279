package action

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/mode/branch"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// All of these are refused before the first call.
func TestMistakesAboutBranches(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{})
	for _, c := range []struct {
		says   string
		inputs []string
	}{
		{"branch-name: is empty, and this workflow was not started by a pull request", []string{"$GITHUB_EVENT_PATH="}},
		{"branch-name: has 257 characters, and Neon allows 256", []string{"branch-name=" + strings.Repeat("ä", 257)}},
		{"contains a line break or another control character", []string{"branch-name=a\x07b"}},
		{"branch-name: is not valid UTF-8", []string{"branch-name=a\xffb"}},
		{`branch-expires-in: "31d" is not a duration from 1m to 30d`, []string{"branch-expires-in=31d"}},
		{`branch-expires-in: "7 days" is not a duration`, []string{"branch-expires-in=7 days"}},
		{"export-env: there is no GITHUB_ENV", []string{"export-env=true", "$GITHUB_ENV="}},
		{"secret-name: {TENANT} alone would let a tenant named path replace the PATH",
			[]string{"export-env=true", "secret-name={TENANT}"}},
		{"tenants of this source have no branches; choose another mode, or use tenant-source: catalog or neon",
			[]string{"tenant-source=secrets", "tenant-secrets={}"}},
	} {
		p.ResetCalls()
		o := p.do(t, t.Context(), "create-branches", c.inputs...)
		o.says(t, c.says)
		if n := p.Calls().Total; o.err == nil || n > 0 {
			t.Errorf("%v: %v after %d calls", c.inputs, o.err, n)
		}
	}
}

func TestWhatIsExported(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("shop", "a_b", "a b", strings.Repeat("x", 250))...)
	o := p.do(t, t.Context(), "create-branches", "export-env=true", "tenants=a_b,a b", "tenant-key=id",
		"secret-name=X_{TENANT}_URL", "pooled=true")
	o.counts(t, 2, 0, 0, 0)
	variables := p.exported(t)
	if len(variables) != 2 {
		t.Errorf("exported %d variables", len(variables))
	}
	for name, url := range variables {
		if !strings.HasPrefix(name, "X_") || !strings.HasSuffix(name, "_URL") ||
			pgtest.Ask(t, url, "select 1::text")[0] != "1" {
			t.Errorf("exported %s", name)
		}
	}
	// One without a name fails before anything is made for it; the others get theirs, and nobody is the only one.
	o = p.do(t, t.Context(), "create-branches", "export-env=true", "tenants=shop,x*")
	o.counts(t, 1, 0, 1, 0)
	o.says(t, "the limit is 255", "set tenant-key: id, or rename the tenant")
	if variables := p.exported(t); len(variables) != 1 || variables["SHOP_DATABASE_URL"] == "" {
		t.Errorf("exported %d variables", len(variables))
	}
	if got := p.branches(t, p.projects[3]); len(got) != 1 {
		t.Errorf("made %v", got)
	}
	// A variable is no file: later steps would not see it.
	if err := os.Mkdir(p.env, 0o700); err != nil {
		t.Fatal(err)
	}
	o = p.do(t, t.Context(), "create-branches", "export-env=true", "tenants=shop")
	o.says(t, "export-env: write the variables for later steps: ")
	if o.err == nil {
		t.Error("it succeeded")
	}
}

// One tenant's error stops no other, says what to do, and leaves nothing.
func TestFaultsOfBranches(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	p := newPreviews(t, neontest.Options{Plan: neontest.Plan{Branches: 2, RootBranches: 1, Endpoints: 10}},
		named("bad", "good")...)
	bad := p.projects[0]
	post := "POST /projects/{project_id}/branches"
	p.Fail(neontest.Fault{Route: post, Project: bad.ID, Status: http.StatusBadRequest, Message: "no"})
	o := p.do(t, t.Context(), "create-branches")
	o.counts(t, 1, 0, 1, 0)
	if got := listed(t, o); len(got) != 1 || got[0]["tenant"] != "good" {
		t.Errorf("branches %v", got)
	}
	p.ClearFaults()
	// Another operation is running in the project.
	p.Fail(neontest.Fault{Route: post, Project: bad.ID, Status: http.StatusLocked, Times: 2})
	p.do(t, t.Context(), "create-branches").counts(t, 1, 1, 0, 0)

	// A project is full, except for what it has.
	p.do(t, t.Context(), "create-branches").counts(t, 0, 2, 0, 0)
	o = p.do(t, t.Context(), "create-branches", "branch-name=another")
	o.counts(t, 0, 0, 2, 0)
	o.says(t, "branches limit exceeded", "the project has as many branches as the plan allows: delete some "+
		"(mode delete-branches, or Neon's console), let new ones expire with branch-expires-in, or upgrade the plan")

	// The branch is reset, and says so, although its expiry could not be renewed. Run again, it is.
	p.Fail(neontest.Fault{Route: "PATCH *", Project: bad.ID, Status: http.StatusBadRequest, Message: "no", Times: 1})
	o = p.do(t, t.Context(), "reset-branches", "branch-expires-in=7d")
	o.counts(t, 1, 0, 1, 0)
	if d := detail[branch.Detail](t, o, "bad"); d.Change != "reset" {
		t.Errorf("detail %+v", d)
	}
	p.do(t, t.Context(), "reset-branches", "branch-expires-in=7d").counts(t, 2, 0, 0, 0)

	p.Fail(neontest.Fault{Route: "DELETE *", Project: bad.ID, Status: http.StatusBadRequest, Message: "no", Times: 1})
	p.do(t, t.Context(), "delete-branches").counts(t, 1, 0, 1, 0)
	p.do(t, t.Context(), "delete-branches").counts(t, 1, 1, 0, 0)
}

// A string that cannot be had fails the tenant; the branch is complete, and the next run exports it.
func TestABranchWithoutItsConnectionString(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("shop")...)
	p.Fail(neontest.Fault{Route: "GET /projects/{project_id}/connection_uri", Status: http.StatusBadRequest,
		Message: "no"})
	o := p.do(t, t.Context(), "create-branches", "export-env=true", "pooled=true")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "the branch is there, but not its connection string")
	if got := p.exported(t); len(got) > 0 || o.outputs["branches"] != "[]" {
		t.Errorf("exported %d variables, output %s", len(got), o.outputs["branches"])
	}
	p.ClearFaults()
	p.do(t, t.Context(), "create-branches", "export-env=true", "pooled=true").counts(t, 0, 1, 0, 0)
	if got := p.exported(t); len(got) != 2 {
		t.Errorf("exported %d variables", len(got))
	}
}

// cancelled does a run that waits for Neon's operations until it is cancelled.
func (p *previews) cancelled(t *testing.T, mode string, inputs ...string) outcome {
	t.Helper()
	operations := "GET /projects/{project_id}/operations"
	p.ResetCalls()
	p.Fail(neontest.Fault{Route: operations, Delay: time.Minute})
	defer p.ClearFaults()
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for ctx.Err() == nil && p.Calls().ByRoute[operations] == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel(errors.New("interrupted"))
	}()
	o := p.do(t, ctx, mode, inputs...)
	cancel(nil)
	<-stopped
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "interrupted")
	if got := p.exported(t); len(got) > 0 || o.outputs["branches"] != "[]" {
		t.Errorf("exported %d variables, output %s", len(got), o.outputs["branches"])
	}
	return o
}

// A run that is cancelled while Neon makes a branch deletes it again. One that is cancelled during a reset or while an
// expiry is renewed leaves a whole branch, with which the next run goes on.
func TestACancelledRunLeavesNoHalfMadeBranch(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("shop")...)
	p.cancelled(t, "create-branches", "export-env=true")
	if got := p.branches(t, p.projects[0]); len(got) != 1 {
		t.Errorf("left %v", got)
	}
	p.do(t, t.Context(), "create-branches", "export-env=true").counts(t, 1, 0, 0, 0)
	url := p.exported(t)["DATABASE_URL"]
	pgtest.Do(t, url, "insert into t values ('preview')")

	o := p.cancelled(t, "reset-branches", "export-env=true")
	if d := detail[branch.Detail](t, o, "shop"); d.ID == "" || d.Change != "" {
		t.Errorf("detail %+v", d)
	}
	p.do(t, t.Context(), "reset-branches").counts(t, 1, 0, 0, 0)
	if got := values(t, url); got != "parent" {
		t.Errorf("reset, the branch has %s", got)
	}
	p.do(t, t.Context(), "delete-branches").counts(t, 1, 0, 0, 0)
}

// Two runs at once make one branch, whose string both have.
func TestTwoRunsMakeOneBranch(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{OperationTime: 2 * time.Second}, named("shop")...)
	if err := os.WriteFile(p.pull, []byte(`{"pull_request":{"number":7}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	// Both have looked before one of them asks.
	p.Fail(neontest.Fault{Route: "POST /projects/{project_id}/branches", Delay: 500 * time.Millisecond})
	outcomes := make([]outcome, 2)
	var both sync.WaitGroup
	for i := range outcomes {
		both.Go(func() {
			outcomes[i] = p.run(t, t.Context(), "mode=create-branches", "$GITHUB_EVENT_PATH="+p.pull)
			if busy := p.branches(t, p.projects[0])["preview/pr-7"]; busy.State != "ready" {
				t.Errorf("a run ended while the branch was in state %s", busy.State)
			}
		})
	}
	both.Wait()
	changes := map[string]int{}
	for _, o := range outcomes {
		if o.err != nil {
			t.Error(o.log)
		}
		changes[string(detail[branch.Detail](t, o, "shop").Change)]++
	}
	if got := p.branches(t, p.projects[0]); len(got) != 2 || changes["created"] != 1 || changes["unchanged"] != 1 {
		t.Errorf("branches %v, changes %v", got, changes)
	}
}

// What other branches have to do with an error is found out.
func TestRelativesOfABranch(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("shop")...)
	p.do(t, t.Context(), "create-branches", "branch-name=dev").counts(t, 1, 0, 0, 0)
	p.do(t, t.Context(), "create-branches", "branch-name=dev/child", "neon-branch=dev").counts(t, 1, 0, 0, 0)
	for _, mode := range []string{"reset-branches", "delete-branches"} {
		o := p.do(t, t.Context(), mode, "branch-name=dev")
		o.counts(t, 0, 0, 1, 0)
		o.says(t, `it has branches of its own: "dev/child"`,
			"delete those first, in Neon's console or with mode delete-branches")
	}
	// As after an undo, the branch comes from another one than the tenant.
	o := p.do(t, t.Context(), "reset-branches", "branch-name=dev/child")
	o.counts(t, 1, 0, 0, 0)
	o.says(t, `branch "dev/child" is not a child of the tenant's branch "main"; delete it with delete-branches`,
		"and it is created from there")
	p.do(t, t.Context(), "delete-branches", "branch-name=dev/child").counts(t, 1, 0, 0, 0)

	p.do(t, t.Context(), "create-branches", "branch-name=dev", "branch-expires-in=1d").counts(t, 0, 1, 0, 0)
	for _, dry := range []string{"dry-run=true", "dry-run=false"} {
		o = p.do(t, t.Context(), "create-branches", "branch-name=dev/child", "neon-branch=dev", dry)
		o.counts(t, 0, 0, 1, 0)
		o.says(t, `branch "dev", which it is to come from, expires, and so can have no branches`,
			"set neon-branch to a branch that does not expire")
		o = p.do(t, t.Context(), "create-branches", "branch-name=dev/child", "neon-branch=nope", dry)
		o.counts(t, 0, 0, 1, 0)
		o.says(t, `has no branch named "nope"`)
	}
}

// Tenants of a catalog have branches if they are Neon projects.
func TestBranchesOfACatalogsTenants(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("shop")...)
	catalog := pgtest.Database(t)
	pgtest.Do(t, catalog, `create table tenant (name text, url text, neon_project_id text);
		insert into tenant values ('shop', null, '`+p.projects[0].ID+`'),
			('elsewhere', 'postgresql://u:p@127.0.0.1:1/x', null)`)
	inputs := []string{"tenant-source=catalog", "database-url=" + catalog,
		"catalog-query=select name, url, neon_project_id from tenant", "branch-expires-in=1d"}
	o := p.do(t, t.Context(), "create-branches", inputs...)
	o.counts(t, 1, 0, 1, 0)
	p.do(t, t.Context(), "create-branches", inputs...).counts(t, 0, 1, 1, 0)
	p.do(t, t.Context(), "reset-branches", inputs...).counts(t, 1, 0, 1, 0)
	p.do(t, t.Context(), "delete-branches", inputs[:3]...).counts(t, 1, 0, 1, 0)
}
