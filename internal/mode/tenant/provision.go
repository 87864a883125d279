package tenant

import (
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
)

// provisioner returns the run's source as one that makes and removes tenants; nil, with a mistake, where it does not. What
// chooses among many tenants is a mistake too, since the mode works on the one that tenant-name names.
func provisioner(in *input.Reader, env mode.Env, name string) fleet.Provisioner {
	for _, chooser := range []string{"tenants", "shard", "canary"} {
		if in.Given(chooser) {
			in.Mistake(chooser, "has no meaning in mode %s, which works on the one tenant of tenant-name; leave it out", name)
		}
	}
	p, _ := mode.Able[fleet.Provisioner](in, env, "tenant-source", "this source can neither create nor drop tenants; choose another mode")
	return p
}

// namesake returns the listed tenant that a name or an id means: listed is false where there is none. Two are an error, for
// which the caller has the remedy.
func namesake(all []fleet.Tenant, name, remedy string) (t fleet.Tenant, listed bool, err error) {
	var same []fleet.Tenant
	for _, t := range all {
		if t.Name == name || t.ID == name {
			same = append(same, t)
		}
	}
	if len(same) > 1 {
		const shown = 5
		var ids []string
		for _, t := range same[:min(shown, len(same))] {
			ids = append(ids, fmt.Sprintf("%s (%q)", t.ID, t.Name))
		}
		err := fmt.Errorf("tenant-name: %q is the name or the id of %d tenants: %s", name, len(same), strings.Join(ids, ", "))
		return fleet.Tenant{}, false, fleet.WithRemedy(err, remedy)
	}
	if len(same) == 0 {
		return fleet.Tenant{}, false, nil
	}
	return same[0], true, nil
}
