package action

import (
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
)

// named sets the keys if the mode itself picked its tenants, some of which may not exist yet. These too must not share
// a key with any other tenant, whose secret and folder they would get. incomplete is nil if the listing lacks none; if
// it lacks some, one of these may have the new tenant's name.
func (c choice) named(all, picked []fleet.Tenant, incomplete *fleet.IncompleteError) (mode.Found, error) {
	keyed := slices.Clone(all)
	for _, t := range picked {
		if t.ID == "" && incomplete != nil {
			return mode.Found{}, fleet.WithRemedy(
				fmt.Errorf("tenant-name: not every tenant could be listed, so there may be one named %q", t.Name),
				"run again later, so that there is never a second tenant of this name")
		}
		// Without an id there is no key made from it either; the tenant gets its key once it exists.
		if t.ID == "" && c.keys == fleet.KeyByName {
			if err := c.sameKey(all, t); err != nil {
				return mode.Found{}, err
			}
			keyed = append(keyed, t)
		}
	}
	isPicked := func(t fleet.Tenant) bool {
		return slices.ContainsFunc(picked, func(p fleet.Tenant) bool { return p.ID == t.ID && p.Name == t.Name })
	}
	if err := fleet.AssignKeys(keyed, incomplete.Unread(), c.keys, isPicked); err != nil {
		return mode.Found{}, err
	}
	found := mode.Found{All: keyed[:len(all)], Incomplete: incomplete != nil}
	for _, t := range picked {
		i := slices.IndexFunc(keyed, func(k fleet.Tenant) bool { return k.ID == t.ID && k.Name == t.Name })
		if i >= 0 {
			t = keyed[i]
		}
		found.Tenants = append(found.Tenants, t)
	}
	return found, nil
}

// sameKey refuses a new tenant whose key another has. The remedy is another one than that of two tenants that exist:
// tenant-key: id would change the keys of the whole fleet for a name that nobody has yet.
func (c choice) sameKey(all []fleet.Tenant, made fleet.Tenant) error {
	key := made.KeyBy(c.keys)
	for _, t := range all {
		if key != "" && t.KeyBy(c.keys) == key {
			return fleet.WithRemedy(fmt.Errorf("tenant-name: a tenant %q exists, whose key would be the same as that of %q: %s",
				t.Name, made.Name, key), "choose another name, or give that tenant's exactly as it is, if it is meant")
		}
	}
	return nil
}
