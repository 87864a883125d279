package secretsync

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// inBundles adds members to what is known, by the number of their bundle.
func (p past) inBundles(bundles map[string]int) past {
	for key, n := range bundles {
		p.state.Members[keyring.Name(key)] = secrets.Member{Value: keyring.Value(key, "v"), Bundle: n}
	}
	return p
}

// forgetful is like wroteNames, but does not know which tenants the bundles hold.
func forgetful(names ...string) past {
	p := wroteNames(names...)
	p.state.Members = nil
	return p
}

func TestLeftovers(t *testing.T) {
	const acme, globex, gone, bundle = "ACME_DATABASE_URL", "GLOBEX_DATABASE_URL", "GONE_DATABASE_URL", bundle1
	prune, pruneBundles := settings{prune: true, maxPrune: 10}, settings{prune: true, maxPrune: 10, bundled: true}
	for what, c := range map[string]struct {
		in     settings
		part   bool     // not all tenants are known
		listed []string // the scope's secrets
		past   past
		all    []string // the tenants that were found; nil: acme and globex

		secrets         []string
		members         []string // keys
		alike           []string
		former          []string
		mayDrop         bool
		message, remedy string
	}{
		"nothing is there": {in: prune, past: wroteNames(), mayDrop: true},
		"every secret is a tenant's": {
			in: prune, listed: []string{acme, globex}, past: wroteNames(acme, globex), mayDrop: true,
		},
		"a tenant is gone": {
			in: prune, listed: []string{acme, gone}, past: wroteNames(acme, gone),
			secrets: []string{gone}, mayDrop: true,
		},
		"a tenant is gone, and nobody asked for pruning": {
			in: settings{maxPrune: 10}, listed: []string{acme, gone}, past: wroteNames(acme, gone),
			secrets: []string{gone}, mayDrop: true,
		},
		"its secret is gone too": {in: prune, listed: []string{acme}, past: wroteNames(acme, gone), mayDrop: true},
		"an incomplete discovery": {
			in: prune, part: true, listed: []string{acme, gone}, past: wroteNames(acme, gone).inBundles(map[string]int{"x": 1}),
			members: []string{"x"},
		},

		"somebody else's secrets": {
			in: prune, listed: []string{acme, "PROD_DATABASE_URL", "NPM_TOKEN", bundle}, past: wroteNames(acme),
			alike: []string{bundle, "PROD_DATABASE_URL"}, mayDrop: true,
		},
		"the state is lost": {
			in: prune, listed: []string{acme, gone, bundle}, past: unknown(),
			alike: []string{gone, bundle}, mayDrop: true,
		},
		"nothing is ever remembered": {in: prune, listed: []string{acme, gone}, alike: []string{gone}, mayDrop: true},
		"under an earlier secret-name": {
			in: prune, listed: []string{acme, "DB_ACME"}, past: wroteNames(acme, "DB_ACME"),
			secrets: []string{"DB_ACME"}, mayDrop: true,
		},

		"from one secret each to bundles": {
			in: pruneBundles, listed: []string{acme, gone}, past: wroteNames(acme, gone),
			secrets: []string{gone}, former: []string{acme}, mayDrop: true,
		},
		"from bundles to one secret each": {
			in: settings{prune: true}, listed: []string{acme, bundle},
			past:    wroteNames(acme, bundle).inBundles(map[string]int{"acme": 1, "gone": 1}),
			members: []string{"gone"}, former: []string{bundle}, mayDrop: true,
		},
		"from bundles to one secret each, and nobody in the bundle is left": {
			in: prune, listed: []string{acme, bundle}, past: wroteNames(acme, bundle).inBundles(map[string]int{"gone": 1}),
			members: []string{"gone"}, secrets: []string{bundle}, mayDrop: true,
		},
		"from bundles to one secret each, and it is not known who is in the bundle": {
			in: prune, listed: []string{acme, bundle}, past: forgetful(acme, bundle), former: []string{bundle}, mayDrop: true,
		},
		"somebody else's, in the other layout": {
			in: pruneBundles, listed: []string{acme, bundle},
			past:  wroteNames(bundle).inBundles(map[string]int{"acme": 1}),
			alike: []string{acme}, mayDrop: true,
		},
		"a bundle is no leftover of bundles, whoever wrote it": {
			in: pruneBundles, listed: []string{bundle}, past: unknown(), mayDrop: true,
		},
		"a tenant in a bundle is gone": {
			in: pruneBundles, listed: []string{bundle},
			past:    wroteNames(bundle).inBundles(map[string]int{"acme": 1, "gone": 1}),
			members: []string{"gone"}, mayDrop: true,
		},

		"as many as may be": {
			in: settings{prune: true, maxPrune: 1}, listed: []string{acme, gone}, past: wroteNames(acme, gone),
			secrets: []string{gone}, mayDrop: true,
		},
		"one more than may be": {
			in: settings{prune: true}, listed: []string{acme, gone}, past: wroteNames(acme, gone),
			message: "prune-secrets: 1 connection string would be deleted, and max-prune is 0: " +
				"nothing is written or deleted: " + gone,
			remedy: "then set max-prune: 1 for one run",
		},
		"secrets and members count together": {
			in: settings{prune: true, maxPrune: 1, bundled: true}, listed: []string{acme, gone, bundle},
			past: wroteNames(acme, gone, bundle).inBundles(map[string]int{"acme": 1, "gone": 1}),
			message: "2 connection strings would be deleted, and max-prune is 1: " +
				"nothing is written or deleted: " + gone,
			remedy: "max-prune: 2",
		},
		"the members of a bundle that nobody is left in count too": {
			in: settings{prune: true, maxPrune: 2}, listed: []string{acme, bundle},
			past:    wroteNames(acme, bundle).inBundles(map[string]int{"gone": 1, "left": 1}),
			message: "3 connection strings would be deleted, and max-prune is 2", remedy: "max-prune: 3",
		},
		"too many, and nobody asked for pruning": {
			in: settings{bundled: true}, listed: []string{bundle},
			past:    wroteNames(bundle).inBundles(map[string]int{"acme": 1, "gone": 1}),
			members: []string{"gone"},
		},
		"another organization's tenants": {
			in: prune, listed: []string{gone}, past: wroteNames(gone),
			message: "prune-secrets: found 2 tenants, but none that earlier syncs wrote to repository acme/app: " +
				"nothing is written or deleted",
			remedy: "check neon-org-id",
		},
		"another organization's tenants in bundles": {
			in: pruneBundles, listed: []string{bundle},
			past: wroteNames(bundle).inBundles(map[string]int{"gone": 1}), all: []string{"acme"},
			message: "found 1 tenant, but none",
			remedy:  "if every tenant really is new, run once with prune-secrets: false",
		},
		"another organization's tenants, and nobody asked for pruning": {
			in: settings{maxPrune: 10}, listed: []string{gone}, past: wroteNames(gone),
			secrets: []string{gone},
		},
		"a secret that was deleted by hand still shows whose tenants these are": {
			in: prune, listed: []string{gone}, past: wroteNames(acme, gone),
			secrets: []string{gone}, mayDrop: true,
		},
		"a tenant whose name no secret can have": {
			in: prune, listed: []string{acme}, past: wroteNames(acme), all: []string{"acme", strings.Repeat("a", 300)},
			mayDrop: true,
		},
		"a key that was another one, before accents were written in ASCII": {
			in: prune, listed: []string{acme, "CAF_DATABASE_URL"}, past: wroteNames(acme, "CAF_DATABASE_URL"),
			all: []string{"acme", "cafe"}, secrets: []string{"CAF_DATABASE_URL"}, mayDrop: true,
		},
	} {
		t.Run(what, func(t *testing.T) {
			c.in.template = template(t)
			if c.all == nil {
				c.all = []string{"acme", "globex"}
			}
			p := &plan{settings: c.in, situation: situation{
				scope: repository, listed: listedAt(lastSync, c.listed...), past: c.past, all: c.all, whole: !c.part,
			}}
			left, err := p.findLeftovers()
			fails(t, err, c.message, c.remedy)
			members := map[secrets.Print]bool{}
			for _, key := range c.members {
				members[keyring.Name(key)] = true
			}
			if !slices.Equal(left.secrets, c.secrets) {
				t.Errorf("secrets: %v, want %v", left.secrets, c.secrets)
			}
			if !maps.Equal(left.members, members) {
				t.Errorf("%d members are left over, want %d", len(left.members), len(members))
			}
			equal(t, "alike", left.alike, c.alike)
			equal(t, "former", left.former, c.former)
			equal(t, "mayDrop", left.mayDrop, c.mayDrop)
		})
	}
}

