package branch

import (
	"context"
	"fmt"
	"sync"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// soleVariable holds the connection string if exactly one tenant is selected, whatever that is called.
const soleVariable = "DATABASE_URL"

// maxExported is how many connection strings a job's later steps are given: each of their processes gets them all, and
// Linux allows 2 MiB for everything in an environment.
const maxExported = 1000

// exports are the connection strings for the job's later steps.
type exports struct {
	file     string // GITHUB_ENV
	template secrets.Template
	pooled   bool

	// Set by assign.
	sole    bool // exactly one tenant is selected
	names   map[string]string
	refused map[string]error // by the key of a tenant that has no name

	mu  sync.Mutex
	url map[string]fleet.Secret // by name
}

// readExports reads what is to be exported; nil if nothing is.
func readExports(in *input.Reader) *exports {
	if !in.Bool("export-env") {
		return nil
	}
	e := &exports{
		file: in.Variable("GITHUB_ENV"), template: input.Parse(in, "secret-name", secrets.ParseTemplate),
		pooled: in.Bool("pooled"), url: map[string]fleet.Secret{},
	}
	if e.file == "" {
		in.Mistake("export-env", "there is no GITHUB_ENV, so this is no step of a GitHub workflow and no later step could "+
			"read a variable; leave it out")
	}
	if e.template.String() == "{TENANT}" {
		in.Mistake("secret-name", "{TENANT} alone would let a tenant named path replace the PATH of later steps; write for "+
			"example {TENANT}_DATABASE_URL")
	}
	return e
}

// assign gives each tenant its variable.
func (e *exports) assign(tenants []fleet.Tenant) (err error) {
	if len(tenants) > maxExported {
		return fleet.WithRemedy(
			fmt.Errorf("export-env: %d tenants are selected, and later steps can be given the connection strings of %d",
				len(tenants), maxExported),
			"select fewer with tenants or shard, or set export-env: false and store the strings with mode sync-secrets")
	}
	keys := make([]string, len(tenants))
	for i, t := range tenants {
		keys[i] = t.Key
	}
	e.sole = len(tenants) == 1
	if e.names, e.refused, err = e.template.Names(keys); err != nil {
		return fmt.Errorf("secret-name %s: %w", e.template, err)
	}
	return nil
}

// nameless returns why a tenant has no variable, before anything is done for it.
func (e *exports) nameless(t fleet.Tenant) error {
	if e == nil || e.refused[t.Key] == nil {
		return nil
	}
	return fmt.Errorf("secret-name %s: %w", e.template, e.refused[t.Key])
}

// resolve returns the connection string to export. direct is the direct one, if that is known.
func (e *exports) resolve(
	ctx context.Context, source fleet.Brancher, t fleet.Tenant, branchID string, direct fleet.Secret,
) (fleet.Secret, error) {
	if direct != (fleet.Secret{}) && !e.pooled {
		return direct, nil
	}
	return source.BranchURL(ctx, t, branchID, e.pooled)
}

// add keeps a tenant's connection string for write, and returns the name of its variable.
func (e *exports) add(t fleet.Tenant, url fleet.Secret) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.url[e.names[t.Key]] = url
	return e.names[t.Key]
}

// write gives the connection strings to the job's later steps, and returns the names of their variables. They have been
// masked by then.
func (e *exports) write(results []fleet.Result) (names []string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var variables []report.Output
	for _, r := range results {
		name := e.names[r.Tenant.Key]
		url, ok := e.url[name]
		if !ok || r.State == fleet.Failed {
			continue
		}
		variables = append(variables, report.Output{Name: name, Value: url.Reveal()})
		names = append(names, name)
		if e.sole && name != soleVariable {
			variables = append(variables, report.Output{Name: soleVariable, Value: url.Reveal()})
			names = append(names, soleVariable)
		}
	}
	if len(variables) == 0 {
		return nil, nil
	}
	if err := report.AppendFile(e.file, variables); err != nil {
		return nil, fmt.Errorf("export-env: write the variables for later steps: %w", err)
	}
	return names, nil
}
