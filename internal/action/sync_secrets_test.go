package action

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/mode/secretsync"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// hub is a GitHub of its own with one repository, and the fleet whose connection strings go there: tenants by their
// keys, as another repository's secrets would hold them, so that a test makes and changes them in no time.
type hub struct {
	*githubtest.Server
	scope   githubtest.Scope
	tenants map[string]string
	f       *organisation
}

func newHub(t *testing.T, keys ...string) *hub {
	t.Helper()
	server, err := githubtest.Start(githubtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	server.AddRepository("acme/app")
	h := &hub{server, githubtest.Scope{Repository: "acme/app"}, map[string]string{}, newFleet(t)}
	h.add(keys...)
	return h
}

func (h *hub) add(keys ...string) {
	for _, key := range keys {
		h.tenants[key] = connection(key, "1")
	}
}

// connection is about as long as Neon's are.
func connection(key, generation string) string {
	return fmt.Sprintf("postgresql://neondb_owner:npg_%s%s@ep-quiet-river-%s.us-east-1.aws.neon.tech/neondb"+
		"?sslmode=require&channel_binding=require", key, strings.Repeat("x", 8)+generation, key)
}

// numbered are keys for n tenants.
func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("customer-%04d", i)
	}
	return keys
}

// sync does one run, and checks that no connection string shows.
func (h *hub) sync(t *testing.T, inputs ...string) outcome {
	t.Helper()
	return h.syncWithin(t, t.Context(), inputs...)
}

func (h *hub) syncWithin(t *testing.T, ctx context.Context, inputs ...string) outcome {
	t.Helper()
	o := h.f.run(t, ctx, append([]string{
		"mode=sync-secrets", "tenant-source=secrets", "tenant-secrets=" + string(mustJSON(t, h.source(t))),
		"neon-api-key=" + neontest.OrgKey,
		"github-token=" + githubtest.DefaultToken, "$GITHUB_API_URL=" + h.URL, "$GITHUB_REPOSITORY=acme/app",
	}, inputs...)...)
	for line := range strings.Lines(o.log) {
		if strings.Contains(line, "npg_") && !strings.HasPrefix(line, "::add-mask::") {
			t.Errorf("the log shows %s", line)
		}
	}
	state, _ := h.Variable(h.scope, "NEON_TENANTS_STATE")
	for place, text := range map[string]string{"summary": o.summary, "report": o.reportText,
		"outputs": fmt.Sprint(o.outputs), "state": state} {
		if strings.Contains(text, "npg_") || strings.Contains(text, githubtest.DefaultToken) ||
			strings.Contains(text, neontest.OrgKey) {
			t.Errorf("the %s shows a secret", place)
		}
	}
	return o
}

// detail is the report's part about the run.
func syncRun(t *testing.T, o outcome) secretsync.Run {
	t.Helper()
	var d secretsync.Run
	if err := json.Unmarshal(o.report.Detail, &d); err != nil {
		t.Fatalf("%v\n%s", err, o.log)
	}
	return d
}

// holds checks that the repository's secrets are these.
func (h *hub) holds(t *testing.T, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, h.Secrets(h.scope)); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

// source is the input tenant-secrets: a bundle, in which one tenant may have no connection string.
func (h *hub) source(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"NEON_TENANTS_BUNDLE_1": string(mustJSON(t, h.tenants))}
}

// perTenant is what the secrets have to be.
func (h *hub) perTenant() map[string]string {
	want := map[string]string{}
	for key, value := range h.tenants {
		want[strings.ToUpper(strings.ReplaceAll(key, "-", "_"))+"_DATABASE_URL"] = value
	}
	return want
}

// bundled reads all bundles; a tenant in two of them is a mistake.
func (h *hub) bundled(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, value := range h.Secrets(h.scope) {
		if !strings.HasPrefix(name, "NEON_TENANTS_BUNDLE_") {
			continue
		}
		var members map[string]string
		if err := json.Unmarshal([]byte(value), &members); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for key, url := range members {
			if _, twice := all[key]; twice {
				t.Errorf("%s stands in two bundles", key)
			}
			all[key] = url
		}
	}
	return all
}