func TestDeletions(t *testing.T) {
	b := bundlePlan{steps: []bundleStep{
		{name: bundle1, action: writeBundle}, {name: bundle2, action: deleteBundle}, {name: bundle3, action: keepBundle},
	}}
	for what, c := range map[string]struct {
		prune, mayDrop bool
		names          []string
	}{
		"nobody asked for it": {mayDrop: true},
		"not all is known":    {prune: true},
		"all is known":        {prune: true, mayDrop: true, names: []string{"A", "B", bundle2}},
	} {
		p := &plan{settings: settings{prune: c.prune}, left: leftovers{secrets: []string{"A", "B"}, mayDrop: c.mayDrop}}
		equal(t, what, p.deletions(b), c.names)
	}
}

func TestWhyNotPruned(t *testing.T) {
	of := func(states ...fleet.State) (all []fleet.Result) {
		for _, s := range states {
			all = append(all, fleet.Result{State: s})
		}
		return all
	}
	no := errors.New("no")
	for what, c := range map[string]struct {
		results                   []fleet.Result
		written, saved, cancelled error
		want                      string
	}{
		"all synced":          {results: of(fleet.Succeeded, fleet.Unchanged)},
		"one failed":          {results: of(fleet.Succeeded, fleet.Failed), want: "1 tenant's secret was not written"},
		"one was not started": {results: of(fleet.Skipped, fleet.Unchanged), want: "1 tenant's secret was not written"},
		"none came to an end": {want: "2 tenants' secrets were not written"},
		"an error of the run": {results: of(fleet.Succeeded, fleet.Succeeded), written: no,
			want: "a bundle was not written"},
		"the state is not saved": {results: of(fleet.Succeeded, fleet.Succeeded), saved: no,
			want: "what was written could not be remembered"},
		"cancelled at the end": {results: of(fleet.Succeeded, fleet.Succeeded), cancelled: no, saved: no,
			want: "the run was cancelled"},
	} {
		p := &plan{situation: situation{tenants: []string{"acme", "globex"}}}
		equal(t, what, p.whyNotPruned(c.results, c.written, c.saved, c.cancelled), c.want)
	}
}

func TestListing(t *testing.T) {
	many := []string{"A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"}
	for want, names := range map[string][]string{
		"": nil, ": A": many[:1], ": A, B, C, D, E, F, G, H, I, J": many[:10],
		": A, B, C, D, E, F, G, H, I, J and 2 more": many,
	} {
		equal(t, "listing", listing(names), want)
	}
}
