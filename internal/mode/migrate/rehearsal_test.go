package migrate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
)

// A good file is not to be edited because a copy's server ended or was locked, and what the error knows is not lost.
func TestRemediesOnACopy(t *testing.T) {
	refused := func(code string) error { return &migration.Error{Err: &pgconn.PgError{Code: code}} }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"the file":        {refused("42601"), "correct the file, or the tenant's data, and run again"},
		"locked":          {refused("55P03"), "run again"},
		"ended":           {refused("57P01"), "run again"},
		"cancelled":       {refused("57014"), "run again"},
		"privilege":       {refused("42501"), "the role may not do this"},
		"there already":   {refused("42P07"), "adopt it with baseline"},
		"in transactions": {refused("25001"), "transaction:false"},
	} {
		got := fleet.Remedy(onACopy(fmt.Errorf("rehearse: %w", c.err)))
		if !strings.Contains(got, c.want) || !strings.HasSuffix(got, "; this was a copy, and no tenant was touched") ||
			c.want == "run again" && strings.Contains(got, "file") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := fleet.Remedy(onACopy(errors.New("no answer"))); got != "" {
		t.Errorf("no migration's: %s", got)
	}
}