// unchangedRun checks that a further run writes nothing, and calls GitHub at most 4 times.
func (h *hub) unchangedRun(t *testing.T, inputs ...string) {
	t.Helper()
	h.ResetCalls()
	h.sync(t, inputs...).counts(t, 0, len(h.tenants), 0, 0)
	if c := h.Calls(); c.Writes != 0 || c.Total > 4 {
		t.Errorf("a run without a change took %d calls, %d of them writes: %v", c.Total, c.Writes, c.ByRoute)
	}
}

func TestSecretsPerTenant(t *testing.T) {
	t.Parallel()
	h := newHub(t, "acme-corp", "payroll-inc", "finance-co")
	h.SetSecret(h.scope, "NEON_API_KEY", "napi", time.Now())
	h.SetSecret(h.scope, "FINANCE_CO_DATABASE_URL", "by hand", time.Now().Add(-time.Hour))
	wantAll := func() {
		t.Helper()
		want := h.perTenant()
		want["NEON_API_KEY"] = "napi"
		h.holds(t, want)
	}

	o := h.sync(t, "dry-run=true")
	o.counts(t, 3, 0, 0, 0)
	o.says(t, "acme-corp  would be created", "finance-co  would be updated")
	if c := h.Calls(); c.Writes != 0 {
		t.Errorf("a dry run wrote %d times", c.Writes)
	}

	o = h.sync(t)
	o.counts(t, 3, 0, 0, 0)
	o.says(t, "acme-corp  created", "finance-co  updated",
		"repository acme/app, per-tenant: 2 created, 1 updated, 0 unchanged, 0 deleted", "queued from now on")
	wantAll()
	if d := detail[secretsync.Detail](t, o, "acme-corp"); d != (secretsync.Detail{Secret: "ACME_CORP_DATABASE_URL",
		Change: "created"}) {
		t.Errorf("detail: %+v", d)
	}
	h.unchangedRun(t)

	t.Log("a new password rewrites one secret")
	h.tenants["payroll-inc"] = connection("payroll-inc", "2")
	h.ResetCalls()
	o = h.sync(t)
	o.counts(t, 1, 2, 0, 0)
	o.says(t, "payroll-inc  updated")
	wantAll()
	if c := h.Calls(); c.ByRoute["PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}"] != 1 || c.Writes != 3 {
		t.Errorf("%d writes: %v", c.Writes, c.ByRoute)
	}

	t.Log("one that was deleted, and one that was changed by hand, are written again")
	h.DeleteSecret(h.scope, "ACME_CORP_DATABASE_URL")
	h.SetSecret(h.scope, "FINANCE_CO_DATABASE_URL", "by hand", time.Now().Add(time.Second))
	o = h.sync(t)
	o.counts(t, 2, 1, 0, 0)
	o.says(t, "acme-corp  created", "finance-co  updated")
	wantAll()
}

// Whatever becomes of the state, the secrets end up right, and the log says what happened.
func TestALostStateIsWrittenAgain(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	h := newHub(t, "acme-corp", "payroll-inc")
	h.sync(t).counts(t, 2, 0, 0, 0)
	state, _ := h.Variable(h.scope, "NEON_TENANTS_STATE")
	for name, test := range map[string]struct {
		spoil func()
		says  string
		more  string
	}{
		"lost": {func() { h.DeleteVariable(h.scope, "NEON_TENANTS_STATE") },
			"there is no variable NEON_TENANTS_STATE yet", "shard=1/1"},
		"edited": {func() { h.SetVariable(h.scope, "NEON_TENANTS_STATE", state[:len(state)-3]+"AAA") },
			"it was not written by a sync, or was changed since", "shard=1/1"},
		"foreign": {func() { h.SetVariable(h.scope, "NEON_TENANTS_STATE", `{"version":4}`) },
			"it was not written by a sync", "shard=1/1"},
		"another key": {func() {}, "it was written with another Neon API key", "neon-api-key=napi_another_key"},
	} {
		t.Run(name, func(t *testing.T) {
			h.sync(t)
			test.spoil()
			o := h.sync(t, test.more)
			o.counts(t, 2, 0, 0, 0)
			o.says(t, test.says, "acme-corp  updated")
			h.holds(t, h.perTenant())
		})
	}
}

