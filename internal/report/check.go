package report

import (
	"errors"
	"fmt"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// check refuses what no run writes: a file that was cut or edited, or that another program wrote, must not pass for a
// run in which all went well.
func (x *reading) check(f File) error {
	const unwritten = "so no run of this action wrote it"
	switch {
	case f.Error == nil && f.Mode == "": // a run whose inputs lack one ends with an error
		return errors.New("it has no mode, " + unwritten)
	case f.StartedAt.IsZero():
		return errors.New("it has no started_at, " + unwritten)
	case !x.listed:
		return errors.New("it has no list of tenants, " + unwritten)
	case x.wrong != nil:
		return x.wrong
	case x.counted != f.Totals:
		return fmt.Errorf("its totals are %s, and its tenants are %s", f.Totals, x.counted)
	}
	return f.checkWaves(x.last)
}

// check refuses a state that there is none of, and one that contradicts the error.
func (e TenantEntry) check() error {
	if e.Wave < 0 {
		return fmt.Errorf("tenant %q is in wave %d", e.Name, e.Wave)
	}
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
