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

// Operation is one step of a change, which Neon takes after it has answered the call that asked for the change. It takes a
// project's operations one after another.
type Operation struct {
	ID       string `json:"id"`
	BranchID string `json:"branch_id"`
	// Action is what it does, like create_branch.
	Action string `json:"action"`
	// Status is one of scheduling, running, finished, failed, error, cancelling, cancelled, skipped.
	Status string `json:"status"`
	// Message is what Neon says of one that failed.
	Message string `json:"error"`
}

func (o *Operation) succeeded() bool { return o.Status == "finished" || o.Status == "skipped" }

func (o *Operation) failed() bool {
	return o.Status == "failed" || o.Status == "error" || o.Status == "cancelled"
}

// OperationError is an operation that did not succeed.
type OperationError struct {
	ProjectID string
	Operation Operation
	// Waited is how long was waited for one that neither succeeded nor failed; zero for one that failed.
	Waited time.Duration
}

func (e *OperationError) Error() string {
	o := e.Operation
	if e.Waited > 0 {
		return fmt.Sprintf("operation %s (%s) of project %s is still %s after %s", o.Action, o.ID, e.ProjectID, o.Status, e.Waited)
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
		return "it takes Neon longer than usual: look at the project's operations in Neon's console and at https://neonstatus.com, and run again when they are finished"
	}
	return "Neon accepted the change and could not finish it: look at the project's operations in Neon's console, and run again; where it fails " +
		"again ask Neon's support, naming the operation's id"
}

const (
	pollFirst       = time.Second
	pollLast        = 5 * time.Second
	operationBudget = 300 * time.Second // the official SDK's
)

// WaitOperations waits until operations that a call has just named have succeeded, looking every second at first and every
// five in the end, for at most 300 s. One that did not succeed is an [*OperationError].
func (c *Client) WaitOperations(ctx context.Context, projectID string, operations []Operation) error {
	limited, cancel := context.WithTimeout(ctx, operationBudget)
	defer cancel()
	wait := pollFirst
	for i, o := range operations {
		// Of the first one Neon has just told the status. By the time that it is done, what was told of the others is old.
		fresh := i == 0
		for !o.succeeded() && !o.failed() {
			if fresh {
				if !pause(limited, wait) {
					return unfinished(ctx, projectID, o)
				}
				wait = min(wait*3/2, pollLast)
			}
			fresh = true
			var out struct {
				Operation Operation `json:"operation"`
			}
			if err := c.get(limited, &out, nil, "/projects/{}/operations/{}", projectID, o.ID); err != nil {
				if limited.Err() != nil {
					return unfinished(ctx, projectID, o)
				}
				return fmt.Errorf("wait for operation %s of project %s: %w", o.Action, projectID, err)
			}
			out.Operation.ID, out.Operation.Action = o.ID, o.Action // whatever the answer leaves out
			o = out.Operation
		}
		if o.failed() {
			return &OperationError{ProjectID: projectID, Operation: o}
		}
	}
	return nil
}

// unfinished says why the wait for o ended: with ctx, or with the time for it.
func unfinished(ctx context.Context, projectID string, o Operation) error {
	if ctx.Err() != nil {
		return fmt.Errorf("wait for operation %s of project %s: %w", o.Action, projectID, context.Cause(ctx))
	}
	return &OperationError{ProjectID: projectID, Operation: o, Waited: operationBudget}
}

// WaitProject waits as [Client.WaitOperations] does until whatever Neon is doing to a project just now has ended. What failed
// before is not looked at.
func (c *Client) WaitProject(ctx context.Context, projectID string) error {
	operations, err := c.operations(ctx, projectID, "")
	if err != nil {
		return err
	}
	return c.WaitOperations(ctx, projectID, slices.DeleteFunc(operations, func(o Operation) bool { return o.succeeded() || o.failed() }))
}

// recentOperations bounds the operations that are looked through for those of something that was just made.
const recentOperations = 100

// operations lists the latest operations of a project, or of one of its branches, in the order in which Neon takes them.
func (c *Client) operations(ctx context.Context, projectID, branchID string) ([]Operation, error) {
	var out struct {
		Operations []Operation `json:"operations"`
	}
	query := url.Values{"limit": {strconv.Itoa(recentOperations)}}
	if err := c.get(ctx, &out, query, "/projects/{}/operations", projectID); err != nil {
		return nil, fmt.Errorf("list the operations of project %s: %w", projectID, err)
	}
	slices.Reverse(out.Operations) // the newest come first
	return slices.DeleteFunc(out.Operations, func(o Operation) bool { return branchID != "" && o.BranchID != branchID }), nil
}