func TestATokenThatMayLittle(t *testing.T) {
	t.Parallel()
	h := newHub(t, numbered(9)...)
	h.AddToken(githubtest.Token{Secret: "github_pat_no_variables",
		Permissions: map[string]string{"metadata": "read", "secrets": "write"}})
	h.AddToken(githubtest.Token{Secret: "github_pat_reader",
		Permissions: map[string]string{"metadata": "read", "secrets": "read", "actions_variables": "write"}})

	o := h.sync(t, "github-token="+githubtest.JobToken)
	o.says(t, "list the secrets of repository acme/app", "GITHUB_TOKEN, which has no access to secrets",
		`give it "Variables: write" too`) // or the next run would ask for that
	if o.err == nil || h.Calls().Total != 1 {
		t.Errorf("%v after %d calls", o.err, h.Calls().Total)
	}
	o = h.sync(t, "github-token=github_pat_reader")
	o.counts(t, 0, 0, 9, 0)
	o.says(t, "secrets=write", `"Secrets: write"`)
	if c := h.Calls(); c.ByRoute["PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}"] > 4 {
		t.Errorf("a token that may not write tried for every tenant: %v", c.ByRoute)
	}
	for range 2 {
		o = h.sync(t, "github-token=github_pat_no_variables")
		o.counts(t, 9, 0, 0, 0)
		o.says(t, "every run writes every secret, because what it writes cannot be remembered",
			`use one with the permission "Variables: write" (a classic`, "works without that")
		if strings.Contains(o.log, "Variables: read") {
			t.Error("the log asks for less than the next run needs")
		}
	}
	h.holds(t, h.perTenant())
}

// An archived repository's secrets are listed and cannot be written: no permission helps, and one refusal is enough.
func TestAnArchivedRepository(t *testing.T) {
	t.Parallel()
	h := newHub(t, numbered(5)...)
	h.Archive("acme/app")
	o := h.sync(t)
	o.counts(t, 0, 0, 5, 0)
	o.says(t, "Repository was archived so is read-only.", "unarchive it in its settings")
	if strings.Contains(o.log, "Secrets: write") || strings.Contains(o.log, "Variables: write") {
		t.Errorf("the log asks for a permission:\n%s", o.log)
	}
}

