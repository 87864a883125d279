package secretsync

import (
	"cmp"
	"slices"

	"github.com/org/neon-tenants-action/internal/secrets"
)

// packing packs so that every tenant always is in a bundle, whichever of them cannot be written: of the bundles that a
// tenant leaves, at most one gains any. That one is written after those that only gain, and before those that only
// lose.
func (p *plan) packing(b bundlePlan) (secrets.Packing, error) {
	locked, losing := map[int]bool{}, p.losing()
	for n := range b.locked {
		locked[n] = true
	}
	packing, err := secrets.Pack(b.values, b.earlier, locked)
	if err != nil {
		return packing, err
	}
	b.place = packing.Bundle
	gives, gains := b.moves()
	both := 0
	for n := range gains {
		if gives[n] || losing[n] {
			both++
		}
	}
	if both <= 1 {
		return packing, nil
	}
	return secrets.PackApart(b.values, b.earlier, locked, losing)
}

// losing returns the bundles that hold tenants that are gone.
func (p *plan) losing() map[int]bool {
	losing := map[int]bool{}
	for key, m := range p.past.state.Members {
		if p.left.members[key] {
			losing[m.Bundle] = true
		}
	}
	return losing
}

// moves returns the bundles that tenants leave for another one, and those that gain tenants, new ones among them.
func (b bundlePlan) moves() (gives, gains map[int]bool) {
	gives, gains = map[int]bool{}, map[int]bool{}
	for key, n := range b.place {
		if earlier := b.earlier[key]; earlier != n {
			gains[n] = true
			gives[earlier] = true // 0 for a new one, which is no bundle
		}
	}
	return gives, gains
}

// bundleSteps decides about every bundle that is not locked, in the order that [plan.packing] relies on.
func (p *plan) bundleSteps(b bundlePlan, members map[int][]string, highest int) (steps []bundleStep) {
	gives, gains := b.moves()
	loses := p.losing()
	for n := 1; n <= highest; n++ {
		if b.locked[n] != nil {
			continue
		}
		keys := members[n]
		step := bundleStep{bundle: n, name: secrets.BundleName(n), value: b.encode(keys)}
		step.empty, step.gives, step.loses = len(keys) == 0, gives[n], loses[n]
		step.action = p.bundleAction(b, step, keys)
		steps = append(steps, step)
	}
	turn := func(s bundleStep) int {
		switch {
		case !s.gives && !s.loses:
			return 0
		case gains[s.bundle]:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(steps, func(x, y bundleStep) int { return cmp.Compare(turn(x), turn(y)) })
	return steps
}
