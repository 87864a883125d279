package neon

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Restored waits until nothing is in progress in a project, and reports whether the restore of a branch that preserved
// its old state as kept is known to have succeeded. It is not if one of its operations failed, or if Neon does not list
// them any more. That kept exists proves only that the restore was begun.
func (c *Client) Restored(ctx context.Context, projectID, branchID string, kept Branch) (bool, error) {
	if err := c.WaitProject(ctx, projectID); err != nil {
		return false, err
	}
	// Neon begins the operations of a change as it makes the change's branch, and accepts no other change meanwhile.
	from := kept.CreatedAt.Truncate(time.Second) // which its times may be cut to
	to := kept.CreatedAt.Add(time.Minute)
	operations, err := c.operationsSince(ctx, projectID, from)
	if err != nil {
		return false, err
	}
	restored := false
	for _, o := range operations {
		switch {
		case o.BranchID != branchID && o.BranchID != kept.ID || o.CreatedAt.After(to):
		case !o.succeeded():
			return false, nil
		case !strings.HasSuffix(o.Action, "_compute"): // a compute also starts and stops for other reasons
			restored = true
		}
	}
	return restored, nil
}

// operationsSince lists a project's operations that were created at a time or later.
func (c *Client) operationsSince(ctx context.Context, projectID string, since time.Time) (all []Operation, err error) {
	query := url.Values{"limit": {"1000"}}
	for seen := (cursors{}); ; {
		var page struct {
			Operations []Operation `json:"operations"`
			Pagination struct {
				Cursor string `json:"cursor"`
			} `json:"pagination"`
		}
		if err := c.get(ctx, &page, query, "/projects/{}/operations", projectID); err != nil {
			return nil, fmt.Errorf("list the operations of project %s: %w", projectID, err)
		}
		for _, o := range page.Operations { // the newest come first
			if o.CreatedAt.Before(since) {
				return all, nil
			}
			all = append(all, o)
		}
		next := page.Pagination.Cursor
		if next == "" || len(page.Operations) == 0 {
			return all, nil
		}
		if err := seen.next(next); err != nil {
			return nil, fmt.Errorf("list the operations of project %s: %w", projectID, err)
		}
		query.Set("cursor", next)
	}
}
