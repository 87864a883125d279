package report

import (
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// addWaves joins the runs' waves by their numbers. A wave begins when the first of the runs begins it, and takes as
// long as in the slowest; only what every run has reached counts as reached. Runs with different waves, such as those
// of several jobs that each take the fleet a wave further, have none in common.
func (m *merger) addWaves(r *Run) {
	var all []Waves
	for i, f := range m.files {
		if m.counts(i) {
			all = append(all, f.Waves.waves())
		}
	}
	if len(all) == 0 {
		return
	}
	if slices.ContainsFunc(all, func(w Waves) bool { return !w.planned(all[0]) }) {
		for i := range r.Results {
			r.Results[i].Wave = 0
		}
		r.Notices = append(r.Notices, "the runs had different waves, so the merged report shows none")
		return
	}
	r.Waves = all[0]
	for _, w := range all[1:] {
		r.Waves.Reached = min(r.Waves.Reached, w.Reached)
		for i, one := range w.Each {
			to := &r.Waves.Each[i]
			if to.Started.IsZero() || !one.Started.IsZero() && one.Started.Before(to.Started) {
				to.Started = one.Started
			}
			to.Elapsed = max(to.Elapsed, one.Elapsed)
		}
	}
	for i := range r.Waves.Each {
		r.Waves.Each[i].Size = r.inWave(i + 1).Total
	}
}

// counts reports whether a result of this file is in the merged run.
func (m *merger) counts(i int) bool {
	return slices.ContainsFunc(m.files[i].Tenants, func(t TenantEntry) bool { return m.owner[t.ID] == i })
}

// planned reports whether the waves are those of another run, whatever became of them.
func (w Waves) planned(as Waves) bool {
	return slices.EqualFunc(w.Each, as.Each, func(a, b fleet.WaveResult) bool {
		return a.Canary == b.Canary && a.Until == b.Until
	})
}
