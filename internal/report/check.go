package report

import (
	"errors"
	"fmt"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// check refuses what no run writes: a file that was cut or edited, or that another program wrote, must not pass for a
// run in which all went well.
func (f File) check() error {
	const unwritten = "so no run of this action wrote it"
	switch {
	case f.Error == nil && f.Mode == "": // a run whose inputs lack one ends with an error
		return errors.New("it has no mode, " + unwritten)
	case f.StartedAt.IsZero():
		return errors.New("it has no started_at, " + unwritten)
	case f.Tenants == nil:
		return errors.New("it has no list of tenants, " + unwritten)
	}
	for _, t := range f.Tenants {
		if err := t.check(); err != nil {
			return err
		}
	}
	if err := f.checkWaves(); err != nil {
		return err
	}
	if counted := f.Run().Totals(); counted != f.Totals {
		return fmt.Errorf("its totals are %s, and its tenants are %s", f.Totals, counted)
	}
	return nil
}

// check refuses a state that there is none of, and one that contradicts the error.
func (e TenantEntry) check() error {
	switch e.State {
	case fleet.Succeeded, fleet.Unchanged:
		if e.Error != nil {
			return fmt.Errorf("tenant %q is %s and has an error: %s", e.Name, e.State, e.Error.Message)
		}
	case fleet.Failed, fleet.Skipped:
		if e.Error == nil {
			return fmt.Errorf("tenant %q is %s and has no error that says why", e.Name, e.State)
		}
	default:
		return fmt.Errorf("tenant %q has the state %q, and the states are %s, %s, %s and %s", e.Name, e.State,
			fleet.Succeeded, fleet.Unchanged, fleet.Failed, fleet.Skipped)
	}
	return nil
}

// String lists the counts.
func (t Totals) String() string {
	return fmt.Sprintf("%d (%d succeeded, %d unchanged, %d failed, %d skipped)",
		t.Total, t.Succeeded, t.Unchanged, t.Failed, t.Skipped)
}
