package neon

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// DeleteProject deletes a project with all its data; Neon can recover it for seven days. Deleting it twice is no error.
func (c *Client) DeleteProject(ctx context.Context, id string) error {
	if err := c.remove(ctx, "/projects/{}", id); err != nil {
		return fmt.Errorf("delete project %s: %w", id, err)
	}
	return nil
}

// DeleteBranch deletes a branch with its computes. A branch that does not exist is no error.
func (c *Client) DeleteBranch(ctx context.Context, projectID, branchID string) error {
	if err := c.remove(ctx, "/projects/{}/branches/{}", projectID, branchID); err != nil {
		return fmt.Errorf("delete branch %s of project %s: %w", branchID, projectID, err)
	}
	return nil
}

const (
	removeTries = 3
	removePause = time.Second
)

// remove calls DELETE. Unlike other changes it is repeated if it may have been done already: ids are never reused, and
// deleting twice is no error.
func (c *Client) remove(ctx context.Context, pattern string, ids ...string) error {
	for try := 1; ; try++ {
		var ignored struct{}
		err := c.call(ctx, http.MethodDelete, nil, &ignored, nil, pattern, ids...)
		if err == nil || !ambiguous(err) || try == removeTries || !sleep(ctx, removePause) {
			return err
		}
	}
}
