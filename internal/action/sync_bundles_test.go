package action

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/mode/secretsync"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// holdsBundled checks that the bundles hold the tenants and nobody else.
func (h *hub) holdsBundled(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(h.tenants, h.bundled(t)); diff != "" {
		t.Errorf("bundled (-want +got):\n%s", diff)
	}
}

func TestAThousandTenantsInBundles(t *testing.T) {
	t.Parallel()
	h := newHub(t, numbered(1000)...)
	o := h.sync(t, "secret-layout=bundle")
	o.counts(t, 1000, 0, 0, 0)
	o.says(t, "repository acme/app, bundle: 1000 created, 0 updated, 0 unchanged, 0 deleted")
	h.holdsBundled(t)
	if c := h.Calls(); c.Writes > 8 {
		t.Errorf("1,000 tenants took %d writes: %v", c.Writes, c.ByRoute)
	} else {
		t.Logf("1,000 tenants: %d calls, %d of them writes, %d secrets", c.Total, c.Writes, len(h.Secrets(h.scope)))
	}
	if d := detail[secretsync.Detail](t, o, "customer-0000"); d != (secretsync.Detail{Secret: "NEON_TENANTS_BUNDLE_1",
		Change: "created"}) {
		t.Errorf("detail: %+v", d)
	}
	h.unchangedRun(t, "secret-layout=bundle")

	t.Log("a new password and a new tenant rewrite a bundle each")
	h.tenants["customer-0500"] = connection("customer-0500", "2")
	h.add("newcomer")
	h.ResetCalls()
	o = h.sync(t, "secret-layout=bundle")
	o.counts(t, 2, 999, 0, 0)
	o.says(t, "1 created, 1 updated, 999 unchanged")
	h.holdsBundled(t)
	if c := h.Calls(); c.ByRoute["PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}"] > 2 {
		t.Errorf("two changes took %d writes: %v", c.Writes, c.ByRoute)
	}

	t.Log("what was synced is a source: with no Neon key at all")
	given := map[string]string{"github_token": "ghs_0123456789"}
	for name, value := range h.Secrets(h.scope) {
		given[name] = value
	}
	h.add("beside")
	given["BESIDE_DATABASE_URL"] = h.tenants["beside"]
	o = h.f.run(t, t.Context(), "mode=sync-secrets", "tenant-source=secrets", "tenant-secrets="+string(mustJSON(t, given)),
		"neon-api-key=", "secret-layout=bundle",
		"github-token="+githubtest.DefaultToken, "$GITHUB_API_URL="+h.URL, "$GITHUB_REPOSITORY=acme/app", "dry-run=true")
	o.counts(t, 1002, 0, 0, 0)
	o.says(t, "found 1002 tenants", "it was written with another Neon API key or, without one, another GitHub token")
}

func TestBundlesThatPeopleTouch(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	h := newHub(t, numbered(300)...)
	h.sync(t, "secret-layout=bundle", "dry-run=true").says(t, "300 created")
	if n := len(h.Secrets(h.scope)); n != 0 {
		t.Errorf("a dry run left %d secrets", n)
	}
	h.sync(t, "secret-layout=bundle").counts(t, 300, 0, 0, 0)
	h.DeleteSecret(h.scope, "NEON_TENANTS_BUNDLE_2")
	o := h.sync(t, "secret-layout=bundle")
	h.holdsBundled(t)
	if d := syncRun(t, o); d.Created == 0 || d.Unchanged == 0 || d.Created+d.Unchanged != 300 {
		t.Errorf("one of two bundles was deleted: %+v", d)
	}
	h.SetSecret(h.scope, "NEON_TENANTS_BUNDLE_1", "{}", time.Now().Add(time.Second))
	o = h.sync(t, "secret-layout=bundle")
	h.holdsBundled(t)
	if d := syncRun(t, o); d.Updated == 0 || d.Unchanged == 0 {
		t.Errorf("one of two bundles was changed: %+v", d)
	}
	h.DeleteVariable(h.scope, "NEON_TENANTS_STATE")
	h.sync(t, "secret-layout=bundle").counts(t, 300, 0, 0, 0)
	h.holdsBundled(t)
	h.unchangedRun(t, "secret-layout=bundle")
}

