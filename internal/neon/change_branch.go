package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// BranchUpdate is what to change about a branch.
type BranchUpdate struct {
	// Name is the new one. Empty: it keeps the one that it has.
	Name string
	// ExpiresAt is when Neon is to delete it, to the second; the zero time: never. Nil: as before.
	ExpiresAt *time.Time
}

// UpdateBranch changes a branch, and waits until that is done.
func (c *Client) UpdateBranch(ctx context.Context, projectID, branchID string, update BranchUpdate) (*Branch, error) {
	branch := map[string]any{}
	if update.Name != "" {
		branch["name"] = update.Name
	}
	if at := update.ExpiresAt; at != nil {
		branch["expires_at"] = optional(at.Truncate(time.Second)) // null removes it
	}
	b, err := c.changeBranch(ctx, projectID, func(out *branchChange) error {
		return repeat(ctx, func() error {
			return c.call(ctx, http.MethodPatch, map[string]any{"branch": branch}, out, nil, "/projects/{}/branches/{}",
				projectID, branchID)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("change branch %s of project %s: %w", branchID, projectID, err)
	}
	return b, nil
}

// Restore is what a branch is restored to.
type Restore struct {
	// SourceID is the branch whose state it takes over, which may be the branch itself.
	SourceID string
	// At and LSN, of which one at most is set, are where in the source's history. Neither: its head. Neon restores root
	// branches only to a point in time, and refuses one before the project's history window with status 400.
	At  time.Time
	LSN string
	// PreserveAs is the name of a new branch that keeps what the branch was, and takes over its children. It is required
	// if there are children, or if the branch is its own source.
	PreserveAs string
}

// RestoreBranch replaces a branch's databases, all of them, by those of another branch or of an earlier time, and waits
// until that is done. Its connection strings stay, and its sessions end. It fails with an [*ExistsError] if there is
// a branch of the name PreserveAs.
//
// If an answer is lost, RestoreBranch asks again. That restores once at most if the old state is preserved, because
// Neon refuses a second branch of that name; without a name, the second time leads to the same state as the first.
func (c *Client) RestoreBranch(ctx context.Context, projectID, branchID string, r Restore) (*Branch, error) {
	if r.PreserveAs != "" {
		// A name that is taken now is someone else's; one that is taken from now on is this restore's.
		named, err := c.branchNamed(ctx, projectID, r.PreserveAs)
		if err == nil && named != nil {
			err = &ExistsError{"branch", r.PreserveAs, named.ID}
		}
		if err != nil {
			return nil, fmt.Errorf("restore branch %s of project %s: %w", branchID, projectID, err)
		}
	}
	b, err := c.changeBranch(ctx, projectID, func(out *branchChange) error {
		return c.postRestore(ctx, projectID, branchID, r, out)
	})
	if err == nil && b.ID == "" { // the answer was lost
		if err = c.WaitProject(ctx, projectID); err == nil {
			return c.Branch(ctx, projectID, branchID)
		}
	}
	switch {
	case err == nil:
		return b, nil
	case ambiguous(err):
		err = fmt.Errorf("it is not known whether Neon has done it: %w", err)
	}
	return nil, fmt.Errorf("restore branch %s of project %s: %w", branchID, projectID, err)
}

// postRestore asks for a restore until there is an answer, which it reads into out. That stays empty if the restore is
// known to have begun, but not from an answer of its own.
func (c *Client) postRestore(ctx context.Context, projectID, branchID string, r Restore, out *branchChange) error {
	body := struct {
		Source   string     `json:"source_branch_id"`
		At       *time.Time `json:"source_timestamp,omitempty"`
		LSN      string     `json:"source_lsn,omitempty"`
		Preserve string     `json:"preserve_under_name,omitempty"`
	}{r.SourceID, optional(r.At), r.LSN, r.PreserveAs}
	lost := false
	post := func() error {
		err := c.call(ctx, http.MethodPost, body, out, nil, "/projects/{}/branches/{}/restore", projectID, branchID)
		if lost && r.PreserveAs != "" && IsStatus(err, http.StatusConflict) {
			return nil // the attempt whose answer was lost has taken the name
		}
		lost = lost || ambiguous(err)
		return err
	}
	return whenReady(ctx, func() error { return repeat(ctx, post) })
}

// ResetToParent restores a branch to the head of its parent, and waits until that is done. What was written to the
// branch is lost. A root branch has no parent, and a protected one can't be reset.
func (c *Client) ResetToParent(ctx context.Context, projectID, branchID string) (*Branch, error) {
	b, err := c.Branch(ctx, projectID, branchID)
	if err != nil {
		return nil, err
	}
	if b.ParentID == "" {
		return nil, fmt.Errorf("reset branch %s of project %s: %w", branchID, projectID, errNoParent)
	}
	return c.RestoreBranch(ctx, projectID, branchID, Restore{SourceID: b.ParentID})
}

var errNoParent = errors.New("it is a root branch, which has no parent")

// branchChange is the answer to a change.
type branchChange struct {
	Branch     Branch      `json:"branch"`
	Operations []Operation `json:"operations"`
}

// changeBranch makes a change and waits for its operations.
func (c *Client) changeBranch(ctx context.Context, projectID string, change func(*branchChange) error) (
	*Branch, error,
) {
	var out branchChange
	if err := change(&out); err != nil {
		return nil, err
	}
	if err := c.WaitOperations(ctx, projectID, out.Operations); err != nil {
		return nil, err
	}
	return &out.Branch, nil
}
