package action

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/mode/branch"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// previews is a fleet with a job for previews: its pull request, and its file of variables for later steps.
type previews struct {
	*organisation
	pull, env string
}

func newPreviews(t *testing.T, o neontest.Options, specs ...neontest.Spec) *previews {
	t.Helper()
	o.OperationTime = cmp.Or(o.OperationTime, 20*time.Millisecond)
	server, err := neontest.New(pgtest.Shared(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	projects, err := server.AddProjects(t.Context(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, p := range projects {
		pgtest.Do(t, p.URL, "create table t (v text); insert into t values ('parent')")
	}
	return &previews{
		&organisation{Server: server, projects: projects, workspace: dir}, filepath.Join(dir, "event.json"),
		filepath.Join(dir, "env"),
	}
}

// do runs a mode for pull request 7.
func (p *previews) do(t *testing.T, ctx context.Context, mode string, inputs ...string) outcome {
	t.Helper()
	if err := os.WriteFile(p.pull, []byte(`{"pull_request":{"number":7}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := p.run(t, ctx, append([]string{"mode=" + mode, "$GITHUB_EVENT_PATH=" + p.pull, "$GITHUB_ENV=" + p.env},
		inputs...)...)
	for line := range strings.Lines(o.log) {
		if strings.Contains(line, "npg_") && !strings.HasPrefix(line, "::add-mask::") {
			t.Errorf("the log shows %s", line)
		}
	}
	if strings.Contains(o.summary+o.reportText+o.outputs["branches"], "npg_") {
		t.Errorf("a secret shows in\n%s\n%s\n%s", o.summary, o.reportText, o.outputs["branches"])
	}
	return o
}

// branches are those of a project, as a fresh client sees them, by name.
func (p *previews) branches(t *testing.T, project neontest.Project) map[string]neon.Branch {
	t.Helper()
	all, err := neon.New(neon.Options{BaseURL: p.URL(), Key: neontest.OrgKey}).Branches(t.Context(), project.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]neon.Branch{}
	for _, b := range all {
		named[b.Name] = b
	}
	return named
}

// exported are the variables for later steps, of which the file is then empty.
func (p *previews) exported(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(p.env)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	variables := map[string]string{}
	lines := strings.Split(string(text), "\n")
	for i := 0; i+2 < len(lines); i += 3 {
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		if !ok || !strings.HasPrefix(delimiter, "ghadelimiter_") || lines[i+2] != delimiter {
			t.Fatalf("not GitHub's format:\n%s", text)
		}
		variables[name] = lines[i+1]
	}
	_ = os.Remove(p.env)
	return variables
}

// listed is the output branches.
func listed(t *testing.T, o outcome) (list []map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(o.outputs["branches"]), &list); err != nil {
		t.Fatalf("%v: %q\n%s", err, o.outputs["branches"], o.log)
	}
	return list
}

// portless is a connection string without its port, which depends on whether the simulator's proxy is needed.
func portless(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal("not a URL")
	}
	return u.User.String() + "@" + u.Hostname() + u.RequestURI()
}

func values(t *testing.T, url string) string {
	t.Helper()
	return pgtest.Ask(t, url, "select string_agg(v, ',' order by v) from t")[0]
}

// A pull request is opened, pushed to and closed.
func TestAPullRequestsBranchFromOpenToClose(t *testing.T) {
	t.Parallel()
	p := newPreviews(t, neontest.Options{}, named("Shop", "Staff")...)
	const name = "preview/pr-7"

	o := p.do(t, t.Context(), "create-branches", "dry-run=true", "export-env=true")
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "Shop  would be created", `branch "preview/pr-7": 2 would be created`)
	if _, made := p.branches(t, p.projects[0])[name]; made || len(p.exported(t)) > 0 {
		t.Fatal("a dry run made a branch, or exported it")
	}

	o = p.do(t, t.Context(), "create-branches", "export-env=true")
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "Shop  created", `branch "preview/pr-7": 2 created`, "cost what is written to them",
		"without branch-expires-in, they stay until mode delete-branches deletes them",
		"connection strings for later steps of this job: SHOP_DATABASE_URL, STAFF_DATABASE_URL")
	first := p.branches(t, p.projects[0])[name]
	variables := p.exported(t)
	if len(variables) != 2 || variables["STAFF_DATABASE_URL"] == "" {
		t.Fatalf("exported %d variables", len(variables))
	}
	url := variables["SHOP_DATABASE_URL"]
	if !strings.Contains(o.log, "::add-mask::"+strings.NewReplacer("%", "%25").Replace(url)+"\n") {
		t.Error("the connection string is not masked")
	}
	pgtest.Do(t, url, "insert into t values ('preview')")
	if got := values(t, p.projects[0].URL); got != "parent" {
		t.Errorf("the parent has %s", got)
	}
	want := []map[string]any{
		{"tenant": "Shop", "key": "shop", "name": name, "id": first.ID, "parent_id": p.projects[0].BranchID,
			"change": "created", "variable": "SHOP_DATABASE_URL"},
		{"tenant": "Staff", "key": "staff", "name": name, "id": p.branches(t, p.projects[1])[name].ID,
			"parent_id": p.projects[1].BranchID, "change": "created", "variable": "STAFF_DATABASE_URL"},
	}
	if diff := gocmp.Diff(want, listed(t, o)); diff != "" {
		t.Errorf("branches (-want +got):\n%s", diff)
	}
	if d := detail[branch.Detail](t, o, "Shop"); d.ID != first.ID || d.Change != "created" {
		t.Errorf("detail %+v", d)
	}

	// Once more: nothing is done, and its data is kept. A single tenant has DATABASE_URL too.
	o = p.do(t, t.Context(), "create-branches", "export-env=true", "tenants=Shop")
	o.counts(t, 0, 1, 0, 0)
	o.says(t, `branch "preview/pr-7": 1 unchanged`)
	variables = p.exported(t)
	if len(variables) != 2 || portless(t, variables["SHOP_DATABASE_URL"]) != portless(t, url) ||
		variables["DATABASE_URL"] != variables["SHOP_DATABASE_URL"] {
		t.Errorf("exported %d variables, or others", len(variables))
	}
	if got := values(t, url); got != "parent,preview" {
		t.Errorf("the branch has %s", got)
	}

	pgtest.Do(t, p.projects[0].URL, "insert into t values ('newer')")
	o = p.do(t, t.Context(), "reset-branches", "dry-run=true")
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "Shop  would be reset", `branch "preview/pr-7": 2 would be reset`)
	if got := values(t, url); got != "parent,preview" {
		t.Errorf("after a dry run the branch has %s", got)
	}
	o = p.do(t, t.Context(), "reset-branches", "export-env=true", "tenants=Shop")
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "Shop  reset", `branch "preview/pr-7": 1 reset`)
	if got := values(t, url); got != "newer,parent" {
		t.Errorf("after a reset the branch has %s", got)
	}
	if got := p.exported(t)["DATABASE_URL"]; portless(t, got) != portless(t, url) {
		t.Error("a reset changed the connection string")
	}

	o = p.do(t, t.Context(), "delete-branches", "dry-run=true")
	o.says(t, "Shop  would be deleted")
	if _, there := p.branches(t, p.projects[0])[name]; !there {
		t.Fatal("a dry run deleted it")
	}
	o = p.do(t, t.Context(), "delete-branches")
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "Shop  deleted")
	if got := listed(t, o); len(got) != 2 || got[0]["id"] != first.ID || got[0]["change"] != "deleted" {
		t.Errorf("branches %v", got)
	}
	o = p.do(t, t.Context(), "delete-branches")
	o.counts(t, 0, 2, 0, 0)
	o.says(t, "Shop  no such branch")
	if got := p.branches(t, p.projects[0]); len(got) != 1 || o.outputs["branches"] != "[]" {
		t.Errorf("left: %v, output %s", got, o.outputs["branches"])
	}
}

// protect protects a branch, as a person does in Neon's console.
func (p *previews) protect(t *testing.T, project neontest.Project, name string) {
	t.Helper()
	id := p.branches(t, project)[name].ID
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, p.URL()+"/projects/"+project.ID+"/branches/"+id,
		strings.NewReader(`{"branch":{"protected":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+neontest.OrgKey)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}
