package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/neon"
)

// CanBranch implements [fleet.Brancher].
func (n *Neon) CanBranch(fleet.Tenant) error { return nil }

// OwnBranch implements [fleet.Brancher].
func (n *Neon) OwnBranch(ctx context.Context, t fleet.Tenant) (fleet.Branch, error) {
	b, err := n.ownBranch(ctx, t.ID)
	return branchOf(b), err
}

// Branches implements [fleet.Brancher].
func (n *Neon) Branches(ctx context.Context, t fleet.Tenant, search string) ([]fleet.Branch, error) {
	all, err := n.client.Branches(ctx, t.ID, search)
	if err != nil {
		return nil, keyRemedy(err)
	}
	branches := make([]fleet.Branch, len(all))
	for i, b := range all {
		branches[i] = branchOf(b)
	}
	return branches, nil
}

func branchOf(b neon.Branch) fleet.Branch {
	return fleet.Branch{
		ID: b.ID, Name: b.Name, ParentID: b.ParentID, Default: b.Default, Protected: b.Protected,
		CreatedAt: b.CreatedAt, ExpiresAt: b.ExpiresAt, Busy: b.State == "init" || b.State == "resetting",
	}
}

// CreateBranch implements [fleet.Brancher].
func (n *Neon) CreateBranch(
	ctx context.Context, t fleet.Tenant, spec fleet.BranchSpec,
) (b fleet.Branch, url fleet.Secret, err error) {
	late, stop := grace.Context(ctx, discardGrace)
	defer stop()
	request := neon.BranchSpec{Name: spec.Name, ExpiresAt: spec.ExpiresAt, ParentTime: spec.At,
		NoCompute: spec.NoCompute, Database: n.database, Role: n.role}
	if n.branch != "" {
		parent, err := n.findBranch(ctx, t.ID)
		if err != nil {
			return fleet.Branch{}, fleet.Secret{}, err
		}
		request.ParentID = parent.ID
	}
	created, err := n.client.CreateBranch(ctx, t.ID, request)
	if exists := (*neon.ExistsError)(nil); errors.As(err, &exists) {
		return fleet.Branch{}, fleet.Secret{}, &fleet.ExistingBranch{Name: spec.Name, ID: exists.ID, Err: changeRemedy(err)}
	}
	if err != nil {
		return fleet.Branch{}, fleet.Secret{}, changeRemedy(err)
	}
	if spec.NoCompute {
		err = n.client.WaitOperations(ctx, t.ID, created.Operations)
	} else {
		url, err = n.await(ctx, t, created.ID, created.URI, created.Operations)
	}
	if err != nil {
		what := fmt.Sprintf("branch %q (%s) of project %s", spec.Name, created.ID, t.ID)
		err = discard(late, err, what, func(ctx context.Context) error {
			return n.client.DeleteBranch(ctx, t.ID, created.ID)
		})
		return fleet.Branch{}, fleet.Secret{}, fmt.Errorf("create branch %q: %w", spec.Name, err)
	}
	return branchOf(created.Branch), url, nil
}

// BranchURL implements [fleet.Brancher].
func (n *Neon) BranchURL(ctx context.Context, t fleet.Tenant, branchID string, pooled bool) (fleet.Secret, error) {
	uri, err := n.client.ConnectionURI(ctx, t.ID, branchID, n.database, n.role, pooled)
	if err != nil {
		return fleet.Secret{}, n.explainURI(ctx, t, branchID, err)
	}
	return completeURI(t.ID, uri)
}

// RestoreBranch implements [fleet.Brancher].
func (n *Neon) RestoreBranch(
	ctx context.Context, t fleet.Tenant, branchID, sourceID string, at time.Time, preserveAs string,
) error {
	err := n.client.RestoreBranch(ctx, t.ID, branchID,
		neon.Restore{SourceID: sourceID, At: at, PreserveAs: preserveAs})
	if exists := (*neon.ExistsError)(nil); errors.As(err, &exists) {
		return &fleet.ExistingBranch{Name: preserveAs, ID: exists.ID, Err: changeRemedy(err)}
	}
	return changeRemedy(err)
}

// ExpireBranch implements [fleet.Brancher].
func (n *Neon) ExpireBranch(ctx context.Context, t fleet.Tenant, branchID string, at time.Time) error {
	return changeRemedy(n.client.ExpireBranch(ctx, t.ID, branchID, at))
}

// DeleteBranch implements [fleet.Brancher].
func (n *Neon) DeleteBranch(ctx context.Context, t fleet.Tenant, id string) error {
	return changeRemedy(n.client.DeleteBranch(ctx, t.ID, id))
}

// Settle implements [fleet.Brancher].
func (n *Neon) Settle(ctx context.Context, t fleet.Tenant) error {
	return keyRemedy(n.client.WaitProject(ctx, t.ID))
}

// Restored implements [fleet.Brancher].
func (n *Neon) Restored(ctx context.Context, t fleet.Tenant, branchID string, kept fleet.Branch) (bool, error) {
	done, err := n.client.Restored(ctx, t.ID, branchID, neon.Branch{ID: kept.ID, CreatedAt: kept.CreatedAt})
	return done, keyRemedy(err)
}

// History implements [fleet.Brancher].
func (n *Neon) History(ctx context.Context, t fleet.Tenant) (time.Duration, error) {
	p, err := n.project(ctx, t.ID)
	return time.Duration(p.HistorySeconds) * time.Second, err
}

// Now implements [fleet.Brancher].
func (n *Neon) Now() time.Time { return n.client.Now() }

// APICalls implements [fleet.Brancher].
func (n *Neon) APICalls() int64 { return n.transport.Sent() }
