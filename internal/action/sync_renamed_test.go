package action

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

const variableRoute = "PATCH /repos/{owner}/{repo}/actions/variables/{name}"

// rename gives a tenant another key, under which it is found from now on.
func (h *hub) rename(from, to string) {
	h.tenants[to] = h.tenants[from]
	delete(h.tenants, from)
}

// A renamed tenant's former secret is its only one until the new one is written: whatever goes wrong before, nothing is
// pruned, and the log and the report say so. The next run makes it good.
func TestNothingIsPrunedWhileAnySecretIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  githubtest.Fault
		spoil  string // a tenant whose connection string is none in this run
		inputs []string
		why    string
	}{
		"its new secret is refused": {fault: githubtest.Fault{Route: "PUT *ZENITH*", Status: 422},
			why: "1 tenant's secret was not written"},
		"another tenant's is refused": {fault: githubtest.Fault{Route: "PUT *GLOBEX*", Status: 422},
			why: "1 tenant's secret was not written"},
		"all writes are forbidden": {fault: githubtest.Fault{Route: "PUT *", Status: 403},
			why: "2 tenants' secrets were not written"},
		"it cannot be read": {spoil: "zenith", why: "1 tenant's secret was not written"},
		"it is not started": {spoil: "globex", inputs: []string{"max-failures=0", "concurrency=1"},
			why: "3 tenants' secrets were not written"},
		"the state cannot be marked": {fault: githubtest.Fault{Route: variableRoute, Status: 403},
			why: "what is written cannot be remembered"},
		"the state cannot be saved": {fault: githubtest.Fault{Route: variableRoute, Status: 422, After: 1},
			why: "what was written could not be remembered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, "acme", "globex", "initech")
			inputs := append([]string{"prune-secrets=true"}, c.inputs...)
			h.sync(t, inputs...).counts(t, 3, 0, 0, 0)
			h.rename("acme", "zenith")
			h.tenants["globex"] = connection("globex", "2")
			good := maps.Clone(h.tenants)
			if c.spoil != "" {
				h.tenants[c.spoil] = "not a URL"
			}
			if c.fault.Route != "" {
				h.Fail(c.fault)
			}
			o := h.sync(t, inputs...)
			o.says(t, "nothing was pruned, because "+c.why+": ACME_DATABASE_URL")
			if d := syncRun(t, o); !slices.Equal(d.LeftOver, []string{"ACME_DATABASE_URL"}) || len(d.Deleted) > 0 {
				t.Errorf("the report says %+v", d)
			}
			if h.Secrets(h.scope)["ACME_DATABASE_URL"] != connection("acme", "1") {
				t.Error("the former secret is gone")
			}
			h.ClearFaults()
			h.tenants = good
			h.sync(t, inputs...)
			h.holds(t, h.perTenant())
		})
	}
}

// The same holds for members of bundles, and for bundles as a whole.
func TestNobodyLeavesABundleWhileAnySecretIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(h *hub){
		"it is refused":                func(h *hub) { h.Fail(githubtest.Fault{Route: "PUT *", Status: 422}) },
		"the new one cannot be read":   func(h *hub) { h.tenants["zenith"] = "not a URL" },
		"another one cannot be read":   func(h *hub) { h.tenants["customer-0299"] = "not a URL" },
		"the other bundle is refused":  func(h *hub) { h.Fail(githubtest.Fault{Route: "PUT *", Status: 422, Times: 1}) },
		"the last of them are refused": func(h *hub) { h.Fail(githubtest.Fault{Route: "PUT *", Status: 422, After: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, numbered(300)...)
			h.sync(t, "secret-layout=bundle", "prune-secrets=true").counts(t, 300, 0, 0, 0)
			former := h.tenants["customer-0000"]
			h.rename("customer-0000", "zenith")
			h.rename("customer-0298", "zodiac")
			good := maps.Clone(h.tenants)
			spoil(h)
			o := h.sync(t, "secret-layout=bundle", "prune-secrets=true")
			if o.err == nil {
				t.Error("the run succeeded")
			}
			held := slices.Collect(maps.Values(h.bundled(t)))
			for key, value := range good {
				if !slices.Contains(held, value) {
					t.Errorf("the connection string of %s is in no bundle", key)
				}
			}
			if !slices.Contains(held, former) {
				t.Error("the former member is gone")
			}
			h.ClearFaults()
			h.tenants = good
			h.sync(t, "secret-layout=bundle", "prune-secrets=true")
			h.holdsBundled(t)
			h.sync(t, "secret-layout=bundle", "prune-secrets=true") // in fewer bundles
			h.holdsBundled(t)
			h.unchangedRun(t, "secret-layout=bundle", "prune-secrets=true")
		})
	}
}

