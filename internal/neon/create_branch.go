package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// BranchSpec describes a branch to create.
type BranchSpec struct {
	Name string
	// ParentID is the branch whose head it starts from. Empty: the project's default branch.
	ParentID string
	// ExpiresAt is when Neon deletes it, to the second and at most 30 days ahead. Zero: never.
	ExpiresAt time.Time
}

// NewBranch is a branch that was just created.
type NewBranch struct {
	Branch
	// Operations have to succeed before it accepts connections: see [Client.WaitOperations].
	Operations []Operation
}

const (
	notReady      = "branch not ready yet" // Neon's message, with 422: the parent is being created or reset
	notReadyTries = 20
)

// CreateBranch creates a branch with a read-write compute. It fails with an [*ExistsError] if the project has a
// branch of that name. Like [Client.CreateProject] it never asks for a branch twice, searches for the branch if the
// answer is lost, and returns a branch that was created while the context ended.
func (c *Client) CreateBranch(ctx context.Context, projectID string, spec BranchSpec) (*NewBranch, error) {
	named, err := c.branchNamed(ctx, projectID, spec.Name)
	if err != nil {
		return nil, fmt.Errorf("create branch %q: %w", spec.Name, err)
	}
	if named != nil {
		return nil, fmt.Errorf("create branch: %w", &ExistsError{"branch", spec.Name, named.ID})
	}
	var created *NewBranch
	began := time.Now()
	post := func(ctx context.Context) (err error) {
		created, err = c.postBranch(ctx, projectID, spec)
		return err
	}
	find := func(ctx context.Context) (_ bool, err error) {
		created, err = c.findBranch(ctx, projectID, spec.Name, began.Add(-clockSkew))
		return created != nil, err
	}
	for try := 1; ; try++ {
		err = idempotentCreate(ctx, "branch", spec.Name, post, find)
		var e *Error
		refused := errors.As(err, &e) && e.Status == http.StatusUnprocessableEntity && e.Message == notReady
		if !refused || try == notReadyTries || !sleep(ctx, min(time.Duration(try)*firstPoll, lastPoll)) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create branch %q of project %s: %w", spec.Name, projectID, err)
	}
	return created, nil
}

// branchRequest is the body of POST …/branches.
type branchRequest struct {
	Branch struct {
		Name      string     `json:"name"`
		ParentID  string     `json:"parent_id,omitempty"`
		ExpiresAt *time.Time `json:"expires_at,omitempty"`
	} `json:"branch"`
	Endpoints []endpointRequest `json:"endpoints"`
}

type endpointRequest struct {
	Type string `json:"type"`
}

func (c *Client) postBranch(ctx context.Context, projectID string, spec BranchSpec) (*NewBranch, error) {
	body := branchRequest{Endpoints: []endpointRequest{{"read_write"}}} // without this, Neon creates no compute
	body.Branch.Name, body.Branch.ParentID = spec.Name, spec.ParentID
	if !spec.ExpiresAt.IsZero() {
		at := spec.ExpiresAt.UTC().Truncate(time.Second)
		body.Branch.ExpiresAt = &at
	}
	var answer struct {
		Branch     Branch      `json:"branch"`
		Operations []Operation `json:"operations"`
	}
	if err := c.call(ctx, http.MethodPost, body, &answer, nil, "/projects/{}/branches", projectID); err != nil {
		return nil, err
	}
	if answer.Branch.ID == "" {
		return nil, missingID("/projects/" + projectID + "/branches")
	}
	return &NewBranch{answer.Branch, answer.Operations}, nil
}

// findBranch returns the branch of that name if it is no older than since, and nil if there is none.
func (c *Client) findBranch(ctx context.Context, projectID, name string, since time.Time) (*NewBranch, error) {
	named, err := c.branchNamed(ctx, projectID, name)
	if err != nil || named == nil || named.CreatedAt.Before(since) {
		return nil, err
	}
	operations, err := c.operations(ctx, projectID, named.ID)
	if err != nil {
		return nil, err
	}
	return &NewBranch{*named, operations}, nil
}

// branchNamed returns the branch of exactly that name, or nil. Names are unique within a project.
func (c *Client) branchNamed(ctx context.Context, projectID, name string) (*Branch, error) {
	branches, err := c.Branches(ctx, projectID, name)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(branches, func(b Branch) bool { return b.Name == name }); i >= 0 {
		return &branches[i], nil
	}
	return nil, nil
}
