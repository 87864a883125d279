package secretsync

import (
	"errors"
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/secrets"
	"github.com/org/neon-tenants-action/internal/words"
)

// checkBundles refuses a run over only some of the tenants if it is not known what the bundles hold. A bundle cannot be
// read back, so rewriting it would lose every tenant that this run leaves out.
func (p *plan) checkBundles() error {
	if p.whole {
		return nil
	}
	for _, name := range p.bundles {
		if !p.past.ours(name) || p.past.state.Members == nil {
			return fleet.WithRemedy(
				fmt.Errorf("%s exists, and it is not known which tenants it holds: "+
					"a run over only some of the tenants could lose others", name),
				"run once over all tenants, without the input tenants and with a complete discovery: "+
					"that writes every bundle anew")
		}
	}
	return nil
}

// member says what becomes of a tenant in a bundle, as far as that is known before the bundles are packed.
func (p *plan) member(key, value string) (change string) {
	if p.past.state.Members == nil {
		if len(p.bundles) > 0 {
			return updated
		}
		return created
	}
	m, ok := p.past.member(key)
	name := secrets.BundleName(m.Bundle)
	at, exists := p.listed[name]
	switch {
	case !ok || !exists:
		return created
	case m.Value != p.past.keys.Value(key, value), p.past.state.Secrets[p.past.keys.Name(name)].Updated != at.Unix():
		return updated
	}
	return unchanged
}

// bundlePlan says what becomes of every bundle.
type bundlePlan struct {
	values  map[string]string // the connection strings that the run has, by key
	earlier map[string]int    // the bundle that each of these tenants is in now, by key
	place   map[string]int    // the bundle that each of them belongs in
	locked  map[int]error     // bundles that are left as they are, and why
	steps   []bundleStep      // the other bundles, in an order in which every tenant always is in one
	strays  []string          // bundles that no tenant needs and that no sync is known to have written
}

// bundleStep is what becomes of one bundle.
type bundleStep struct {
	bundle int
	name   string
	value  string
	action bundleAction
	empty  bool // no tenant of this run is in it
	// gives is true if tenants move from this bundle to others, loses if tenants that are gone leave it. Such a step
	// follows those that only add, and is taken only if they all succeeded.
	gives, loses bool
}

type bundleAction int

const (
	keepBundle bundleAction = iota
	writeBundle
	deleteBundle
)

// pack decides which bundle each tenant belongs in, and what becomes of every bundle. values are the connection strings
// that the run has, by key. Its error means that no bundle may be written.
func (p *plan) pack(values map[string]string) (bundlePlan, error) {
	unresolved := len(p.tenants) - len(values)
	if unresolved > 0 && p.past.state.Members == nil && len(p.bundles) > 0 {
		return bundlePlan{}, fleet.WithRemedy(
			fmt.Errorf("this run does not have the connection strings of %s, and it is not known which bundles "+
				"hold them: no bundle is written, so that none is lost", words.Count(unresolved, "tenant", "tenants")),
			"fix the tenants that failed and run again")
	}
	b := bundlePlan{values: values, earlier: p.places(values), locked: p.lockedBundles(values)}
	packing, err := p.packing(b)
	if err != nil {
		return bundlePlan{}, err
	}
	b.place = packing.Bundle
	members, highest := packing.Keys(), max(packing.Bundles, p.highestBundle())
	if err := p.checkLimit(bundleNames(members)); err != nil {
		return bundlePlan{}, err
	}
	b.steps = p.bundleSteps(b, members, highest)
	for _, name := range p.bundles {
		if n, _ := secrets.IsBundle(name); n > highest {
			b.strays = append(b.strays, name)
		}
	}
	return b, nil
}

// bundleNames lists the bundles that have members.
func bundleNames(members map[int][]string) (names []string) {
	for n := range members {
		names = append(names, secrets.BundleName(n))
	}
	return names
}