func TestSyncMistakes(t *testing.T) {
	t.Parallel()
	h := newHub(t, "acme-corp")
	if err := os.WriteFile(filepath.Join(h.f.workspace, "w.yml"), []byte("env:\n  A: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		inputs []string
		says   []string
	}{
		"no token":       {[]string{"github-token="}, []string{"github-token: is required", "GITHUB_TOKEN has no access"}},
		"a broken token": {[]string{"github-token=a b"}, []string{"github-token: "}},
		"scope": {[]string{"secrets-scope=team"},
			[]string{"secrets-scope: ", "repository, environment, organization"}},
		"no environment": {[]string{"secrets-scope=environment"}, []string{"github-environment: is required"}},
		"two scopes": {[]string{"github-environment=production", "github-organization=acme"},
			[]string{"github-environment: is for", "github-organization: is for"}},
		"no organization": {[]string{"secrets-scope=organization"}, []string{"github-organization: is required"}},
		"repository":      {[]string{"repository=app"}, []string{`repository: "app" is not a repository`}},
		"its repository": {[]string{"secrets-scope=environment", "github-environment=prod", "repository=app"},
			[]string{`repository: "app" is not a repository`}},
		"no repository": {[]string{"$GITHUB_REPOSITORY="}, []string{"repository: is empty"}},
		"template":      {[]string{"secret-name=URL"}, []string{"secret-name: "}},
		"layout":        {[]string{"secret-layout=json"}, []string{"secret-layout: "}},
		"pooled": {[]string{"pooled=true"},
			[]string{"pooled: this source knows no pooled connection strings; leave it out, or use tenant-source: neon"}},
		"shards":     {[]string{"secret-layout=bundle", "shard=1/2"}, []string{"shard: a bundle is written as a whole"}},
		"waves":      {[]string{"secret-layout=bundle", "waves=1"}, []string{"waves: a bundle is written as a whole"}},
		"prune":      {[]string{"max-prune=-1"}, []string{"max-prune: "}},
		"no file":    {[]string{"workflow-file=none.yml"}, []string{"workflow-file: ", "actions/checkout"}},
		"no markers": {[]string{"workflow-file=w.yml"}, []string{"workflow-file: ", "env:%0A  # neon-tenants:begin%0A"}},
	} {
		o := h.sync(t, test.inputs...)
		for _, text := range test.says {
			if !strings.Contains(o.log, text) {
				t.Errorf("%s: the log does not say %q:\n%s", name, text, o.log)
			}
		}
		if o.err == nil || h.Calls().Total != 0 {
			t.Errorf("%s: %v after %d calls", name, o.err, h.Calls().Total)
		}
	}
}

// A name that GitHub refuses gets an underscore, one that is too long fails its tenant only, and a limit is checked
// before the first write.
func TestSecretsThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newHub(t, "7-eleven", "acme-corp", "github-fans")
	long := strings.Repeat("long-", 60)
	h.add(long + "1")
	o := h.sync(t)
	o.counts(t, 3, 0, 1, 0)
	o.says(t, "secret-name {TENANT}_DATABASE_URL: the secret name LONG_LONG", "set tenant-key: id, or rename the tenant")
	if got := slices.Sorted(maps.Keys(h.Secrets(h.scope))); !slices.Equal(got,
		[]string{"ACME_CORP_DATABASE_URL", "_7_ELEVEN_DATABASE_URL", "_GITHUB_FANS_DATABASE_URL"}) {
		t.Errorf("secrets: %v", got)
	}
	delete(h.tenants, long+"1")
	h.sync(t).counts(t, 0, 3, 0, 0)
	h = newHub(t, "7-eleven", "acme-corp", "github-fans")
	h.sync(t, "secret-name=db_{TENANT}").counts(t, 3, 0, 0, 0)
	if got := slices.Sorted(maps.Keys(h.Secrets(h.scope))); !slices.Equal(got,
		[]string{"DB_7_ELEVEN", "DB_ACME_CORP", "DB_GITHUB_FANS"}) {
		t.Errorf("secrets: %v", got)
	}
	h = newHub(t, numbered(100)...)
	h.SetSecret(h.scope, "OTHER", "x", time.Now())
	o = h.sync(t)
	o.says(t, "repository acme/app would have 101 secrets, and GitHub allows 100", "secret-layout: bundle")
	if o.err == nil || len(h.Secrets(h.scope)) != 1 || h.Calls().Writes != 0 {
		t.Errorf("%v, and there are %d secrets", o.err, len(h.Secrets(h.scope)))
	}
}

func TestSecretsOfEnvironmentsAndOrganizations(t *testing.T) {
	t.Parallel()
	h := newHub(t, "acme-corp")
	h.AddEnvironment("acme/app", "prod/eu")
	h.AddOrganization("acme")
	h.scope.Environment = "prod/eu"
	h.sync(t, "secrets-scope=environment", "github-environment=prod/eu").counts(t, 1, 0, 0, 0)
	h.holds(t, h.perTenant())
	h.unchangedRun(t, "secrets-scope=environment", "github-environment=prod/eu")

	h.scope = githubtest.Scope{Organization: "acme"}
	h.sync(t, "secrets-scope=organization", "github-organization=acme", "secrets-visibility=all",
		"$GITHUB_REPOSITORY=").counts(t, 1, 0, 0, 0)
	h.holds(t, h.perTenant())
	if visibility, _ := h.Audience("acme", "ACME_CORP_DATABASE_URL"); visibility != "all" {
		t.Errorf("visibility %s", visibility)
	}
	h.Select("acme", "ACME_CORP_DATABASE_URL", "acme/app")
	h.tenants["acme-corp"] = connection("acme-corp", "2")
	h.sync(t, "secrets-scope=organization", "github-organization=acme", "secrets-visibility=all").counts(t, 1, 0, 0, 0)
	if visibility, repositories := h.Audience("acme", "ACME_CORP_DATABASE_URL"); visibility != "selected" ||
		!slices.Equal(repositories, []string{"acme/app"}) {
		t.Errorf("visibility %s for %v", visibility, repositories)
	}
	if o := h.sync(t, "secrets-scope=environment", "github-environment=nowhere"); o.err == nil ||
		!strings.Contains(o.log, "which has to exist") {
		t.Errorf("an environment that does not exist: %v\n%s", o.err, o.log)
	}
}
