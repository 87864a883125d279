package secretsync

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/secrets"
)

// Whichever bundles cannot be written, no tenant is ever in none, and none that is gone leaves its bundle before every
// new one, under one of whose names it may go on, is in another.
func TestNoTenantIsEverInNoBundle(t *testing.T) {
	planned := 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1)) // the same numbers each time
		before, values := randomBundles(r), randomValues(r)
		tenants := slices.Sorted(maps.Keys(values))
		p, err := newPlan(settings{bundled: true, prune: r.IntN(2) > 0, maxPrune: 100, template: template(t)}, situation{
			scope: repository, listed: listedAt(lastSync, bundle1, bundle2, bundle3), past: packedBefore(before),
			tenants: tenants, all: tenants, whole: true,
		})
		if err != nil {
			continue // no tenant of before is left, which stops a run
		}
		b, err := p.pack(values)
		if err != nil {
			t.Fatal(err)
		}
		planned++
		for failing := range 1 << len(b.steps) {
			if problem := afterSteps(b, before, failing); problem != "" {
				t.Fatalf("seed %d, failing %b, steps %v: %s", seed, failing, b.texts(), problem)
			}
		}
	}
	if planned < 100 {
		t.Errorf("only %d of 150 are examples", planned)
	}
}

// randomValue is a connection string that takes up to half of a bundle.
func randomValue(r *rand.Rand) string { return "postgresql://" + strings.Repeat("x", r.IntN(24_000)) }

// randomBundles are three bundles that hold some of ten tenants.
func randomBundles(r *rand.Rand) map[int]bundle {
	bundles := map[int]bundle{1: {}, 2: {}, 3: {}}
	for i := range 10 {
		n := r.IntN(4)
		if n == 0 {
			continue
		}
		if with := bundles[n].with(fmt.Sprintf("t%d", i), randomValue(r)); len(secrets.EncodeBundle(with)) <= secrets.Fill {
			bundles[n] = with
		}
	}
	return bundles
}

// randomValues are connection strings of most of the ten, of which some are gone and some have others than before.
func randomValues(r *rand.Rand) bundle {
	values := bundle{}
	for i := range 10 {
		if r.IntN(4) > 0 {
			values[fmt.Sprintf("t%d", i)] = randomValue(r)
		}
	}
	return values
}

// afterSteps takes the steps, of which those whose bits are set in failing fail, and says what is wrong after one.
func afterSteps(b bundlePlan, before map[int]bundle, failing int) string {
	hold, failed := maps.Clone(before), false
	for i, s := range b.steps {
		switch {
		case s.action != writeBundle || (s.gives || s.loses) && failed:
			continue
		case failing&(1<<i) != 0:
			failed = true
			continue
		}
		hold[s.bundle] = bundle{}
		for key, n := range b.place {
			if n == s.bundle {
				hold[s.bundle][key] = b.values[key]
			}
		}
		in := bundle{}
		for _, members := range hold {
			maps.Copy(in, members)
		}
		if lost := missing(in, b, before); lost != "" {
			return fmt.Sprintf("after step %d %s", i, lost)
		}
	}
	return ""
}

// missing names a tenant that was in a bundle before and is in none now, unless it is gone and every new one is in one.
func missing(in bundle, b bundlePlan, before map[int]bundle) string {
	waiting := ""
	for key := range b.values {
		if in[key] == "" {
			waiting = key
		}
	}
	for _, members := range before {
		for key := range members {
			if in[key] == "" && (b.values[key] != "" || waiting != "") {
				return fmt.Sprintf("%s is in no bundle, and %q is not written yet", key, waiting)
			}
		}
	}
	return ""
}
