// Package branch is the modes about branches of the tenants' Neon projects. Those for previews and for development
// (create-branches, reset-branches and delete-branches) work on the branch of one name in every selected tenant, and
// do nothing twice. undo takes tenants back to the branches that a run of mode migrate made of them.
package branch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/records"
)

// Detail is what the report file says about a tenant's branch, and the output branches too.
type Detail struct {
	Name     string `json:"name"`
	ID       string `json:"id,omitempty"` // empty if there is no such branch, as in a dry run that would create it
	ParentID string `json:"parent_id,omitempty"`
	// ExpiresAt is when Neon deletes it by itself; nil: never.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// Change is empty if something failed before it is known.
	Change change `json:"change,omitempty"`
	// Variable is the environment variable that holds its connection string in the job's later steps.
	Variable string `json:"variable,omitempty"`
}

// change is what became of a branch; in a dry run, what would have.
type change string

const (
	created   change = "created"
	reset     change = "reset"
	deleted   change = "deleted"
	unchanged change = "unchanged"
)

// previews is one of the three modes with its inputs read.
type previews struct {
	env     mode.Env
	source  fleet.Brancher
	name    string
	life    time.Duration // how long a branch lives; 0: nothing is said about it
	exports *exports      // nil: none
	records *mode.Records // that the catalog has
}

// NewCreate is mode create-branches.
func NewCreate(in *input.Reader, env mode.Env) mode.Work {
	p := readPreviews(in, env)
	p.life = input.Parse(in, "branch-expires-in", mode.ParseBranchLife)
	p.exports = readExports(in)
	return mode.Work{Prepare: p.prepare, Job: p.create, Finish: p.finish, Facts: p.facts}
}

// NewReset is mode reset-branches.
func NewReset(in *input.Reader, env mode.Env) mode.Work {
	p := readPreviews(in, env)
	p.life = input.Parse(in, "branch-expires-in", mode.ParseBranchLife)
	p.exports = readExports(in)
	return mode.Work{Prepare: p.prepare, Job: p.reset, Finish: p.finish, Facts: p.facts}
}

// NewDelete is mode delete-branches.
func NewDelete(in *input.Reader, env mode.Env) mode.Work {
	p := readPreviews(in, env)
	return mode.Work{Prepare: p.prepare, Job: p.delete, Finish: p.finish, Facts: p.facts}
}

// readPreviews reads the inputs that the three modes have in common.
func readPreviews(in *input.Reader, env mode.Env) *previews {
	p := &previews{env: env, name: readName(in), records: mode.Remembered(env)}
	p.source, _ = mode.Able[fleet.Brancher](in, env, "tenant-source",
		"tenants of this source have no branches; choose another mode")
	return p
}

func (p *previews) prepare(ctx context.Context, found mode.Found) error {
	p.records.Load(ctx, found)
	if p.exports == nil {
		return nil
	}
	return p.exports.assign(found.Tenants)
}

// facts clears what the catalog knows of a tenant if that is about this branch, and the branch may have changed.
func (p *previews) facts(r fleet.Result) catalog.Facts {
	record, _ := p.records.Book().Of(r.Tenant.ID)
	if r.State == fleet.Unchanged || !records.OnBranch(record.Place, p.name) {
		return catalog.Facts{}
	}
	return catalog.Facts{Record: &records.Record{Place: record.Place}}
}

// create makes sure that the tenant has the branch.
func (p *previews) create(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	b, err := p.find(ctx, t)
	switch {
	case err != nil:
		return fleet.Outcome{}, err
	case b == nil:
		return p.add(ctx, t, log)
	}
	return p.keep(ctx, t, b, log)
}

// add creates the branch.
func (p *previews) add(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if err := p.exports.nameless(t); err != nil {
		return fleet.Outcome{}, err
	}
	if p.env.DryRun {
		o := fleet.Outcome{Note: "would be created", Detail: Detail{Name: p.name, Change: created}}
		return o, p.checkParent(ctx, t)
	}
	b, url, err := p.source.CreateBranch(ctx, t, fleet.BranchSpec{Name: p.name, ExpiresAt: p.end()})
	if errors.As(err, new(*fleet.ExistingBranch)) { // another run was faster
		found, again := p.find(ctx, t)
		if again != nil || found == nil {
			return fleet.Outcome{}, errors.Join(err, again)
		}
		return p.keep(ctx, t, found, log)
	}
	if err != nil {
		return fleet.Outcome{}, p.explainCreate(ctx, t, err)
	}
	mode.Hide(p.env, log, url)
	log.Info("created the branch", "name", b.Name, "id", b.ID, "parent", b.ParentID)
	return p.done(ctx, t, b, url, created, log)
}

