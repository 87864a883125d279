// Package tenant is the modes that create, list and drop tenants: create-tenant, list-tenants and drop-tenant.
package tenant

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// CreateDetail is what the report file says about a tenant that was created, or existed already.
type CreateDetail struct {
	ID         string          `json:"id,omitempty"` // empty if a dry run would create the tenant
	Created    bool            `json:"created"`      // by this run
	Registered bool            `json:"registered"`   // listed for the fleet, since this run or before
	Migration  *migrate.Detail `json:"migration,omitempty"`
	Record     *records.Record `json:"record,omitempty"` // nil in a dry run
}

// withMigration adds what its migration came to, whose record is the tenant's.
func (d *CreateDetail) withMigration(o fleet.Outcome) {
	if m, ok := o.Detail.(migrate.Detail); ok {
		d.Record, m.Record = m.Record, nil
		d.Migration = &m
	}
}

// create is the mode with its inputs read.
type create struct {
	env     mode.Env
	source  fleet.Provisioner
	name    string
	migrate migrate.Unguarded

	listed bool // the source lists the tenant; set by choose
}

// NewCreate is mode create-tenant: it creates one tenant, migrates it and registers it last. Every step may be
// repeated, so running the mode again completes what an earlier run left unfinished.
func NewCreate(in *input.Reader, env mode.Env) mode.Work {
	c := &create{env: env, source: provisioner(in, env, "create-tenant"), name: in.Required("tenant-name")}
	if c.source != nil && c.name != "" {
		if err := c.source.CheckName(c.name); err != nil {
			in.Mistake("tenant-name", "%q %v; choose another name", c.name, err)
		}
	}
	c.migrate = migrate.NewUnguarded(in, env)
	return mode.Work{Choose: c.choose, Job: c.run, Finish: c.finish, Close: c.migrate.Close, Facts: createFacts,
		FileSets: c.migrate.FileSets}
}

func (c *create) choose(all []fleet.Tenant, _ bool) (_ []fleet.Tenant, err error) {
	t, listed, err := toCreate(all, c.name)
	c.listed = listed
	if err != nil {
		return nil, err
	}
	return []fleet.Tenant{t}, nil
}

// toCreate returns the listed tenant of that name, or a new one without an id.
func toCreate(all []fleet.Tenant, name string) (t fleet.Tenant, listed bool, err error) {
	t, listed, err = namesake(all, name, "if another run is creating it right now, wait for that to end and run "+
		"again; otherwise choose another name, or drop the one that was created by mistake")
	switch {
	case err != nil:
		return fleet.Tenant{}, false, err
	case !listed:
		return fleet.Tenant{Name: name}, false, nil
	case t.Name != name:
		return fleet.Tenant{}, false, fleet.WithRemedy(
			fmt.Errorf("tenant-name: %q is the id of the tenant %q", name, t.Name),
			"choose another name, because the patterns in tenants match names and ids alike")
	}
	return t, true, nil
}

// run creates the tenant, or continues where an earlier run ended.
func (c *create) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if c.env.DryRun {
		return c.plan(ctx, t, log)
	}
	if !c.listed {
		// The source looks into what exists; what is recorded since then is seen under the migration's lock.
		c.migrate.OnlyBeginnings()
	}
	found, created, err := c.source.Create(ctx, c.name, c.migrate.Versions, log)
	d := CreateDetail{ID: found.ID, Created: created, Registered: c.listed}
	if err != nil {
		return fleet.Outcome{Detail: d}, fmt.Errorf("create tenant %q: %w", c.name, err)
	}
	t.ID, t.Key = found.ID, cmp.Or(t.Key, fleet.IDKey(found.ID))
	migrated, err := c.applyMigrations(ctx, t, log)
	d.withMigration(migrated)
	if err == nil {
		if err = c.source.Register(ctx, t); err != nil {
			err = fmt.Errorf("register tenant %q: %w", c.name, err)
		}
		d.Registered = err == nil
	}
	return d.outcome(migrated, c.listed), keptOnError(err, c.listed)
}

// applyMigrations migrates the tenant as mode migrate does.
func (c *create) applyMigrations(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if err := c.migrate.Prepare(ctx, mode.Found{Tenants: []fleet.Tenant{t}, All: []fleet.Tenant{t}}); err != nil {
		return fleet.Outcome{}, err
	}
	return c.migrate.Job(ctx, t, log)
}

// plan says what a run would do.
func (c *create) plan(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if !c.listed {
		exists, err := c.source.CheckExisting(ctx, c.name, c.migrate.Versions, log)
		note := "would be created and migrated"
		if exists {
			note = "exists, and would be migrated and registered"
		}
		return fleet.Outcome{Note: note, Detail: CreateDetail{}}, err
	}
	o, err := c.applyMigrations(ctx, t, log)
	d := CreateDetail{ID: t.ID, Registered: true}
	d.withMigration(o)
	o.Detail = d
	return o, err
}

// outcome adds to what its migration came to whether the tenant was created and registered. listed says that it had
// been registered before.
func (d CreateDetail) outcome(migrated fleet.Outcome, listed bool) fleet.Outcome {
	var notes []string
	if d.Created {
		notes = append(notes, "created")
	}
	if migrated.Note != "" {
		notes = append(notes, migrated.Note)
	}
	if d.Registered && !listed && !d.Created {
		notes = append(notes, "registered")
	}
	migrated.Unchanged = migrated.Unchanged && len(notes) == 0
	migrated.Note, migrated.Detail = strings.Join(notes, ", "), d
	return migrated
}

// keptOnError adds to an error what it left: nothing is undone, and another run completes the tenant.
func keptOnError(err error, listed bool) error {
	if err == nil {
		return nil
	}
	state := "the tenant was created and is kept, but is not registered yet"
	if listed {
		state = "the tenant is kept as it is"
	}
	return fleet.WithRemedy(fmt.Errorf("%w; %s", err, state),
		thenAgain(err, "run again with the same tenant-name to continue"))
}

// thenAgain puts an error's own remedy before the advice to run again.
func thenAgain(err error, again string) string {
	if first := remedies.Of(err); first != "" {
		return first + "; then " + again
	}
	return again
}

// finish returns the output, and the files to which the tenant's record refers.
func (c *create) finish(_ context.Context, results []fleet.Result) (mode.Ending, error) {
	return c.migrate.WithFiles(createdID(results)), nil
}

// createdID returns the output tenant-id, and amends the result of a tenant that had no id when it was announced.
func createdID(results []fleet.Result) mode.Ending {
	if len(results) != 1 {
		return mode.Ending{}
	}
	d, _ := results[0].Outcome.Detail.(CreateDetail)
	if d.ID == "" {
		return mode.Ending{}
	}
	t := results[0].Tenant
	before := t.ID
	t.ID, t.Key = d.ID, cmp.Or(t.Key, fleet.IDKey(d.ID))
	return mode.Ending{
		Amendments: []fleet.Amendment{{ID: before, Created: t}},
		Outputs:    map[string]string{"tenant-id": d.ID},
	}
}

// createFacts returns the facts of the tenant's migration. If it did not get that far, nothing is known of the tenant.
func createFacts(r fleet.Result) catalog.Facts {
	d, _ := r.Outcome.Detail.(CreateDetail)
	if d.Migration == nil {
		return catalog.Facts{Record: &records.Record{}}
	}
	f := d.Migration.Facts(r)
	f.Record = d.Record
	return f
}
