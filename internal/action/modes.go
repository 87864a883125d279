package action

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/mode/health"
	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/mode/secretsync"
	"github.com/org/neon-tenants-action/internal/mode/tenant"
	"github.com/org/neon-tenants-action/internal/report"
)

// Mode is one value of the input mode.
type Mode struct {
	// Concurrency is how many tenants are worked on at once where the user does not say.
	Concurrency int
	// Creates says that the mode creates tenants, so that its source reads the inputs about new ones.
	Creates bool
	// One says that the mode works on exactly one tenant, so that an entry of the input tenants that matches nothing is an
	// error.
	One bool
	// New reads the mode's inputs, leaves its mistakes with the reader, makes no call, and returns what is to be done.
	New func(in *input.Reader, env mode.Env) mode.Work
	// Read is set in place of New where a mode works on no tenants, and asks no source for them: it reads the mode's inputs
	// as New does, and returns what makes the run's record out of what is there. The report file, the notices and the end
	// of the run are added to it.
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

// modeNamed returns the mode of that name. The error lists the names.
func modeNamed(name string) (Mode, error) {
	m, ok := modes[name]
	if !ok {
		return Mode{}, fmt.Errorf("%q is not a mode; the modes are %s", name, strings.Join(modeNames(), ", "))
	}
	return m, nil
}
