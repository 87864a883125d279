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

// DeleteBranch deletes a branch with its computes. It does not wait for the operations, during which the project takes
// no other change. A branch that does not exist is no error.
func (c *Client) DeleteBranch(ctx context.Context, projectID, branchID string) error {
	err := c.remove(ctx, "/projects/{}/branches/{}", projectID, branchID)
	if err != nil && !IsStatus(err, http.StatusNotFound) { // Neon says 204 of a branch that is gone, a proxy may say 404
		return fmt.Errorf("delete branch %s of project %s: %w", branchID, projectID, err)
	}
	return nil
}

// remove calls DELETE. Ids are never reused, and deleting twice is no error.
func (c *Client) remove(ctx context.Context, pattern string, ids ...string) error {
	return repeat(ctx, func() error {
		var ignored struct{}
		return c.call(ctx, http.MethodDelete, nil, &ignored, nil, pattern, ids...)
	})
}

const (
	repeatTries = 3
	repeatPause = time.Second
)

// repeat makes a call that does no harm if it is made twice. Unlike other changes it is repeated if it may have been
// done already.
func repeat(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		err := call()
		if err == nil || !ambiguous(err) || try == repeatTries || !sleep(ctx, repeatPause) {
			return err
		}
	}
}
