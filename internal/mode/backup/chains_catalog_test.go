package backup

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// readsAnywhere is a source that lists its tenants from whatever database it is asked about.
type readsAnywhere struct{ fleet.Source }

func (readsAnywhere) ReadsFrom(postgres.Target) bool { return true }

// A drill of tenants that a catalog lists reads from it, so that a new one gets its tables first.
func TestChainsReadFromWhereTheirSourceDoes(t *testing.T) {
	for want, given := range map[bool]fleet.Source{true: readsAnywhere{}, false: nil} {
		if got := (&Chains{given: given}).ReadsFrom(postgres.Target{}); got != want {
			t.Errorf("with %T: %t", given, got)
		}
	}
}
