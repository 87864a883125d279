package migrate

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// canCreate is a source whose only answer is whether a tenant's database can be created.
type canCreate struct {
	fleet.Creator
	cannot error
}

func (c canCreate) CanCreate(fleet.Tenant) error { return c.cannot }

func TestCreateMissing(t *testing.T) {
	missing, refused := &pgconn.PgError{Code: "3D000", Message: "no such database"}, &pgconn.PgError{Code: "28P01"}
	elsewhere := fleet.WithRemedy(errors.New("it is on another server"), "create it there")
	for name, c := range map[string]struct {
		err     error
		creator fleet.Creator
		create  bool
		is      []error // all in the error's tree
		remedy  string
	}{
		"missing":         {err: missing, creator: canCreate{}, create: true},
		"not asked for":   {err: missing, is: []error{missing}},
		"another failure": {err: refused, creator: canCreate{}, is: []error{refused}},
		"cannot be created": {err: missing, creator: canCreate{cannot: elsewhere}, is: []error{missing, elsewhere},
			remedy: "create it there"},
	} {
		create, err := createMissing(c.err, c.creator, fleet.Tenant{ID: "acme"})
		if create != c.create || (err == nil) != c.create || fleet.Remedy(err) != c.remedy {
			t.Errorf("%s: got %t, %v (%s)", name, create, err, fleet.Remedy(err))
		}
		for _, want := range c.is {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v does not wrap %v", name, err, want)
			}
		}
	}
}
