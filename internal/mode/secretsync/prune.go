package secretsync

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// leftovers is what belongs to no tenant any more, as far as this run can tell.
type leftovers struct {
	names   []string               // secrets that a sync wrote
	other   map[string]bool        // those of them that hold tenants who are still there, in the other layout
	members map[secrets.Print]bool // tenants in bundles that a sync wrote
	alike   []string               // secrets that look like a tenant's and that no sync is known to have written
	// mayDrop says that the members may be left out of a bundle that is written anew: the discovery was whole, and they are no
	// more than max-prune.
	mayDrop bool
}

// findLeftovers compares what the state says with all tenants that there are. Where leftovers are to be deleted and there
// are more of them than may be, or nothing else, its error ends the run before the first write.
func (s *syncer) findLeftovers() (leftovers, error) {
	left := leftovers{members: map[secrets.Print]bool{}, other: map[string]bool{}}
	wanted, keys, kept := map[string]bool{}, map[secrets.Print]bool{}, 0
	for _, t := range s.found.All {
		name, err := s.template.Name(t.Key)
		if err == nil {
			wanted[name], left.other[name] = !s.bundled, s.bundled
			if s.memory.ours(name) {
				kept++
			}
		}
		if s.memory.keys != nil {
			keys[s.memory.keys.Name(t.Key)] = true
		}
	}
	for key := range s.memory.state.Members {
		if keys[key] {
			kept++
		} else {
			left.members[key] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.listed)) {
		_, isBundle := secrets.IsBundle(name)
		_, isTenant := s.template.Match(name)
		switch {
		case wanted[name], isBundle && s.bundled:
		case s.memory.ours(name):
			left.names = append(left.names, name)
			left.other[name] = left.other[name] || isBundle
		case isTenant || isBundle:
			left.alike = append(left.alike, name)
		}
	}
	count := len(left.names) + len(left.members)
	switch {
	case !s.found.Whole:
		return leftovers{members: left.members}, nil
	case count == 0:
		left.mayDrop = true
	case kept == 0:
		if s.prune {
			return left, fleet.WithRemedy(fmt.Errorf("prune-secrets: none of the tenants whose connection strings earlier syncs wrote to %s is among the %d that were found: nothing is written or deleted",
				s.scope, len(s.found.All)), "check neon-org-id, neon-api-key and secret-name; where the tenants are all new indeed, run once with prune-secrets: false")
		}
	case count > s.maxPrune:
		if s.prune {
			return left, fleet.WithRemedy(fmt.Errorf("prune-secrets: the connection strings of %d tenants belong to none any more, and max-prune is %d: nothing is written or deleted%s",
				count, s.maxPrune, namesText(left.names)), fmt.Sprintf("see whether these tenants are gone indeed; then set max-prune: %d for one run", count))
		}
	default:
		left.mayDrop = true
	}
	return left, nil
}

// namesText lists the first names.
func namesText(names []string) string {
	const shown = 10
	if len(names) == 0 {
		return ""
	}
	text := ": "
	for i, name := range names[:min(shown, len(names))] {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	if len(names) > shown {
		text += fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return text
}

// pruneLeftovers deletes the secrets that belong to no tenant. It is called once everything is written. What holds tenants in
// the other layout goes only where all of them have their secret in this one.
func (s *syncer) pruneLeftovers(results []fleet.Result) error {
	if !s.prune || !s.left.mayDrop {
		return nil
	}
	failed := slices.ContainsFunc(results, func(r fleet.Result) bool { return r.State != fleet.Succeeded && r.State != fleet.Unchanged })
	var errs []error
	for _, name := range s.left.names {
		if failed && s.left.other[name] {
			s.waiting = append(s.waiting, name)
			continue
		}
		errs = append(errs, s.remove(name))
	}
	return errors.Join(errs...)
}

// remove deletes one secret that a sync wrote.
func (s *syncer) remove(name string) error {
	if !s.env.DryRun {
		s.memory.begin(s.run)
		if err := s.client.DeleteSecret(s.run, s.scope, name); err != nil {
			return fmt.Errorf("delete the secret %s: %w", name, err)
		}
		s.memory.deleted(name)
	}
	s.pruned = append(s.pruned, name)
	return nil
}
