package secretsync

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/mode"
)

const (
	putRoute = "PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}"
	keyRoute = "GET /repos/{owner}/{repo}/actions/secrets/public-key"
)

var inSimulator = githubtest.Scope{Repository: repository.Repository}

// hub is a GitHub with one repository, and what a run says of it.
type hub struct {
	*githubtest.Server
	client  *github.Client
	notices []string
	said    []string
}

func newHub(t *testing.T) *hub {
	t.Helper()
	server, err := githubtest.Start(githubtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	server.AddRepository(repository.Repository)
	return &hub{Server: server, client: clientOf(t, server, githubtest.DefaultToken)}
}

func clientOf(t *testing.T, server *githubtest.Server, token string) *github.Client {
	t.Helper()
	client, err := github.New(github.Options{BaseURL: server.URL, Token: token, UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (h *hub) env() mode.Env {
	return mode.Env{
		Notice: func(text string) { h.notices = append(h.notices, text) },
		Say:    func(text string) { h.said = append(h.said, text) },
	}
}

// writer is that of a run that begins now.
func (h *hub) writer(t *testing.T, ctx context.Context) *writer {
	t.Helper()
	state, err := loadState(ctx, h.client, repository, keyring, h.env())
	if err != nil {
		t.Fatal(err)
	}
	h.ResetCalls()
	return &writer{ctx: ctx, client: h.client, scope: repository, state: state}
}

func TestWritesAreSerialAndAskForTheKeyOnce(t *testing.T) {
	h := newHub(t)
	w := h.writer(t, t.Context())
	var jobs sync.WaitGroup
	for _, name := range []string{"A", "B", "C", "D", "E", "F"} {
		jobs.Go(func() {
			if err := w.put(name, "value of "+name); err != nil {
				t.Error(err)
			}
		})
	}
	jobs.Wait()
	calls := h.Calls()
	equal(t, "writes at once", calls.MostWritesAtOnce, 1)
	equal(t, "requests for the key", calls.ByRoute[keyRoute], 1)
	equal(t, "secrets written", calls.ByRoute[putRoute], 6)
	equal(t, "marks and secrets", calls.Writes, 7)
	equal(t, "written", w.journal().written(), []string{"A", "B", "C", "D", "E", "F"})
	equal(t, "B", h.Secrets(inSimulator)["B"], "value of B")
}

func TestATokenThatMayNotWriteIsRemembered(t *testing.T) {
	for _, status := range []int{401, 403} {
		h := newHub(t)
		h.Fail(githubtest.Fault{Route: "PUT *", Status: status})
		w := h.writer(t, t.Context())
		first := w.put("A", "v")
		if !github.IsStatus(first, status) || !strings.Contains(first.Error(), "write the secrets of repository acme/app") {
			t.Errorf("%d: got %v", status, first)
		}
		h.ClearFaults() // would let the next one pass
		if second := w.put("B", "v"); !errors.Is(second, first) {
			t.Errorf("%d: then got %v", status, second)
		}
		equal(t, "secrets written", h.Calls().ByRoute[putRoute], 1)
		equal(t, "written", w.journal().written(), nil)
	}
}

func TestOneSecretThatIsRefusedDoesNotStopTheNext(t *testing.T) {
	h := newHub(t)
	h.Fail(githubtest.Fault{Route: "PUT *", Status: 422, Times: 1})
	w := h.writer(t, t.Context())
	fails(t, w.put("A", "v"), "write the secret A: ", "")
	fails(t, w.put("B", "v"), "", "")
	equal(t, "written", w.journal().written(), []string{"B"})
}

func TestADryRunOnlyTakesNote(t *testing.T) {
	h := newHub(t)
	w := h.writer(t, t.Context())
	w.dryRun = true
	fails(t, w.put("A", "v"), "", "")
	fails(t, w.deleteAll([]string{"B", "C"}), "", "")
	done := w.journal()
	equal(t, "written", done.written(), []string{"A"})
	equal(t, "deleted", done.deleted, []string{"B", "C"})
	equal(t, "calls", h.Calls().Total, 0)
	fails(t, w.save(t.Context(), nil), "", "")
	equal(t, "calls", h.Calls().Total, 0)
}

func TestACancelledRunWritesNothingFurther(t *testing.T) {
	h := newHub(t)
	stopped := errors.New("stopped by a signal")
	ctx, cancel := context.WithCancelCause(t.Context())
	w := h.writer(t, ctx)
	fails(t, w.put("A", "v"), "", "")
	cancel(stopped)
	h.ResetCalls()
	if err := w.put("B", "v"); !errors.Is(err, stopped) || !strings.Contains(err.Error(), "write the secret B: ") {
		t.Errorf("got %v", err)
	}
	err := w.deleteAll([]string{"A", "C"})
	fails(t, err, "delete the secret C: ", "")
	if !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
	if err := w.save(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	equal(t, "calls", h.Calls().Total, 0)
	equal(t, "written", w.journal().written(), []string{"A"})
	equal(t, "deleted", w.journal().deleted, nil)
	equal(t, "notices", h.notices, nil)
}

func TestDeletingGoesOnAfterAFailure(t *testing.T) {
	h := newHub(t)
	for _, name := range []string{"A", "B", "C"} {
		h.SetSecret(inSimulator, name, "v", lastSync)
	}
	h.Fail(githubtest.Fault{Route: "DELETE *", Status: 403, After: 1, Times: 1})
	w := h.writer(t, t.Context())
	err := w.deleteAll([]string{"A", "B", "C"})
	if err == nil || !strings.Contains(err.Error(), "delete the secret B: ") || fleet.Remedy(err) == "" {
		t.Errorf("got %v with the remedy %q", err, fleet.Remedy(err))
	}
	equal(t, "left", slices.Collect(maps.Keys(h.Secrets(inSimulator))), []string{"B"})
	equal(t, "deleted", w.journal().deleted, []string{"A", "C"})
}

func TestWithoutAVariableSecretsAreWrittenAllTheSame(t *testing.T) {
	for status, notice := range map[int]string{
		403: "every run writes every secret, because what it writes cannot be remembered: ",
		418: "what this run writes is not remembered, and the next one writes it again: ",
	} {
		h := newHub(t)
		h.Fail(githubtest.Fault{Route: "POST *", Status: status})
		w := h.writer(t, t.Context())
		fails(t, w.put("A", "v"), "", "")
		fails(t, w.put("B", "v"), "", "")
		equal(t, "secrets", len(h.Secrets(inSimulator)), 2)
		equal(t, "tries to write the variable", h.Calls().ByRoute["POST /repos/{owner}/{repo}/actions/variables"], 1)
		fails(t, w.save(t.Context(), nil), "", "")
		if len(h.notices) != 1 || !strings.HasPrefix(h.notices[0], notice) || w.state.remembers() {
			t.Errorf("%d: notices: %q", status, h.notices)
		}
	}
}

// steps are a bundle that gains tenants, one that gives it some, and one that some leave who are gone.
func steps() []bundleStep {
	return []bundleStep{
		{bundle: 2, name: bundle2, value: "two", action: writeBundle},
		{bundle: 4, name: "NEON_TENANTS_BUNDLE_4", value: "four", action: keepBundle},
		{bundle: 5, name: "NEON_TENANTS_BUNDLE_5", action: deleteBundle, empty: true},
		{bundle: 1, name: bundle1, value: "one", action: writeBundle, gives: true},
		{bundle: 3, name: bundle3, value: "{}", action: writeBundle, empty: true, loses: true},
	}
}

func TestBundlesAreWrittenInOrder(t *testing.T) {
	h := newHub(t)
	old := map[string]string{
		bundle1: "old", bundle3: "old", "NEON_TENANTS_BUNDLE_4": "old", "NEON_TENANTS_BUNDLE_5": "old",
	}
	for name, value := range old {
		h.SetSecret(inSimulator, name, value, lastSync)
	}
	w := h.writer(t, t.Context())
	failed := w.writeBundles(steps())
	equal(t, "failures", len(failed), 0)
	old[bundle1], old[bundle2], old[bundle3] = "one", "two", "{}"
	equal(t, "secrets", h.Secrets(inSimulator), old)
	equal(t, "deleted", w.journal().deleted, nil)
}

func TestNobodyLeavesABundleBeforeTheOthersAreWritten(t *testing.T) {
	h := newHub(t)
	old := map[string]string{bundle1: "old", bundle3: "old", "NEON_TENANTS_BUNDLE_5": "old"}
	for name, value := range old {
		h.SetSecret(inSimulator, name, value, lastSync)
	}
	h.Fail(githubtest.Fault{Route: "PUT *", Status: 422, Times: 1})
	w := h.writer(t, t.Context())
	failed := w.writeBundles(steps())
	equal(t, "not written", slices.Sorted(maps.Keys(failed)), []int{1, 2, 3})
	fails(t, failed[1], "NEON_TENANTS_BUNDLE_1 is left as it is, because another bundle, to which its tenants may have "+
		"moved,", "")
	equal(t, "secrets", h.Secrets(inSimulator), old)
	past := packedBefore(map[int]bundle{1: small("acme")})
	p := &plan{situation: situation{listed: listedAt(lastSync, bundle1), past: past}}
	unreported := p.unreported(bundlePlan{
		steps: steps(), place: map[string]int{"acme": 1, "new": 2}, values: small("acme", "new"),
	}, failed)
	if errors.Is(unreported, failed[2]) || !errors.Is(unreported, failed[1]) || !errors.Is(unreported, failed[3]) {
		t.Errorf("besides what changed tenants tell, the run tells %v", unreported)
	}
}
