package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// ExpireBranch sets when Neon is to delete a branch, to the second, and waits until that is done. The zero time: never.
func (c *Client) ExpireBranch(ctx context.Context, projectID, branchID string, at time.Time) error {
	branch := map[string]any{"expires_at": optional(at.Truncate(time.Second))} // null removes it
	var out branchChange
	err := repeat(ctx, func() error {
		return c.call(ctx, http.MethodPatch, map[string]any{"branch": branch}, &out, nil, "/projects/{}/branches/{}",
			projectID, branchID)
	})
	if err == nil {
		err = c.WaitOperations(ctx, projectID, out.Operations)
	}
	if err != nil {
		return fmt.Errorf("change branch %s of project %s: %w", branchID, projectID, err)
	}
	return nil
}

// Restore is what a branch is restored to.
type Restore struct {
	// SourceID is the branch whose state it takes over, which may be the branch itself.
	SourceID string
	// At is where in the source's history. Zero: its head. Neon restores root branches only to a point in time, and
	// refuses one before the project's history window with status 400.
	At time.Time
	// PreserveAs is the name of a new branch that keeps what the branch was, and takes over its children. It is required
	// if there are children, or if the branch is its own source.
	PreserveAs string
}

// RestoreBranch replaces a branch's databases, all of them, by those of another branch or of an earlier time, and waits
// until that is done. Its connection strings stay, and its sessions end. It fails with an [*ExistsError] if there is
// a branch of the name PreserveAs.
//
// If an answer is lost, RestoreBranch asks again. That restores once at most if the old state is preserved, because
// Neon refuses a second branch of that name: what the restore came to is then known from Neon's operations, or not at
// all. Without a name, the second time leads to the same state as the first.
func (c *Client) RestoreBranch(ctx context.Context, projectID, branchID string, r Restore) error {
	if r.PreserveAs != "" {
		// A name that is taken now is someone else's; one that is taken from now on is this restore's.
		named, err := c.branchNamed(ctx, projectID, r.PreserveAs)
		if err == nil && named != nil {
			err = &ExistsError{"branch", r.PreserveAs, named.ID}
		}
		if err != nil {
			return fmt.Errorf("restore branch %s of project %s: %w", branchID, projectID, err)
		}
	}
	operations, lost, err := c.postRestore(ctx, projectID, branchID, r)
	switch {
	case err == nil && lost:
		err = c.proveRestore(ctx, projectID, branchID, r.PreserveAs)
	case err == nil:
		err = c.WaitOperations(ctx, projectID, operations)
	}
	switch {
	case err == nil:
		return nil
	case ambiguous(err):
		err = fmt.Errorf("it is not known whether Neon has done it: %w", err)
	}
	return fmt.Errorf("restore branch %s of project %s: %w", branchID, projectID, err)
}

// postRestore asks for a restore until there is an answer, and returns the operations that it names. lost is whether
// the restore is known to have begun, but not from an answer of its own.
func (c *Client) postRestore(ctx context.Context, projectID, branchID string, r Restore) (
	operations []Operation, lost bool, err error,
) {
	body := struct {
		Source   string     `json:"source_branch_id"`
		At       *time.Time `json:"source_timestamp,omitempty"`
		Preserve string     `json:"preserve_under_name,omitempty"`
	}{r.SourceID, optional(r.At), r.PreserveAs}
	var out branchChange
	unanswered := false // an earlier attempt
	post := func() error {
		err := c.call(ctx, http.MethodPost, body, &out, nil, "/projects/{}/branches/{}/restore", projectID, branchID)
		if unanswered && r.PreserveAs != "" && IsStatus(err, http.StatusConflict) {
			lost = true // that attempt has taken the name
			return nil
		}
		unanswered = unanswered || ambiguous(err)
		return err
	}
	err = whenReady(ctx, func() error { return repeat(ctx, post) })
	return out.Operations, lost, err
}

// proveRestore waits for a restore whose answer was lost. Its error is that Neon does not say that it succeeded.
func (c *Client) proveRestore(ctx context.Context, projectID, branchID, preservedAs string) error {
	kept, err := c.branchNamed(ctx, projectID, preservedAs)
	if err != nil {
		return err
	}
	restored := false
	if kept != nil {
		restored, err = c.Restored(ctx, projectID, branchID, *kept)
	}
	if err == nil && !restored {
		err = errUnproven
	}
	return err
}

var errUnproven = errors.New("its answer was lost: Neon has begun it, and does not say that it succeeded")

// branchChange is the answer to a change.
type branchChange struct {
	Operations []Operation `json:"operations"`
}
