package secretsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// checkBundles refuses to write bundles where it is not known what those that exist hold, unless all of it is known anew.
func (p *plan) checkBundles() error {
	if p.whole {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(p.listed)) {
		if _, ok := secrets.IsBundle(name); ok && (!p.past.ours(name) || p.past.state.Members == nil) {
			return fleet.WithRemedy(
				fmt.Errorf("%s exists, and it is not known which tenants it holds: "+
					"a run over only some of the tenants could lose others", name),
				"run once over all tenants, without the input tenants and with a complete discovery: "+
					"that writes every bundle anew")
		}
	}
	return nil
}

// member takes note of a tenant's connection string, and says what has to become of it as far as that is known before the
// bundles are packed.
func (s *syncer) member(t fleet.Tenant, value string) fleet.Outcome {
	s.mu.Lock()
	s.values[t.Key] = value
	s.mu.Unlock()
	change := s.memberChange(t.Key, value)
	if change == unchanged {
		return fleet.Outcome{Unchanged: true}
	}
	return fleet.Outcome{Note: "read", Detail: Detail{Change: change}}
}

// memberChange compares a tenant with what the bundle that it is in is known to hold.
func (s *syncer) memberChange(key, value string) string {
	if !s.plan.past.known || s.plan.past.state.Members == nil {
		for name := range s.plan.listed {
			if _, ok := secrets.IsBundle(name); ok {
				return updated
			}
		}
		return created
	}
	m, ok := s.plan.past.member(key)
	name := secrets.BundleName(m.Bundle)
	at, exists := s.plan.listed[name]
	switch {
	case !ok || !exists:
		return created
	case m.Value != s.plan.past.keys.Value(key, value) || s.plan.past.state.Secrets[s.plan.past.keys.Name(name)].Updated != at.Unix():
		return updated
	}
	return unchanged
}

// lockedBundles returns the bundles that hold a tenant whose connection string this run does not have, and why.
func (s *syncer) lockedBundles() map[int]error {
	locked := map[int]error{}
	have := map[secrets.Print]bool{}
	if s.plan.past.keys != nil {
		for key := range s.values {
			have[s.plan.past.keys.Name(key)] = true
		}
	}
	for key, m := range s.plan.past.state.Members {
		if have[key] || s.plan.left.members[key] && s.plan.left.mayDrop || locked[m.Bundle] != nil {
			continue
		}
		err := fmt.Errorf("%s is left as it is: it also holds a tenant whose connection string this run does not have", secrets.BundleName(m.Bundle))
		remedy := "mend the tenants that failed and run again, over all tenants"
		if s.plan.left.members[key] {
			remedy = fmt.Sprintf("run over all tenants, without tenants:, which leaves out those that are gone; where there are more than max-prune (%d) of them, raise it", s.settings.maxPrune)
		}
		locked[m.Bundle] = fleet.WithRemedy(err, remedy)
	}
	return locked
}

// writeBundles packs what the jobs resolved, writes the bundles that changed, and says of every tenant what became of it.
func (s *syncer) writeBundles(ctx context.Context, results []fleet.Result) error {
	if ctx.Err() != nil {
		s.amend(results, func(string) error { return fmt.Errorf("its bundle was not written: %w", context.Cause(ctx)) })
		return nil
	}
	packing, locked, err := s.pack()
	if err != nil {
		s.amend(results, func(string) error { return errors.New("no bundle was written, see the run's own error") })
		return err
	}
	failed, errs := s.writePacking(packing, locked)
	for name := range s.plan.listed {
		if n, ok := secrets.IsBundle(name); ok && n > packing.Bundles {
			s.strays = append(s.strays, name)
		}
	}
	s.placed = packing.Bundle
	s.remember(packing, locked, failed)
	s.amend(results, func(key string) error {
		n := packing.Bundle[key]
		if locked[n] != nil {
			return locked[n]
		}
		return failed[n]
	})
	return errors.Join(errs...)
}

// pack decides where every tenant goes.
func (s *syncer) pack() (secrets.Packing, map[int]error, error) {
	state, earlier, highest := s.plan.past.state, map[string]int{}, 0
	for _, m := range state.Members {
		highest = max(highest, m.Bundle)
	}
	for name := range s.plan.listed {
		if n, ok := secrets.IsBundle(name); ok && s.plan.past.ours(name) {
			highest = max(highest, n)
		}
	}
	for key := range s.values {
		if s.plan.past.keys != nil {
			if m, ok := state.Members[s.plan.past.keys.Name(key)]; ok {
				earlier[key] = m.Bundle
			}
		}
	}
	if unresolved := len(s.plan.tenants) - len(s.values); unresolved > 0 && (!s.plan.past.known || state.Members == nil) {
		for name := range s.plan.listed {
			if _, ok := secrets.IsBundle(name); ok {
				return secrets.Packing{}, nil, fleet.WithRemedy(fmt.Errorf("the connection strings of %d tenants are not known, nor which of the bundles hold them: no bundle is written, so that none is lost", unresolved),
					"mend the tenants that failed, and run again")
			}
		}
	}
	locked := s.lockedBundles()
	packing, err := secrets.Pack(s.values, earlier, maps.Collect(func(yield func(int, bool) bool) {
		for n := range locked {
			if !yield(n, true) {
				return
			}
		}
	}))
	if err != nil {
		return packing, nil, err
	}
	packing.Bundles = max(packing.Bundles, highest)
	var names []string
	for n := range packing.Keys() {
		names = append(names, secrets.BundleName(n))
	}
	return packing, locked, s.plan.checkLimit(names)
}

// remember tells the next sync which bundle holds whom.
func (s *syncer) remember(packing secrets.Packing, locked, failed map[int]error) {
	if s.plan.past.keys == nil {
		return
	}
	members := map[secrets.Print]secrets.Member{}
	for key, m := range s.plan.past.state.Members { // what stands where nothing was written
		if locked[m.Bundle] != nil || failed[m.Bundle] != nil || s.plan.left.members[key] && !s.rewritten(m.Bundle) {
			members[key] = m
			continue
		}
		if s.plan.left.members[key] {
			s.dropped++
		}
	}
	for key, n := range packing.Bundle {
		if locked[n] == nil && failed[n] == nil {
			members[s.plan.past.keys.Name(key)] = secrets.Member{Value: s.plan.past.keys.Value(key, s.values[key]), Bundle: n}
		}
	}
	s.members = members
}

// rewritten reports whether this run wrote or deleted a bundle, or would have.
func (s *syncer) rewritten(n int) bool {
	name := secrets.BundleName(n)
	return s.writer.journal().has(name)
}

// amend gives every tenant that was read its last word. problem returns why a tenant's bundle was not written.
func (s *syncer) amend(results []fleet.Result, problem func(key string) error) {
	for i := range results {
		r := &results[i]
		if r.State != fleet.Succeeded && r.State != fleet.Unchanged {
			continue
		}
		d, _ := r.Outcome.Detail.(Detail)
		if n := s.placed[r.Tenant.Key]; n > 0 {
			d.Secret = secrets.BundleName(n)
		}
		if r.State == fleet.Unchanged || s.intact[s.placed[r.Tenant.Key]] {
			r.State, r.Outcome = fleet.Unchanged, fleet.Outcome{Unchanged: true, Detail: Detail{d.Secret, unchanged}}
			continue
		}
		if err := problem(r.Tenant.Key); err != nil {
			r.State, r.Err, r.Outcome.Note, r.Outcome.Detail = fleet.Failed, err, "", Detail{Secret: d.Secret}
			continue
		}
		r.Outcome.Note = s.would(d.Change)
		r.Outcome.Detail = d
	}
}
