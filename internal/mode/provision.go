package mode

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
)

// Provisioner is a source that can make tenants and remove them. All of it may be repeated: a run that was cut off anywhere is
// completed by the same calls again.
type Provisioner interface {
	// CheckName refuses a name that no new tenant of the source may have. It makes no call.
	CheckName(name string) error
	// Create makes the project, schema or database of that name, unless it is there: made tells which. The tenant's id
	// is set, its key is not. It inserts nothing and registers nothing, and what it made stays where it fails later.
	Create(ctx context.Context, name string, log *slog.Logger) (t fleet.Tenant, made bool, err error)
	// Register lists the tenant for the fleet, in the tracker or the catalog. It is the last step of making a tenant; one
	// that is listed already is no error.
	Register(ctx context.Context, t fleet.Tenant) error
	// CheckDrop refuses what must never be dropped, whoever lists it: the system's own schemas and databases, and the
	// one that the list itself is kept in. It makes no call.
	CheckDrop(t fleet.Tenant) error
	// Drop removes a listed tenant and its registration, the latter not before the former. One that is gone is no error.
	Drop(ctx context.Context, t fleet.Tenant, log *slog.Logger) error
}

// creationReader is a Provisioner with inputs of its own about new tenants, read in create-tenant only.
type creationReader interface {
	ReadCreation(in *input.Reader)
}

// recoverer is a Provisioner from which a dropped tenant can be had back without a backup; the sentence says how, and for
// how long.
type recoverer interface {
	Recovery(t fleet.Tenant) string
}

// provisioners are the sources that are one, for the error of those that are not.
var provisioners = []string{"neon", "schemas", "catalog"}

// provisioner returns the run's source as one that makes and removes tenants; nil, with a mistake, where it does not. What
// chooses among many tenants is a mistake too, since the mode works on the one that tenant-name names.
func provisioner(in *input.Reader, env Env, mode string) Provisioner {
	for _, name := range []string{"tenants", "shard", "canary"} {
		if in.Given(name) {
			in.Mistake(name, "has no meaning in mode %s, which works on the one tenant of tenant-name; leave it out", mode)
		}
	}
	if env.Source == nil {
		return nil // a mistake already
	}
	p, ok := env.Source.(Provisioner)
	if !ok {
		in.Mistake("tenant-source", "%s is for sources that can make and remove tenants: %s", mode, strings.Join(provisioners, ", "))
	}
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
