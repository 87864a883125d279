package secretsync

import (
	"fmt"

	"github.com/org/neon-tenants-action/internal/secrets"
)

// writePacking writes the bundles that are not locked: those that lose no tenant to another one first, the others only once all
// of those hold what they have to, so that at no time a tenant is in none. It returns why a bundle was not written, and the
// errors of those that have no tenants to tell.
func (s *syncer) writePacking(packing secrets.Packing, locked map[int]error) (failed map[int]error, errs []error) {
	failed = map[int]error{}
	members, losing := packing.Keys(), map[int]bool{}
	for key, n := range packing.Bundle {
		if s.plan.past.keys == nil {
			break
		}
		if m, ok := s.plan.past.state.Members[s.plan.past.keys.Name(key)]; ok && m.Bundle != n {
			losing[m.Bundle] = true
		}
	}
	for _, second := range []bool{false, true} {
		for n := 1; n <= packing.Bundles; n++ {
			if locked[n] != nil || losing[n] != second {
				continue
			}
			var err error
			if second && len(failed) > 0 {
				err = fmt.Errorf("%s is left as it is, because tenants that are to leave it could not be written elsewhere", secrets.BundleName(n))
			} else {
				err = s.writeBundle(n, members[n])
			}
			if err == nil {
				continue
			}
			failed[n] = err
			if len(members[n]) == 0 { // else its tenants tell
				errs = append(errs, err)
			}
		}
	}
	return failed, errs
}

// writeBundle brings one bundle up to date.
func (s *syncer) writeBundle(n int, keys []string) error {
	members := make(map[string]string, len(keys))
	for _, key := range keys {
		members[key] = s.values[key]
	}
	name, value := secrets.BundleName(n), secrets.EncodeBundle(members)
	at, exists := s.plan.listed[name]
	switch {
	case len(keys) == 0 && (!exists || !s.plan.past.ours(name)):
		return nil
	case len(keys) == 0 && s.settings.prune && s.plan.left.mayDrop:
		return s.writer.delete(name)
	case exists && s.plan.past.current(name, value, at):
		s.intact[n] = true
		return nil
	case !s.settings.prune && s.onlyLost(n, keys):
		s.intact[n] = true
		return nil
	}
	return s.writer.put(name, value)
}

// onlyLost reports whether all that a bundle would lose by being written is tenants that are gone: nobody asked for that.
func (s *syncer) onlyLost(n int, keys []string) bool {
	lost := 0
	for key, m := range s.plan.past.state.Members {
		if m.Bundle == n && s.plan.left.members[key] {
			lost++
		}
	}
	if lost == 0 {
		return false
	}
	for _, key := range keys {
		if s.plan.past.state.Members[s.plan.past.keys.Name(key)].Bundle != n || s.memberChange(key, s.values[key]) != unchanged {
			return false
		}
	}
	moved := 0 // tenants that are in another bundle now would stand in two
	for key := range s.values {
		if s.plan.past.state.Members[s.plan.past.keys.Name(key)].Bundle == n {
			moved++
		}
	}
	return moved == len(keys)
}
