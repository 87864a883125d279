package action

import (
	"fmt"
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/mode/branch"
	"github.com/org/neon-tenants-action/internal/mode/health"
	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/mode/secretsync"
	"github.com/org/neon-tenants-action/internal/mode/tenant"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// entry is one value of the input mode.
type entry struct {
	// concurrency is how many tenants are worked on at once by default.
	concurrency int
	// creates is true if the mode creates tenants, so that its source reads the inputs about new ones.
	creates bool
	// one is true if the mode works on exactly one tenant, so that an entry of the input tenants that matches nothing is
	// an error.
	one bool
	// retries is true if a run of the mode can go on with the tenants that another one left.
	retries bool
	// finds returns the source of a mode that finds tenants itself, beside those of the given one; nil if the inputs name
	// none.
	finds func(in *input.Reader, given fleet.Source) fleet.Source
	// construct reads the mode's inputs, leaves mistakes with their reader, makes no call, and returns what the mode
	// does.
	construct func(in *input.Reader, env mode.Env) mode.Work
	// read replaces construct if the mode works on no tenants. It reads the mode's inputs in the same way, and returns
	// a function that creates the run's record from existing files. The run adds its own notices to the record, and
	// reports it.
	read func(in *input.Reader) func() (report.Run, error)
}

var modes = map[string]entry{
	"backup":          {concurrency: 8, construct: backup.New, retries: true},
	"create-branches": {concurrency: 8, construct: branch.NewCreate, retries: true},
	"create-tenant":   {concurrency: 1, construct: tenant.NewCreate, creates: true},
	"delete-branches": {concurrency: 8, construct: branch.NewDelete, retries: true},
	"drop-tenant":     {concurrency: 1, construct: tenant.NewDrop},
	"health-check":    {concurrency: 32, construct: health.New, retries: true},
	"list-tenants":    {concurrency: 1, construct: tenant.NewList},
	"migrate":         {concurrency: 32, construct: migrate.New, retries: true},
	"report":          {read: readReports},
	"reset-branches":  {concurrency: 8, construct: branch.NewReset, retries: true},
	"restore":         {concurrency: 1, construct: backup.NewRestore, one: true},
	"sync-secrets":    {concurrency: 4, construct: secretsync.New, retries: true},
	"verify-backups":  {concurrency: 4, construct: backup.NewDrill, finds: backup.NewChains},
	"undo":            {concurrency: 8, construct: branch.NewUndo},
}

// modeNames lists the modes.
func modeNames() []string { return slices.Sorted(maps.Keys(modes)) }

// modeNamed returns the mode of that name. Its error lists the names.
func modeNamed(name string) (entry, error) {
	m, ok := modes[name]
	if !ok {
		return entry{}, fmt.Errorf("%q is not a mode; the modes are %s", name, words.List(modeNames(), 0))
	}
	return m, nil
}