// keep leaves a branch as it is. If it is to expire, its time starts again.
func (p *previews) keep(ctx context.Context, t fleet.Tenant, b *existing, log *slog.Logger) (fleet.Outcome, error) {
	if err := p.renew(ctx, t, &b.Branch); err != nil {
		return fleet.Outcome{Detail: detail(b.Branch, unchanged)}, err
	}
	o, err := p.done(ctx, t, b.Branch, fleet.Secret{}, unchanged, log)
	o.Unchanged, o.Warnings = err == nil, b.warnings()
	switch {
	case p.life > 0 && p.env.DryRun:
		o.Note = "its expiry would be renewed"
	case p.life > 0:
		o.Note = "expiry renewed"
	}
	return o, err
}

// reset gives the branch the data that its parent has now. One that does not exist, or no longer, is created: a push
// to a pull request whose branch has expired gets a new one.
func (p *previews) reset(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	b, err := p.find(ctx, t)
	switch {
	case err != nil:
		return fleet.Outcome{}, err
	case b == nil:
		return p.add(ctx, t, log)
	case p.env.DryRun:
		return fleet.Outcome{Note: "would be reset", Detail: detail(b.Branch, reset)}, nil
	}
	if err := p.exports.nameless(t); err != nil {
		return fleet.Outcome{}, err
	}
	if err := p.source.RestoreBranch(ctx, t, b.ID, b.ParentID, time.Time{}, ""); err != nil {
		return fleet.Outcome{Detail: detail(b.Branch, "")}, p.explainChange(ctx, t, b.Branch, err)
	}
	log.Info("reset the branch", "name", b.Name, "id", b.ID, "parent", b.ParentID)
	warnings := b.warnings()
	if err := p.afterReset(ctx, t, &b.Branch); err != nil {
		return fleet.Outcome{Detail: detail(b.Branch, reset)}, err
	}
	o, err := p.done(ctx, t, b.Branch, fleet.Secret{}, reset, log)
	o.Warnings = warnings
	return o, err
}

// afterReset brings a branch's expiry up to date: a reset starts the time of one that expires again.
func (p *previews) afterReset(ctx context.Context, t fleet.Tenant, b *fleet.Branch) error {
	if p.life > 0 || b.ExpiresAt.IsZero() {
		return p.renew(ctx, t, b)
	}
	now, err := p.find(ctx, t)
	if err == nil && now != nil {
		*b = now.Branch
	}
	return err
}

// delete makes sure that the tenant does not have the branch.
func (p *previews) delete(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	b, err := p.find(ctx, t)
	switch {
	case err != nil:
		return fleet.Outcome{}, err
	case b == nil:
		return fleet.Outcome{Unchanged: true, Note: "no such branch", Detail: Detail{Name: p.name, Change: unchanged}}, nil
	case p.env.DryRun:
		return fleet.Outcome{Note: "would be deleted", Detail: detail(b.Branch, deleted)}, nil
	}
	if err := p.source.DeleteBranch(ctx, t, b.ID); err != nil {
		return fleet.Outcome{Detail: detail(b.Branch, "")}, p.explainChange(ctx, t, b.Branch, err)
	}
	log.Info("deleted the branch", "name", b.Name, "id", b.ID)
	return fleet.Outcome{Note: string(deleted), Detail: detail(b.Branch, deleted)}, nil
}

// renew lets the branch expire after the time that branch-expires-in asks for, from now on.
func (p *previews) renew(ctx context.Context, t fleet.Tenant, b *fleet.Branch) error {
	if p.life == 0 || p.env.DryRun {
		return nil
	}
	end := p.end()
	if err := p.source.ExpireBranch(ctx, t, b.ID, end); err != nil {
		return p.explainChange(ctx, t, *b, err)
	}
	b.ExpiresAt = end
	return nil
}

// end is when a branch of this moment expires, to the second, as Neon keeps it; zero: never.
func (p *previews) end() time.Time {
	if p.life == 0 {
		return time.Time{}
	}
	return p.source.Now().UTC().Add(p.life).Truncate(time.Second)
}

// done is the outcome of a branch that exists. url is its direct connection string, if that is known.
func (p *previews) done(
	ctx context.Context, t fleet.Tenant, b fleet.Branch, url fleet.Secret, what change, log *slog.Logger,
) (fleet.Outcome, error) {
	d := detail(b, what)
	o := fleet.Outcome{Detail: d}
	if what != unchanged {
		o.Note = string(what)
	}
	if p.env.DryRun || p.exports == nil {
		return o, nil
	}
	if err := p.exports.nameless(t); err != nil {
		return o, err
	}
	url, err := p.exports.resolve(ctx, p.source, t, b.ID, url)
	if err != nil {
		return o, fmt.Errorf("the branch is there, but not its connection string: %w", err)
	}
	mode.Hide(p.env, log, url)
	d.Variable = p.exports.add(t, url)
	o.Detail = d
	return o, nil
}

func detail(b fleet.Branch, what change) Detail {
	d := Detail{Name: b.Name, ID: b.ID, ParentID: b.ParentID, Change: what}
	if !b.ExpiresAt.IsZero() {
		at := b.ExpiresAt.UTC()
		d.ExpiresAt = &at
	}
	return d
}
