// Package tenant is the modes that begin, list and end tenants: create-tenant, list-tenants and drop-tenant.
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
)

// CreateDetail is what the report file says of a tenant that was created, or was there.
type CreateDetail struct {
	ID         string          `json:"id,omitempty"` // of the project, schema or row; empty where a dry run would make it
	Created    bool            `json:"created"`      // by this run
	Registered bool            `json:"registered"`   // listed for the fleet now
	Migration  *migrate.Detail `json:"migration,omitempty"`
}

// create is the mode, its inputs read.
type create struct {
	env     mode.Env
	source  fleet.Provisioner
	name    string
	migrate mode.Work // mode migrate's own

	listed bool // the source lists the tenant
}

// NewCreate makes the job that brings one tenant into being: made, migrated, and registered last.
func NewCreate(in *input.Reader, env mode.Env) mode.Work {
	c := &create{env: env, source: provisioner(in, env, "create-tenant"), name: in.Required("tenant-name")}
	if c.source != nil && c.name != "" {
		if err := c.source.CheckName(c.name); err != nil {
			in.Mistake("tenant-name", "%q %v; choose another name", c.name, err)
		}
	}
	c.migrate = migrate.NewUnguarded(in, env)
	return mode.Work{Choose: c.choose, Job: c.run, Finish: createdID, Close: c.migrate.Close, Facts: createFacts}
}

// choose finds the tenant among those that are listed, or announces one that is not there yet.
func (c *create) choose(all []fleet.Tenant, _ bool) ([]fleet.Tenant, error) {
	t, listed, err := namesake(all, c.name, "where another run is creating it at this moment, wait for its end and run again; else choose another name, or drop the one that was made by mistake")
	if err != nil {
		return nil, err
	}
	if listed && t.Name != c.name {
		err := fmt.Errorf("tenant-name: %q is the id of the tenant %q", c.name, t.Name)
		return nil, fleet.WithRemedy(err, "choose another name: patterns that name a tenant match names and ids alike")
	}
	if c.listed = listed; !listed {
		t = fleet.Tenant{Name: c.name}
	}
	return []fleet.Tenant{t}, nil
}

// run makes the tenant, or takes up what an earlier run left: each step is one that may be repeated.
func (c *create) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if c.env.DryRun {
		return c.foresee(ctx, t, log)
	}
	made, isNew, err := c.source.Create(ctx, c.name, log)
	d := CreateDetail{ID: made.ID, Created: isNew, Registered: c.listed}
	if err != nil {
		return fleet.Outcome{Detail: d}, fmt.Errorf("create tenant %q: %w", c.name, err)
	}
	t.ID, t.Key = made.ID, cmp.Or(t.Key, fleet.Slug(made.ID))
	o, err := c.bring(ctx, t, log)
	if m, ok := o.Detail.(migrate.Detail); ok {
		d.Migration = &m
	}
	if err == nil {
		if err = c.source.Register(ctx, t); err != nil {
			err = fmt.Errorf("register tenant %q: %w", c.name, err)
		}
		d.Registered = err == nil
	}
	var notes []string
	if isNew {
		notes = append(notes, "created")
	}
	if o.Note != "" {
		notes = append(notes, o.Note)
	}
	if d.Registered && !c.listed && !isNew {
		notes = append(notes, "registered")
	}
	o.Unchanged = o.Unchanged && len(notes) == 0
	o.Detail, o.Note = d, strings.Join(notes, ", ")
	if err != nil {
		err = c.stays(err)
	}
	return o, err
}

// bring migrates the tenant as mode migrate does.
func (c *create) bring(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if c.migrate.Prepare != nil {
		if err := c.migrate.Prepare(ctx, mode.Found{Tenants: []fleet.Tenant{t}, All: []fleet.Tenant{t}}); err != nil {
			return fleet.Outcome{}, err
		}
	}
	return c.migrate.Job(ctx, t, log)
}

// stays adds to why the tenant is not finished that nothing of it was taken back, and what completes it.
func (c *create) stays(err error) error {
	again := "run again with the same tenant-name, which goes on from there"
	if first := fleet.Remedy(err); first != "" {
		again = first + "; then " + again
	}
	where := "the tenant is made and stays as it is, in no tracker or catalog yet"
	if c.listed {
		where = "the tenant stays as it is"
	}
	return fleet.WithRemedy(fmt.Errorf("%w; %s", err, where), again)
}

// foresee says what would be done, and changes nothing.
func (c *create) foresee(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if !c.listed {
		return fleet.Outcome{Note: "would be created and migrated", Detail: CreateDetail{}}, nil
	}
	o, err := c.bring(ctx, t, log)
	d := CreateDetail{ID: t.ID, Registered: true}
	if m, ok := o.Detail.(migrate.Detail); ok {
		d.Migration = &m
	}
	o.Detail = d
	return o, err
}

// createdID gives out the tenant's id, which the run's own list of tenants does not have yet.
func createdID(_ context.Context, results []fleet.Result) (mode.Ending, error) {
	if len(results) != 1 {
		return mode.Ending{}, nil
	}
	d, _ := results[0].Outcome.Detail.(CreateDetail)
	if d.ID == "" {
		return mode.Ending{}, nil
	}
	t := results[0].Tenant
	before := t.ID
	t.ID, t.Key = d.ID, cmp.Or(t.Key, fleet.Slug(d.ID))
	return mode.Ending{
		Amendments: []fleet.Amendment{{ID: before, Created: t}},
		Outputs:    map[string]string{"tenant-id": d.ID},
	}, nil
}

// createFacts returns the facts of the tenant's first migration, if it got that far.
func createFacts(r fleet.Result) catalog.Facts {
	d, _ := r.Outcome.Detail.(CreateDetail)
	if d.Migration == nil {
		return catalog.Facts{}
	}
	return d.Migration.Facts(r)
}
