package secretsync

import (
	"fmt"
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/secrets"
	"github.com/org/neon-tenants-action/internal/words"
)

// leftovers are what no tenant needs any more, as far as a run can tell.
type leftovers struct {
	secrets []string               // names of secrets that a sync wrote, sorted
	members map[secrets.Print]bool // tenants that are gone and still in a bundle that a sync wrote
	alike   []string               // names like a tenant's or a bundle's that no sync is known to have written
	// former are secrets of the other layout that a sync wrote and that belong to tenants that exist. Workflows may read
	// them still, so they are never deleted.
	former []string
	count  int // connection strings that may go: those of secrets, and members that can leave their bundle
	// mayDrop allows them to be deleted, and the members to be left out of a bundle that is rewritten: all tenants are
	// known, and the leftovers are not too many.
	mayDrop bool
}

// findLeftovers compares what earlier syncs wrote with the tenants that exist. With pruning, its error ends a run that
// would delete too much, or everything, before the first write.
func (p *plan) findLeftovers() (leftovers, error) {
	left, kept := p.compare()
	count := left.count
	switch {
	case !p.whole: // any secret may belong to a tenant that was not seen
		return leftovers{members: left.members}, nil
	case count == 0:
		left.mayDrop = true
	case kept == 0 && p.prune:
		return leftovers{}, fleet.WithRemedy(
			fmt.Errorf("prune-secrets: found %s, but none that earlier syncs wrote to %s: "+
				"nothing is written or deleted", words.Count(len(p.all), "tenant", "tenants"), p.scope),
			"check neon-org-id, neon-api-key and secret-name; "+
				"if every tenant really is new, run once with prune-secrets: false")
	case count > p.maxPrune && p.prune:
		return leftovers{}, fleet.WithRemedy(
			fmt.Errorf("prune-secrets: %s would be deleted, and max-prune is %d: nothing is written or deleted%s",
				words.Count(count, "connection string", "connection strings"), p.maxPrune, listing(left.secrets)),
			fmt.Sprintf("check that these tenants really are gone; then set max-prune: %d for one run", count))
	case kept > 0 && count <= p.maxPrune:
		left.mayDrop = true
	}
	return left, nil
}

// compare sorts what is listed and what is remembered. kept counts what belongs to tenants that were found.
func (p *plan) compare() (left leftovers, kept int) {
	left.members = map[secrets.Print]bool{}
	tenants, found := map[string]bool{}, map[secrets.Print]bool{}
	for _, key := range p.all {
		if name, err := p.template.Name(key); err == nil {
			tenants[name] = true
			if p.past.ours(name) {
				kept++
			}
		}
		if p.past.known {
			found[p.past.keys.Name(key)] = true
		}
	}
	alive := map[int]bool{} // bundles with a tenant that was found
	for key, m := range p.past.state.Members {
		if found[key] {
			kept++
			alive[m.Bundle] = true
		} else {
			left.members[key] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.listed)) {
		n, isBundle := secrets.IsBundle(name)
		_, isTenants := p.template.Match(name)
		switch {
		case p.bundled && isBundle, !p.bundled && tenants[name]:
		case p.past.ours(name) && (tenants[name] || isBundle && (alive[n] || p.past.state.Members == nil)):
			left.former = append(left.former, name)
		case p.past.ours(name):
			left.secrets = append(left.secrets, name)
		case isBundle, isTenants:
			left.alike = append(left.alike, name)
		}
	}
	left.count = len(left.secrets)
	for key := range left.members {
		if p.bundled || !alive[p.past.state.Members[key].Bundle] {
			left.count++
		}
	}
	return left, kept
}

// deletions returns what to delete once everything is written: the leftovers, and the bundles that are empty by then.
func (p *plan) deletions(b bundlePlan) (names []string) {
	if !p.prune || !p.left.mayDrop {
		return nil
	}
	names = slices.Clone(p.left.secrets)
	for _, s := range b.steps {
		if s.action == deleteBundle {
			names = append(names, s.name)
		}
	}
	return names
}

// whyNotPruned says why nothing may be deleted although everything is known, "" if it may. A leftover may be a renamed
// tenant's former secret, and the only one that it has until the new one is written.
func (p *plan) whyNotPruned(results []fleet.Result, written, saved, cancelled error) string {
	missing := len(p.tenants) - len(results)
	for _, r := range results {
		if !synced(r) {
			missing++
		}
	}
	switch {
	case missing > 0:
		return words.Count(missing, "tenant's secret was", "tenants' secrets were") + " not written"
	case cancelled != nil:
		return "the run was cancelled"
	case written != nil:
		return "a bundle was not written"
	case saved != nil:
		return "what was written could not be remembered"
	}
	return ""
}

// listing ends a sentence with the first names, if there are any: ": A, B and 3 more".
func listing(names []string) string {
	const shown = 10
	if len(names) == 0 {
		return ""
	}
	return ": " + words.List(names, shown)
}
