package tenant

import (
	"fmt"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/words"
)

// provisioner returns the run's source as one that creates and drops tenants; nil, with a mistake, if it does not.
// Inputs that select tenants are mistakes too.
func provisioner(in *input.Reader, env mode.Env, modeName string) fleet.Provisioner {
	for _, selecting := range []string{"tenants", "shard", "canary", "waves", "wave-pause"} {
		if in.Given(selecting) {
			in.Mistake(selecting, "has no meaning in mode %s, which works on the tenant that tenant-name names; "+
				"leave it out", modeName)
		}
	}
	p, _ := mode.Able[fleet.Provisioner](in, env, "tenant-source",
		"this source can neither create nor drop tenants; choose another mode")
	return p
}

// namesake returns the listed tenant with that name or id; listed is false if there is none. Several are an error, for
// which the caller has the remedy.
func namesake(all []fleet.Tenant, name, remedy string) (t fleet.Tenant, listed bool, err error) {
	var same []fleet.Tenant
	for _, t := range all {
		if t.Name == name || t.ID == name {
			same = append(same, t)
		}
	}
	switch len(same) {
	case 0:
		return fleet.Tenant{}, false, nil
	case 1:
		return same[0], true, nil
	}
	const shown = 5
	ids := words.ListFunc(same, shown, func(t fleet.Tenant) string { return fmt.Sprintf("%s (%q)", t.ID, t.Name) })
	return fleet.Tenant{}, false, fleet.WithRemedy(
		fmt.Errorf("tenant-name: %q is the name or the id of %d tenants: %s", name, len(same), ids), remedy)
}