// lockedBundles returns the bundles that hold a tenant whose connection string this run does not have, and why. A
// tenant that is gone may leave its bundle only if every tenant of the run was read: otherwise it may be the former
// name of one that was not, and hold its only connection string.
func (p *plan) lockedBundles(values map[string]string) map[int]error {
	have := map[secrets.Print]bool{}
	for key := range values {
		if p.past.known {
			have[p.past.keys.Name(key)] = true
		}
	}
	locked := map[int]error{}
	for key, m := range p.past.state.Members {
		gone, allRead := p.left.members[key], len(values) == len(p.tenants)
		if have[key] || gone && p.left.mayDrop && allRead || gone && locked[m.Bundle] != nil {
			continue
		}
		remedy := "fix the tenants that failed and run again, over all tenants"
		if gone && !(p.left.mayDrop && !allRead) {
			remedy = fmt.Sprintf("run over all tenants, without the input tenants: that drops those that are gone; "+
				"if more than max-prune (%d) are, raise it", p.maxPrune)
		}
		locked[m.Bundle] = fleet.WithRemedy(
			fmt.Errorf("%s is left as it is: it also holds a tenant whose connection string this run does not have",
				secrets.BundleName(m.Bundle)), remedy)
	}
	return locked
}

// places returns the bundle that each tenant is in now, by key.
func (p *plan) places(values map[string]string) map[string]int {
	places := map[string]int{}
	for key := range values {
		if m, ok := p.past.member(key); ok {
			places[key] = m.Bundle
		}
	}
	return places
}

// highestBundle returns the highest number of a bundle that a sync is known to have written.
func (p *plan) highestBundle() (highest int) {
	for _, m := range p.past.state.Members {
		highest = max(highest, m.Bundle)
	}
	for _, name := range p.bundles {
		if n, _ := secrets.IsBundle(name); p.past.ours(name) {
			highest = max(highest, n)
		}
	}
	return highest
}

// encode writes the value of a bundle with these tenants.
func (b bundlePlan) encode(keys []string) string {
	members := make(map[string]string, len(keys))
	for _, key := range keys {
		members[key] = b.values[key]
	}
	return secrets.EncodeBundle(members)
}

// bundleAction decides about one bundle.
func (p *plan) bundleAction(b bundlePlan, s bundleStep, keys []string) bundleAction {
	at, exists := p.listed[s.name]
	switch {
	case s.empty && (!exists || !p.past.ours(s.name)):
		return keepBundle
	case s.empty && p.prune && p.left.mayDrop:
		return deleteBundle
	case exists && p.past.current(s.name, s.value, at):
		return keepBundle
	case !p.prune && p.losesOnlyGone(b, s.bundle, keys):
		return keepBundle
	}
	return writeBundle
}

// losesOnlyGone reports whether writing a bundle would do no more than drop tenants that are gone, which without
// pruning nobody asked for.
func (p *plan) losesOnlyGone(b bundlePlan, bundle int, keys []string) bool {
	loses := false
	for key, m := range p.past.state.Members {
		loses = loses || m.Bundle == bundle && p.left.members[key]
	}
	now := 0 // tenants of this run that are in it now; if one of them moved away, it would be in two
	for _, n := range b.earlier {
		if n == bundle {
			now++
		}
	}
	changed := slices.ContainsFunc(keys, func(key string) bool {
		return b.earlier[key] != bundle || p.member(key, b.values[key]) != unchanged
	})
	return loses && now == len(keys) && !changed
}

// members returns what the next sync has to know about tenants in bundles, and how many that are gone left theirs.
// failed says why a bundle was not written.
func (p *plan) members(b bundlePlan, failed map[int]error, done journal) (map[secrets.Print]secrets.Member, int) {
	if p.past.keys == nil {
		return nil, 0
	}
	members, dropped := map[secrets.Print]secrets.Member{}, 0
	for key, m := range p.past.state.Members {
		untouched := b.locked[m.Bundle] != nil || failed[m.Bundle] != nil
		gone := p.left.members[key]
		switch {
		case untouched || gone && !done.has(secrets.BundleName(m.Bundle)):
			members[key] = m
		case gone:
			dropped++
		}
	}
	for key, n := range b.place {
		if b.locked[n] == nil && failed[n] == nil {
			members[p.past.keys.Name(key)] = secrets.Member{Value: p.past.keys.Value(key, b.values[key]), Bundle: n}
		}
	}
	return members, dropped
}

// unreported joins the errors of bundles in which no tenant of this run has changed, so that no tenant's result reports
// them.
func (p *plan) unreported(b bundlePlan, failed map[int]error) error {
	reported := map[int]bool{}
	for key, n := range b.place {
		reported[n] = reported[n] || p.member(key, b.values[key]) != unchanged
	}
	var errs []error
	for _, s := range b.steps {
		if !reported[s.bundle] {
			errs = append(errs, failed[s.bundle])
		}
	}
	return errors.Join(errs...)
}
