package action

import (
	"context"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestPruning(t *testing.T) {
	t.Parallel()
	h := newHub(t, numbered(4)...)
	h.SetSecret(h.scope, "PROD_DATABASE_URL", "somebody's", time.Now())
	h.sync(t).counts(t, 4, 0, 0, 0)
	delete(h.tenants, "customer-0003")
	want := h.perTenant()
	want["PROD_DATABASE_URL"] = "somebody's"
	kept := maps.Clone(want)
	kept["CUSTOMER_0003_DATABASE_URL"] = connection("customer-0003", "1")

	for _, inputs := range [][]string{
		nil,                    // nobody asked for it
		{"tenants=customer-*"}, // a filter, although it leaves nobody out
		{"shard=1/1", "tenants=customer-000[0-2]"},
		{"waves=50%"},
		{"dry-run=true"},
		{"max-prune=0"},
	} {
		if inputs != nil {
			inputs = append(inputs, "prune-secrets=true")
		}
		h.ResetCalls()
		o := h.sync(t, inputs...)
		h.holds(t, kept)
		if h.Calls().Writes != 0 {
			t.Errorf("%v: %d writes", inputs, h.Calls().Writes)
		}
		switch {
		case inputs == nil:
			o.says(t, "no longer needed (prune-secrets: true deletes what earlier syncs wrote): CUSTOMER_0003_DATABASE_URL")
		case inputs[0] == "dry-run=true":
			o.says(t, "would be deleted, no longer needed: CUSTOMER_0003_DATABASE_URL")
		case inputs[0] == "max-prune=0":
			o.says(t, "max-prune is 0: nothing is written or deleted: CUSTOMER_0003_DATABASE_URL", "max-prune: 1 for one run")
		case inputs[0] == "waves=50%":
			o.says(t, "nothing was pruned, because 1 tenant's secret was not written: CUSTOMER_0003_DATABASE_URL")
		default:
			o.says(t, "nothing was pruned: that takes a complete discovery")
		}
	}

	o := h.sync(t, "prune-secrets=true")
	o.counts(t, 0, 3, 0, 0)
	o.says(t, "1 deleted", "deleted, no longer needed: CUSTOMER_0003_DATABASE_URL", "left alone: PROD_DATABASE_URL")
	h.holds(t, want)
	if d := syncRun(t, o); !slices.Equal(d.Deleted, []string{"CUSTOMER_0003_DATABASE_URL"}) ||
		!slices.Equal(d.LeftAlone, []string{"PROD_DATABASE_URL"}) {
		t.Errorf("the report says %+v", d)
	}
	h.unchangedRun(t, "prune-secrets=true")
}

// Another organization's tenants, under the same key or with the state lost, cost nobody a secret.
func TestAWrongOrganizationDeletesNothing(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	h := newHub(t, numbered(3)...)
	h.sync(t).counts(t, 3, 0, 0, 0)
	want := h.perTenant()
	right := h.tenants
	h.tenants = map[string]string{"stranger": connection("stranger", "1")}
	h.ResetCalls()
	o := h.sync(t, "prune-secrets=true")
	o.says(t, "found 1 tenant, but none that earlier syncs wrote to repository acme/app", "neon-org-id")
	h.holds(t, want)
	if o.err == nil || h.Calls().Writes != 0 {
		t.Errorf("%v after %d writes", o.err, h.Calls().Writes)
	}

	t.Log("without a state nothing is known to be a sync's")
	h.DeleteVariable(h.scope, "NEON_TENANTS_STATE")
	o = h.sync(t, "prune-secrets=true")
	o.says(t, "it is not known what earlier syncs wrote",
		"left alone: CUSTOMER_0000_DATABASE_URL, CUSTOMER_0001_DATABASE_URL, CUSTOMER_0002_DATABASE_URL")
	want["STRANGER_DATABASE_URL"] = connection("stranger", "1")
	h.holds(t, want)

	t.Log("bundles of the right ones are left as they are, whether pruning is asked for or not")
	h = newHub(t)
	h.tenants = right
	h.sync(t, "secret-layout=bundle").counts(t, 3, 0, 0, 0)
	before := h.Secrets(h.scope)["NEON_TENANTS_BUNDLE_1"]
	h.tenants = map[string]string{"stranger": connection("stranger", "1")}
	for _, prune := range []string{"true", "false"} {
		h.sync(t, "secret-layout=bundle", "prune-secrets="+prune)
		if h.Secrets(h.scope)["NEON_TENANTS_BUNDLE_1"] != before {
			t.Errorf("prune-secrets=%s: the bundle was written", prune)
		}
	}
}

func TestPruningBundles(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	h := newHub(t, numbered(300)...)
	h.sync(t, "secret-layout=bundle").counts(t, 300, 0, 0, 0)
	all := maps.Clone(h.tenants)
	delete(h.tenants, "customer-0000")

	t.Log("nobody asked for it: the bundle stays, and is said to hold one too many")
	h.ResetCalls()
	o := h.sync(t, "secret-layout=bundle")
	o.counts(t, 0, 299, 0, 0)
	o.says(t, "left in bundles: 1 connection string that belongs to no tenant found")
	if diff := cmp.Diff(all, h.bundled(t)); diff != "" || h.Calls().Writes != 0 {
		t.Errorf("%d writes, bundled:\n%s", h.Calls().Writes, diff)
	}
	o = h.sync(t, "secret-layout=bundle", "prune-secrets=true")
	o.counts(t, 0, 299, 0, 0)
	o.says(t, "dropped from bundles: 1 tenant that is gone")
	h.holdsBundled(t)
	h.unchangedRun(t, "secret-layout=bundle", "prune-secrets=true")

	t.Log("a much smaller fleet: more than max-prune are gone, and with leave for it the second bundle goes")
	maps.DeleteFunc(h.tenants, func(key, _ string) bool { return key > "customer-0100" })
	h.sync(t, "secret-layout=bundle", "prune-secrets=true").says(t, "max-prune is 10", "max-prune: 199 for one run")
	o = h.sync(t, "secret-layout=bundle", "prune-secrets=true", "max-prune=199")
	h.holdsBundled(t)
	if d := syncRun(t, o); !slices.Equal(d.Deleted, []string{"NEON_TENANTS_BUNDLE_2"}) || d.LeftOut != 199 {
		t.Errorf("the report says %+v", d)
	}

	t.Log("from a secret each to bundles: nothing is deleted before the bundle is there, and no tenant's that exists")
	h = newHub(t, numbered(4)...)
	h.sync(t).counts(t, 4, 0, 0, 0)
	before := h.perTenant()
	delete(h.tenants, "customer-0003")
	h.Fail(githubtest.Fault{Route: "PUT *", Status: 422, Times: 1})
	o = h.sync(t, "secret-layout=bundle", "prune-secrets=true")
	o.counts(t, 0, 0, 3, 0)
	o.says(t, "nothing was pruned, because 3 tenants' secrets were not written: CUSTOMER_0003_DATABASE_URL\n")
	h.holds(t, before)
	o = h.sync(t, "secret-layout=bundle", "prune-secrets=true")
	o.counts(t, 3, 0, 0, 0)
	o.says(t, "deleted, no longer needed: CUSTOMER_0003_DATABASE_URL\n", "no longer needed by this layout, and no longer "+
		"updated; delete them yourself once nothing reads them: CUSTOMER_0000_DATABASE_URL, CUSTOMER_0001_DATABASE_URL")
	h.holdsBundled(t)
	if n := len(h.Secrets(h.scope)); n != 4 {
		t.Errorf("there are %d secrets", n)
	}

	t.Log("back to a secret each: the bundle stays as long as a tenant in it exists")
	delete(h.tenants, "customer-0002")
	h.sync(t).counts(t, 0, 2, 0, 0)
	o = h.sync(t, "prune-secrets=true")
	o.says(t, "deleted, no longer needed: CUSTOMER_0002_DATABASE_URL\n",
		"once nothing reads them: NEON_TENANTS_BUNDLE_1\n")
	if d := syncRun(t, o); !slices.Equal(d.Former, []string{"NEON_TENANTS_BUNDLE_1"}) || len(h.Secrets(h.scope)) != 3 {
		t.Errorf("the report says %+v", d)
	}
	h.tenants = map[string]string{"customer-0004": connection("customer-0004", "1")}
	h.sync(t).counts(t, 1, 0, 0, 0)
	h.sync(t, "prune-secrets=true").counts(t, 0, 1, 0, 0)
	h.holds(t, h.perTenant())
}

// A discovery that Neon could not complete deletes nothing, fails the run, and writes what it can.
func TestAnIncompleteDiscoveryDeletesNothing(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	h := newHub(t)
	h.f = newFleet(t, named("ACME Corp", "Payroll Inc", "Finance Co")...)
	neon := []string{"tenant-source=neon", "tenant-secrets=", "prune-secrets=true", "max-prune=3"}
	h.sync(t, neon...).counts(t, 3, 0, 0, 0)
	if got := slices.Sorted(maps.Keys(h.Secrets(h.scope))); !slices.Equal(got,
		[]string{"ACME_CORP_DATABASE_URL", "FINANCE_CO_DATABASE_URL", "PAYROLL_INC_DATABASE_URL"}) {
		t.Errorf("secrets: %v", got)
	}
	before := h.Secrets(h.scope)
	h.f.Unavailable([]string{h.f.projects[0].ID}, 0)
	h.f.Fail(neontest.Fault{Route: "GET /projects/{project_id}", Project: h.f.projects[0].ID, Status: 403})
	o := h.sync(t, neon...)
	o.says(t, "1 tenant exists but could not be read", "nothing was pruned")
	if diff := cmp.Diff(before, h.Secrets(h.scope)); diff != "" || o.err == nil {
		t.Errorf("%v; secrets (-before +after):\n%s", o.err, diff)
	}
}

// By way of the pooler, where applications ask for it.
func TestPooledConnectionStrings(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.f = newFleet(t, neontest.Spec{Name: "ACME Corp"})
	h.sync(t, "tenant-source=neon", "tenant-secrets=").counts(t, 1, 0, 0, 0)
	direct, _ := h.Open(h.scope, "ACME_CORP_DATABASE_URL")
	h.sync(t, "tenant-source=neon", "tenant-secrets=", "pooled=true").counts(t, 1, 0, 0, 0)
	pooled, _ := h.Open(h.scope, "ACME_CORP_DATABASE_URL")
	d, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	p, err := url.Parse(pooled) // the simulator's pooler is another port of its host
	if err != nil || p.Host == d.Host || p.User.String() != d.User.String() || p.Path != d.Path {
		t.Errorf("%v, or the pooled connection string is not another way to the same database", err)
	}
}

func TestTheWorkflowFileIsKeptInStep(t *testing.T) {
	t.Parallel()
	h := newHub(t, "acme-corp", "payroll-inc")
	path := filepath.Join(h.f.workspace, "migrate.yml")
	const before = "name: x # é\r\nenv:\r\n  # neon-tenants:begin\r\n  GONE_DATABASE_URL: ${{ secrets.GONE_DATABASE_URL " +
		"}}\r\n  # neon-tenants:end\r\n\r\njobs: {}"
	if err := os.WriteFile(path, []byte(before), 0o640); err != nil {
		t.Fatal(err)
	}
	check := func(names ...string) {
		t.Helper()
		block := ""
		for _, name := range names {
			block += "  " + name + ": ${{ secrets." + name + " }}\r\n"
		}
		want := strings.Replace(before, "  GONE_DATABASE_URL: ${{ secrets.GONE_DATABASE_URL }}\r\n", block, 1)
		text, err := os.ReadFile(path)
		if err != nil || string(text) != want {
			t.Errorf("%v, the file is\n%s\nwant\n%s", err, text, want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	h.sync(t, "workflow-file=migrate.yml", "dry-run=true").says(t, "migrate.yml would be rewritten: 2 added, 1 removed")
	h.sync(t, "workflow-file=migrate.yml", "tenants=acme-corp").says(t, "migrate.yml is left as it is")
	check("GONE_DATABASE_URL")
	h.sync(t, "workflow-file=migrate.yml").says(t, "migrate.yml was rewritten: 2 added, 1 removed")
	check("ACME_CORP_DATABASE_URL", "PAYROLL_INC_DATABASE_URL")
	h.sync(t, "workflow-file=migrate.yml").says(t, "migrate.yml is up to date")
	h.sync(t, "workflow-file=migrate.yml", "secret-layout=bundle")
	check("NEON_TENANTS_BUNDLE_1")
	if left, _ := filepath.Glob(filepath.Join(h.f.workspace, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Two syncs at once, one of which still has an old password: wherever the one is when the other does its whole work,
// the next sync finds out what has to be written.
func TestTwoSyncsAtOnce(t *testing.T) {
	t.Parallel()
	const list, variable = "GET /repos/{owner}/{repo}/actions/secrets",
		"GET /repos/{owner}/{repo}/actions/variables/{name}"
	first := map[string]bool{"before its first mark": true, "before it writes first": true}
	for name, at := range map[string]githubtest.Fault{
		"before its first mark":  {Route: "POST *"},
		"before it writes first": {Route: "PUT *"},
		"before its mark":        {Route: "PATCH *"},
		"before it writes":       {Route: "PUT *"},
		"before it lists":        {Route: list, After: 1},
		"before it looks":        {Route: variable, After: 1},
		"before it is finished":  {Route: "PATCH *", After: 1},
	} {
		for _, slow := range []string{"stale", "fresh"} {
			t.Run(slow+" "+name, func(t *testing.T) {
				t.Parallel()
				h := newHub(t, "acme-corp", "payroll-inc")
				if !first[name] {
					h.sync(t).counts(t, 2, 0, 0, 0)
				}
				given := map[string]string{}
				h.tenants["acme-corp"] = connection("acme-corp", "2")
				given["stale"] = string(mustJSON(t, h.tenants))
				h.tenants["acme-corp"] = connection("acme-corp", "3")
				given["fresh"] = string(mustJSON(t, h.tenants))
				quick := map[string]string{"stale": "fresh", "fresh": "stale"}[slow]

				there, on, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
				at.Times, at.Do = 1, func() { close(there); <-on }
				h.Fail(at)
				go func() {
					defer close(done)
					h.sync(t, "tenant-secrets="+given[slow])
				}()
				<-there
				h.sync(t, "tenant-secrets="+given[quick])
				close(on)
				<-done
				h.sync(t)
				h.holds(t, h.perTenant())
				h.unchangedRun(t)
			})
		}
	}
}

// A sync that is cut off in the middle is completed by the next.
func TestASyncThatIsCancelled(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"per-tenant", "bundle"} {
		h := newHub(t, numbered(300)[:60]...)
		ctx, cancel := context.WithCancel(t.Context())
		h.Fail(githubtest.Fault{Route: "PUT *", Times: 1, Do: cancel, Delay: 50 * time.Millisecond})
		o := h.syncWithin(t, ctx, "secret-layout="+layout)
		if o.err == nil || o.report.Totals.Succeeded+o.report.Totals.Unchanged == 60 {
			t.Errorf("%s: %v, %+v", layout, o.err, o.report.Totals)
		}
		h.sync(t, "secret-layout="+layout)
		if layout == "bundle" {
			h.holdsBundled(t)
		} else {
			h.holds(t, h.perTenant())
		}
		h.unchangedRun(t, "secret-layout="+layout)
	}
}
