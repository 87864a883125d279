package action

import (
	"fmt"
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/mode/health"
	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/mode/secretsync"
	"github.com/org/neon-tenants-action/internal/mode/tenant"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// Mode is one value of the input mode.
type Mode struct {
	// Concurrency is how many tenants are worked on at once by default.
	Concurrency int
	// Creates is true if the mode creates tenants, so that its source reads the inputs about new ones.
	Creates bool
	// One is true if the mode works on exactly one tenant, so that an entry of the input tenants that matches nothing
	// is an error.
	One bool
	// New reads the mode's inputs, leaves mistakes with their reader, makes no call, and returns what the mode does.
	New func(in *input.Reader, env mode.Env) mode.Work
	// Read replaces New if the mode works on no tenants. It reads the mode's inputs as New does, and returns a function
	// that makes the run's record of existing files. The run adds its own notices to the record, and reports it.
	Read func(in *input.Reader) func() (report.Run, error)
}

var modes = map[string]Mode{
	"backup":        {Concurrency: 8, New: backup.New},
	"create-tenant": {Concurrency: 1, Creates: true, New: tenant.NewCreate},
	"drop-tenant":   {Concurrency: 1, New: tenant.NewDrop},
	"health-check":  {Concurrency: 32, New: health.New},
	"list-tenants":  {Concurrency: 1, New: tenant.NewList},
	"migrate":       {Concurrency: 32, New: migrate.New},
	"report":        {Read: readReports},
	"restore":       {Concurrency: 1, One: true, New: backup.NewRestore},
	"sync-secrets":  {Concurrency: 4, New: secretsync.New},
}

// modeNames lists the modes.
func modeNames() []string { return slices.Sorted(maps.Keys(modes)) }

// modeNamed returns the mode of that name. Its error lists the names.
func modeNamed(name string) (Mode, error) {
	m, ok := modes[name]
	if !ok {
		return Mode{}, fmt.Errorf("%q is not a mode; the modes are %s", name, words.List(modeNames(), 0))
	}
	return m, nil
}
