package action

import (
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
)

// named has the mode itself choose its tenants, of which some may not exist yet. Those are held against all others before
// anything is made: a new tenant whose key is another's would share its secret and its folder.
func (r *run) named(all []fleet.Tenant, incomplete *fleet.IncompleteError, s settings) (mode.Found, error) {
	chosen, err := s.work.Choose(all, incomplete == nil)
	if err != nil {
		return mode.Found{}, err
	}
	if i := slices.IndexFunc(chosen, func(t fleet.Tenant) bool { return t.ID == "" }); i >= 0 && incomplete != nil {
		return mode.Found{}, fleet.WithRemedy(
			fmt.Errorf("tenant-name: not every tenant could be listed, so there may be one named %q", chosen[i].Name),
			"run again later, so that there is never a second tenant of this name")
	}
	// A tenant that is not there has no id, and so no key that is made from one: it gets it once it is there.
	keyed := slices.Clone(all)
	for _, t := range chosen {
		if t.ID == "" && s.keys == fleet.KeyByName {
			keyed = append(keyed, t)
		}
	}
	isChosen := func(t fleet.Tenant) bool {
		return slices.ContainsFunc(chosen, func(c fleet.Tenant) bool { return c.ID == t.ID && c.Name == t.Name })
	}
	if err := fleet.AssignKeys(keyed, incomplete.Unread(), s.keys, isChosen); err != nil {
		return mode.Found{}, err
	}
	found := mode.Found{All: keyed[:len(all)]}
	for _, t := range chosen {
		i := slices.IndexFunc(keyed, func(k fleet.Tenant) bool { return k.ID == t.ID && k.Name == t.Name })
		if i >= 0 {
			t = keyed[i]
		}
		found.Tenants = append(found.Tenants, t)
	}
	r.console.Line(fmt.Sprintf("found %d tenants", len(all)))
	return found, nil
}
