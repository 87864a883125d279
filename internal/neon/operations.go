package neon

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/org/neon-tenants-action/internal/httpx"
)

// Operation is one step of a change. Neon answers the call that requests a change before it takes the steps, and
// takes those of one project one after another.
type Operation struct {
	ID       string `json:"id"`
	BranchID string `json:"branch_id"`
	// Action is what it does, like create_branch.
	Action string `json:"action"`
	// Status is one of scheduling, running, finished, failed, error, cancelling, cancelled, skipped.
	Status string `json:"status"`
	// Message says why it failed.
	Message string `json:"error"`
	// CreatedAt is by Neon's clock.
	CreatedAt time.Time `json:"created_at"`
}

func (o *Operation) succeeded() bool { return o.Status == "finished" || o.Status == "skipped" }

func (o *Operation) failed() bool {
	return o.Status == "failed" || o.Status == "error" || o.Status == "cancelled"
}

// OperationError is an operation that did not succeed.
type OperationError struct {
	ProjectID string
	Operation Operation
	// Waited is how long it has been running. Zero: it has failed.
	Waited time.Duration
}

func (e *OperationError) Error() string {
	o := e.Operation
	if e.Waited > 0 {
		return fmt.Sprintf("operation %s (%s) of project %s is still %s after %s", o.Action, o.ID, e.ProjectID,
			o.Status, e.Waited)
	}
	text := fmt.Sprintf("operation %s (%s) of project %s ended as %s", o.Action, o.ID, e.ProjectID, o.Status)
	if message := httpx.Sentence(o.Message); message != "" {
		text += ": " + message
	}
	return text
}

// Remedy tells what to do about it.
func (e *OperationError) Remedy() string {
	if e.Waited > 0 {
		return "Neon is taking longer than usual: look at the project's operations in Neon's console and at " +
			"https://neonstatus.com, and run again when they have finished"
	}
	return "Neon accepted the change but could not complete it: look at the project's operations in Neon's " +
		"console, and run again; if it fails again, give the operation's id to Neon's support"
}

const (
	firstPoll       = time.Second
	lastPoll        = 5 * time.Second
	operationBudget = 300 * time.Second // the official SDK's
)

// WaitOperations waits for up to 300 s until the operations that a call has just returned have succeeded. It polls
// after one second, and then at intervals that grow to five, with one call for all of them. An operation that does not
// succeed is an [*OperationError].
func (c *Client) WaitOperations(ctx context.Context, projectID string, operations []Operation) error {
	limited, cancel := context.WithTimeout(ctx, operationBudget)
	defer cancel()
	pending := slices.Clone(operations)
	for wait := firstPoll; ; wait = min(wait*3/2, lastPoll) {
		if i := slices.IndexFunc(pending, func(o Operation) bool { return o.failed() }); i >= 0 {
			return &OperationError{ProjectID: projectID, Operation: pending[i]}
		}
		pending = slices.DeleteFunc(pending, func(o Operation) bool { return o.succeeded() })
		if len(pending) == 0 {
			return nil
		}
		if !sleep(limited, wait) {
			return unfinished(ctx, projectID, pending[0])
		}
		if err := c.refresh(limited, projectID, pending); err != nil {
			if limited.Err() != nil {
				return unfinished(ctx, projectID, pending[0])
			}
			return fmt.Errorf("wait for operation %s of project %s: %w", pending[0].Action, projectID, err)
		}
	}
}

// refresh brings operations up to date: a single one by its id, several by the project's list.
func (c *Client) refresh(ctx context.Context, projectID string, pending []Operation) error {
	var out struct {
		Operation  Operation   `json:"operation"`
		Operations []Operation `json:"operations"`
	}
	if len(pending) == 1 {
		if err := c.get(ctx, &out, nil, "/projects/{}/operations/{}", projectID, pending[0].ID); err != nil {
			return err
		}
		pending[0].Status, pending[0].Message = out.Operation.Status, out.Operation.Message
		return nil
	}
	query := url.Values{"limit": {strconv.Itoa(recentOperations)}}
	if err := c.get(ctx, &out, query, "/projects/{}/operations", projectID); err != nil {
		return err
	}
	for _, o := range out.Operations {
		if i := slices.IndexFunc(pending, func(p Operation) bool { return p.ID == o.ID }); i >= 0 {
			pending[i].Status, pending[i].Message = o.Status, o.Message
		}
	}
	return nil
}

// unfinished returns why the wait for o ended: ctx ended, or operationBudget is used up.
func unfinished(ctx context.Context, projectID string, o Operation) error {
	if ctx.Err() != nil {
		return fmt.Errorf("wait for operation %s of project %s: %w", o.Action, projectID, context.Cause(ctx))
	}
	return &OperationError{ProjectID: projectID, Operation: o, Waited: operationBudget}
}

// WaitProject waits like [Client.WaitOperations] for the operations that are running in a project. It ignores earlier
// failures.
func (c *Client) WaitProject(ctx context.Context, projectID string) error {
	operations, err := c.operations(ctx, projectID, "")
	if err != nil {
		return err
	}
	running := slices.DeleteFunc(operations, func(o Operation) bool { return o.succeeded() || o.failed() })
	return c.WaitOperations(ctx, projectID, running)
}

// recentOperations is how many of a project's operations are searched for those of a change that has just begun.
const recentOperations = 100

// operations lists the latest operations of a project or, if branchID is not empty, of that branch, in the order in
// which Neon takes them.
func (c *Client) operations(ctx context.Context, projectID, branchID string) ([]Operation, error) {
	var out struct {
		Operations []Operation `json:"operations"`
	}
	query := url.Values{"limit": {strconv.Itoa(recentOperations)}}
	if err := c.get(ctx, &out, query, "/projects/{}/operations", projectID); err != nil {
		return nil, fmt.Errorf("list the operations of project %s: %w", projectID, err)
	}
	slices.Reverse(out.Operations) // the newest come first
	if branchID == "" {
		return out.Operations, nil
	}
	return slices.DeleteFunc(out.Operations, func(o Operation) bool { return o.BranchID != branchID }), nil
}