// A secret is deleted after the state that tells it from others' is saved, and the state is saved again after it.
func TestSecretsAreDeletedLast(t *testing.T) {
	t.Parallel()
	h := newHub(t, "acme", "globex")
	h.sync(t).counts(t, 2, 0, 0, 0)
	h.rename("acme", "zenith")
	saved := false
	h.Fail(githubtest.Fault{Route: variableRoute, After: 1, Times: 1, Do: func() { saved = true }})
	h.Fail(githubtest.Fault{Route: "DELETE *", Do: func() {
		if _, there := h.Secrets(h.scope)["ZENITH_DATABASE_URL"]; !there || !saved {
			t.Errorf("deleted too early: the new secret is there: %t, the state is saved: %t", there, saved)
		}
	}})
	h.sync(t, "prune-secrets=true").counts(t, 1, 1, 0, 0)
	h.holds(t, h.perTenant())
	h.unchangedRun(t, "prune-secrets=true")
}

// Another sync at work may have found other tenants, and written what this one is about to delete.
func TestNothingIsPrunedBesideAnotherSync(t *testing.T) {
	t.Parallel()
	h := newHub(t, "acme", "globex")
	h.sync(t).counts(t, 2, 0, 0, 0)
	h.rename("acme", "zenith")
	other := maps.Clone(h.tenants)
	other["acme"] = connection("acme", "3")
	h.Fail(githubtest.Fault{Route: "PUT *", Times: 1, Do: func() {
		h.sync(t, "tenant-secrets="+string(mustJSON(t, other)))
	}})
	o := h.sync(t, "prune-secrets=true")
	o.says(t, "nothing was pruned, because another sync ran at the same time: ACME_DATABASE_URL")
	if got := h.Secrets(h.scope)["ACME_DATABASE_URL"]; got != other["acme"] {
		t.Errorf("the other sync's secret is %q", got)
	}
}

// A run that is cancelled after its last write deletes nothing.
func TestACancelledSyncPrunesNothing(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	h := newHub(t, "acme", "globex")
	h.sync(t).counts(t, 2, 0, 0, 0)
	h.rename("acme", "zenith")
	ctx, cancel := context.WithCancel(t.Context())
	h.Fail(githubtest.Fault{Route: variableRoute, After: 1, Times: 1, Do: cancel, Status: 422})
	h.syncWithin(t, ctx, "prune-secrets=true")
	if _, there := h.Secrets(h.scope)["ACME_DATABASE_URL"]; !there {
		t.Error("a cancelled run deleted a secret")
	}
	h.ClearFaults()
	h.sync(t, "prune-secrets=true")
	h.holds(t, h.perTenant())
}

// The rules are the same wherever the secrets are kept.
func TestRenamedInEveryScope(t *testing.T) {
	t.Parallel()
	for name, scope := range map[string]struct {
		scope  githubtest.Scope
		inputs []string
	}{
		"environment": {githubtest.Scope{Repository: "acme/app", Environment: "prod"},
			[]string{"secrets-scope=environment", "github-environment=prod"}},
		"organization": {githubtest.Scope{Organization: "acme"},
			[]string{"secrets-scope=organization", "github-organization=acme", "secrets-visibility=all"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, "acme", "globex")
			h.AddEnvironment("acme/app", "prod")
			h.AddOrganization("acme")
			h.scope = scope.scope
			inputs := append(scope.inputs, "prune-secrets=true")
			h.sync(t, inputs...).counts(t, 2, 0, 0, 0)
			h.rename("acme", "zenith")
			h.Fail(githubtest.Fault{Route: "PUT *", Status: 422, Times: 1})
			o := h.sync(t, inputs...)
			o.counts(t, 0, 1, 1, 0)
			o.says(t, "nothing was pruned, because 1 tenant's secret was not written: ACME_DATABASE_URL")
			h.sync(t, inputs...).counts(t, 1, 1, 0, 0)
			h.holds(t, h.perTenant())
		})
	}
}
