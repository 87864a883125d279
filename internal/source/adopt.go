package source

import (
	"errors"
	"fmt"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// existing is a schema or database that has the name of a tenant to create, and was there before this run.
type existing struct {
	name     string // with its kind and where it is: `the database has a schema "acme"`
	list     string // what lists tenants: "public.schema_tracker"
	listed   bool   // there, as a tenant
	recorded bool   // it has the table of applied migrations
	empty    bool
	example  string // of what it holds, if that is known: "table users"
	register string // how to list it by hand
}

// adopt returns an error unless it may be taken for the tenant: because it is listed as that, or because a run that was
// cut off may have left it. Anything else is somebody else's, with the same name by chance.
func (e existing) adopt() error {
	if e.listed || e.recorded || e.empty {
		return nil
	}
	text := fmt.Sprintf("%s that %s does not list, and it holds something that no migration created", e.name, e.list)
	if e.example != "" {
		text += ": " + e.example
	}
	return fleet.WithRemedy(errors.New(text), "choose another name; or, if it is that tenant's, "+e.register)
}
