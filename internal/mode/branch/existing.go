package branch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// existing is a branch of the name.
type existing struct {
	fleet.Branch
	own fleet.Branch // the one that the tenant is
}

// warnings say that the branch is not a child of the tenant's own, so that it has other data. An undo does that: the
// tenant's earlier branches become children of the branch that keeps what it was.
func (b *existing) warnings() []string {
	if b.ParentID == b.own.ID {
		return nil
	}
	return []string{fmt.Sprintf("branch %q is not a child of the tenant's branch %q; delete it with delete-branches and "+
		"it is created from there", b.Name, b.own.Name)}
}

// busyPause is how often to look whether another run has finished with a branch, which takes about a second.
const busyPause = time.Second

// find returns the tenant's branch of exactly the name, once no other run is creating or resetting it; nil if there is
// none. The error of one that no mode here may touch says why.
func (p *previews) find(ctx context.Context, t fleet.Tenant) (*existing, error) {
	if err := p.source.CanBranch(t); err != nil {
		return nil, err
	}
	for {
		b, err := p.look(ctx, t)
		if err != nil || b == nil || !b.Busy || p.env.DryRun {
			return b, err
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another run that creates or resets branch %q: %w", p.name, context.Cause(ctx))
		}
	}
}

// look is find, without waiting.
func (p *previews) look(ctx context.Context, t fleet.Tenant) (*existing, error) {
	like, err := p.source.Branches(ctx, t, p.name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(like, func(b fleet.Branch) bool { return b.Name == p.name })
	if i < 0 {
		return nil, nil
	}
	if why := untouchable(like[i]); why != "" {
		return nil, refuse(like[i], why)
	}
	own, err := p.source.OwnBranch(ctx, t)
	if err != nil {
		return nil, err
	}
	if own.ID == like[i].ID {
		return nil, refuse(own, "the branch that the tenant is")
	}
	return &existing{like[i], own}, nil
}

// untouchable returns what a branch is that is never a preview; empty if it may be one.
func untouchable(b fleet.Branch) string {
	switch {
	case b.Default:
		return "the project's default branch"
	case b.Protected:
		return "protected"
	case b.ParentID == "":
		return "a root branch, which has no parent to come from"
	}
	return ""
}

func refuse(b fleet.Branch, why string) error {
	return fleet.WithRemedy(fmt.Errorf("branch %q is left alone: it is %s", b.Name, why),
		"give another branch-name, one that no branch of your own has, such as preview/pr-12")
}

// checkParent returns why a tenant can have no new branches; nil if it can.
func (p *previews) checkParent(ctx context.Context, t fleet.Tenant) error {
	own, err := p.source.OwnBranch(ctx, t)
	if err != nil || own.ExpiresAt.IsZero() {
		return err
	}
	return fleet.WithRemedy(
		fmt.Errorf("branch %q, which it is to come from, expires, and so can have no branches", own.Name),
		"set neon-branch to a branch that does not expire, or leave it out for each project's default branch")
}

// explainCreate adds why a branch could not be created, where the branch that it was to come from shows it.
func (p *previews) explainCreate(ctx context.Context, t fleet.Tenant, err error) error {
	if ctx.Err() != nil || remedies.Of(err) != "" {
		return err
	}
	if why := p.checkParent(ctx, t); remedies.Of(why) != "" {
		return fleet.WithRemedy(fmt.Errorf("%w; %w", err, why), remedies.Of(why))
	}
	return err
}

// explainChange adds why a branch could be neither reset nor deleted nor made to expire, where others show it.
func (p *previews) explainChange(ctx context.Context, t fleet.Tenant, b fleet.Branch, err error) error {
	if ctx.Err() != nil || remedies.Of(err) != "" {
		return err
	}
	all, listErr := p.source.Branches(ctx, t, "")
	if listErr != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(other fleet.Branch) bool { return other.ParentID != b.ID })
	if len(all) == 0 {
		return err
	}
	const shown = 3
	children := words.ListFunc(all, shown, func(b fleet.Branch) string { return fmt.Sprintf("%q", b.Name) })
	return fleet.WithRemedy(fmt.Errorf("%w; it has branches of its own: %s", err, children),
		"delete those first, in Neon's console or with mode delete-branches")
}
