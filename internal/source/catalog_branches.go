package source

import (
	"context"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// CanBranch implements [fleet.Brancher]: a tenant whose row names a Neon project has branches.
func (c *Catalog) CanBranch(t fleet.Tenant) error {
	_, _, err := c.project(t)
	return err
}

// OwnBranch is [Neon.OwnBranch] for a tenant whose row names a project.
func (c *Catalog) OwnBranch(ctx context.Context, t fleet.Tenant) (fleet.Branch, error) {
	n, project, err := c.project(t)
	if err != nil {
		return fleet.Branch{}, err
	}
	return n.OwnBranch(ctx, project)
}

// Branches is [Neon.Branches] for a tenant whose row names a project.
func (c *Catalog) Branches(ctx context.Context, t fleet.Tenant, search string) ([]fleet.Branch, error) {
	n, project, err := c.project(t)
	if err != nil {
		return nil, err
	}
	return n.Branches(ctx, project, search)
}

// CreateBranch is [Neon.CreateBranch] for a tenant whose row names a project.
func (c *Catalog) CreateBranch(
	ctx context.Context, t fleet.Tenant, spec fleet.BranchSpec,
) (fleet.Branch, fleet.Secret, error) {
	n, project, err := c.project(t)
	if err != nil {
		return fleet.Branch{}, fleet.Secret{}, err
	}
	return n.CreateBranch(ctx, project, spec)
}

// BranchURL is [Neon.BranchURL] for a tenant whose row names a project.
func (c *Catalog) BranchURL(ctx context.Context, t fleet.Tenant, branchID string, pooled bool) (fleet.Secret, error) {
	n, project, err := c.project(t)
	if err != nil {
		return fleet.Secret{}, err
	}
	return n.BranchURL(ctx, project, branchID, pooled)
}

// RestoreBranch is [Neon.RestoreBranch] for a tenant whose row names a project.
func (c *Catalog) RestoreBranch(
	ctx context.Context, t fleet.Tenant, branchID, sourceID string, at time.Time, preserveAs string,
) error {
	n, project, err := c.project(t)
	if err != nil {
		return err
	}
	return n.RestoreBranch(ctx, project, branchID, sourceID, at, preserveAs)
}

// ExpireBranch is [Neon.ExpireBranch] for a tenant whose row names a project.
func (c *Catalog) ExpireBranch(ctx context.Context, t fleet.Tenant, branchID string, at time.Time) error {
	n, project, err := c.project(t)
	if err != nil {
		return err
	}
	return n.ExpireBranch(ctx, project, branchID, at)
}

// DeleteBranch is [Neon.DeleteBranch] for a tenant whose row names a project.
func (c *Catalog) DeleteBranch(ctx context.Context, t fleet.Tenant, branchID string) error {
	n, project, err := c.project(t)
	if err != nil {
		return err
	}
	return n.DeleteBranch(ctx, project, branchID)
}

// Settle is [Neon.Settle] for a tenant whose row names a project.
func (c *Catalog) Settle(ctx context.Context, t fleet.Tenant) error {
	n, project, err := c.project(t)
	if err != nil {
		return err
	}
	return n.Settle(ctx, project)
}

// Restored is [Neon.Restored] for a tenant whose row names a project.
func (c *Catalog) Restored(ctx context.Context, t fleet.Tenant, branchID string, kept fleet.Branch) (bool, error) {
	n, project, err := c.project(t)
	if err != nil {
		return false, err
	}
	return n.Restored(ctx, project, branchID, kept)
}

// History is [Neon.History] for a tenant whose row names a project.
func (c *Catalog) History(ctx context.Context, t fleet.Tenant) (time.Duration, error) {
	n, project, err := c.project(t)
	if err != nil {
		return 0, err
	}
	return n.History(ctx, project)
}

// Now implements [fleet.Brancher].
func (c *Catalog) Now() time.Time {
	if c.neon == nil {
		return time.Now()
	}
	return c.neon.Now()
}

// APICalls implements [fleet.Brancher].
func (c *Catalog) APICalls() int64 {
	if c.neon == nil {
		return 0
	}
	return c.neon.APICalls()
}