// A run over a part of the tenants adds to the bundles, and takes from none: it does not know the others' connection
// strings.
func TestAPartOfTheTenantsLosesNoOther(t *testing.T) {
	t.Parallel()
	h := newHub(t, numbered(5)...)
	h.sync(t, "secret-layout=bundle").counts(t, 5, 0, 0, 0)
	before := h.bundled(t)

	t.Log("a new tenant goes into a bundle of its own")
	h.add("newcomer")
	h.sync(t, "secret-layout=bundle", "tenants=newcomer").counts(t, 1, 0, 0, 0)
	h.holdsBundled(t)

	t.Log("one that is in a bundle with others fails, and says why")
	h.tenants["customer-0001"] = connection("customer-0001", "2")
	o := h.sync(t, "secret-layout=bundle", "tenants=customer-0001", "prune-secrets=true")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "NEON_TENANTS_BUNDLE_1 is left as it is", "over all tenants", "nothing was pruned")
	if h.bundled(t)["customer-0001"] != before["customer-0001"] {
		t.Error("the bundle was written")
	}

	t.Log("without the state a part is refused before anything is written")
	h.DeleteVariable(h.scope, "NEON_TENANTS_STATE")
	if o := h.sync(t, "secret-layout=bundle", "tenants=customer-*"); o.err == nil ||
		!strings.Contains(o.log, "a run over only some of the tenants could lose others") {
		t.Errorf("%v\n%s", o.err, o.log)
	}
	o = h.sync(t, "secret-layout=bundle")
	o.says(t, "NEON_TENANTS_BUNDLE_2")
	for key, value := range h.tenants {
		if !strings.Contains(h.Secrets(h.scope)["NEON_TENANTS_BUNDLE_1"], value) {
			t.Errorf("%s is not in its bundle", key)
		}
	}
}

// A tenant that fails keeps its connection string: its bundle stays as it is, and its neighbours' changes wait.
func TestATenantThatFailsStaysInItsBundle(t *testing.T) {
	t.Parallel()
	h := newHub(t, numbered(4)...)
	h.sync(t, "secret-layout=bundle").counts(t, 4, 0, 0, 0)
	before := h.bundled(t)
	h.tenants["customer-0000"] = "not a URL"
	h.tenants["customer-0001"] = connection("customer-0001", "2")
	o := h.sync(t, "secret-layout=bundle")
	o.counts(t, 0, 2, 2, 0)
	o.says(t, "not a Postgres URL", "also holds a tenant whose connection string this run does not have")
	if diff := cmp.Diff(before, h.bundled(t)); diff != "" {
		t.Errorf("bundles (-before +after):\n%s", diff)
	}
	h.tenants["customer-0000"] = connection("customer-0000", "2")
	h.sync(t, "secret-layout=bundle").counts(t, 2, 2, 0, 0)
	h.holdsBundled(t)
}

// If no bundle could be written, the workflow file goes on listing those that exist.
func TestTheWorkflowFileStaysIfNoBundleIsWritten(t *testing.T) {
	t.Parallel()
	h := newHub(t, numbered(2)...)
	path := filepath.Join(h.f.workspace, "migrate.yml")
	if err := os.WriteFile(path, []byte("env:\n  # neon-tenants:begin\n  # neon-tenants:end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.sync(t, "secret-layout=bundle", "workflow-file=migrate.yml").says(t, "migrate.yml was rewritten: 1 added")
	h.DeleteVariable(h.scope, "NEON_TENANTS_STATE")
	h.tenants["customer-0000"] = "not a URL"
	h.sync(t, "secret-layout=bundle", "workflow-file=migrate.yml").
		says(t, "migrate.yml is left as it is: no bundle was written")
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "secrets.NEON_TENANTS_BUNDLE_1") {
		t.Errorf("%v, the file is\n%s", err, text)
	}
}
