package report

import (
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// FileWaves are a run's waves in the report file.
type FileWaves struct {
	// Reached is the number of the last wave that was reached; 0 if the run ended before the first. Of a merged report it
	// is the lowest of its runs.
	Reached int `json:"reached"`
	// Each holds every planned wave, in order.
	Each []FileWave `json:"each"`
	// Beyond is how many tenants are in no wave, because the last one ends before them.
	Beyond int `json:"beyond"`
}

// FileWave is one wave in the report file.
type FileWave struct {
	Number int `json:"number"`
	// Canary is true for the canaries.
	Canary bool `json:"canary"`
	// Until is where the wave ends, as the input waves has it; empty for the canaries.
	Until  string `json:"until"`
	Totals Totals `json:"totals"`
	// StartedAt is zero, and absent from the file, if the wave was not reached.
	StartedAt time.Time `json:"started_at,omitzero"`
	ElapsedMS int64     `json:"elapsed_ms"`
}

func fileWaves(r Run) *FileWaves {
	if len(r.Waves.Each) == 0 {
		return nil
	}
	f := FileWaves{Reached: r.Waves.Reached, Beyond: r.inWave(0).Total}
	for i, w := range r.Waves.Each {
		f.Each = append(f.Each, FileWave{
			Number: i + 1, Canary: w.Canary, Until: w.Until, Totals: r.inWave(i + 1),
			StartedAt: fileTime(w.Started), ElapsedMS: w.Elapsed.Milliseconds(),
		})
	}
	return &f
}

// waves returns what the file was written from.
func (f *FileWaves) waves() Waves {
	if f == nil {
		return Waves{}
	}
	w := Waves{Reached: f.Reached}
	for _, one := range f.Each {
		w.Each = append(w.Each, fleet.WaveResult{
			Wave:    fleet.Wave{Size: one.Totals.Total, Until: one.Until, Canary: one.Canary},
			Started: one.StartedAt, Elapsed: time.Duration(one.ElapsedMS) * time.Millisecond,
		})
	}
	return w
}

// checkWaves refuses waves and tenants that do not belong together. last is the tenant in the highest wave.
func (f File) checkWaves(last TenantEntry) error {
	waves := 0
	if f.Waves != nil {
		waves = len(f.Waves.Each)
		if f.Waves.Reached < 0 || f.Waves.Reached > waves {
			return fmt.Errorf("it has %d waves and says that wave %d was reached", waves, f.Waves.Reached)
		}
	}
	if last.Wave > waves {
		return fmt.Errorf("tenant %q is in wave %d, and there are %d", last.Name, last.Wave, waves)
	}
	return nil
}
