package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// BranchSpec says what branch to make.
type BranchSpec struct {
	Name string
	// ParentID is the branch to begin as a copy of, at its head. Empty: the project's default branch.
	ParentID string
	// ExpiresAt is when Neon deletes it, to the second, at most 30 days ahead. Zero: never.
	ExpiresAt time.Time
}

// NewBranch is a branch that was just made.
type NewBranch struct {
	Branch
	// Operations have to succeed before it can be connected to: [Client.WaitOperations].
	Operations []Operation
}

const (
	notReady      = "branch not ready yet" // Neon's own words, with 422: the parent is being made or reset
	notReadyTries = 20
)

// CreateBranch makes a branch with a read-write compute, unless the project has one of that name: an [*ExistsError]. As with
// [Client.CreateProject] no branch is asked for twice, an answer that was lost is made up for by looking for the branch, and a branch
// that was made while the context ended is returned.
func (c *Client) CreateBranch(ctx context.Context, projectID string, spec BranchSpec) (*NewBranch, error) {
	named, err := c.branchNamed(ctx, projectID, spec.Name)
	if err != nil {
		return nil, fmt.Errorf("create branch %q: %w", spec.Name, err)
	}
	if named != nil {
		return nil, fmt.Errorf("create branch: %w", &ExistsError{"branch", spec.Name, named.ID})
	}
	var made *NewBranch
	began := time.Now()
	post := func(ctx context.Context) (err error) {
		made, err = c.postBranch(ctx, projectID, spec)
		return err
	}
	find := func(ctx context.Context) (_ bool, err error) {
		made, err = c.findBranch(ctx, projectID, spec.Name, began.Add(-clockSkew))
		return made != nil, err
	}
	for try := 1; ; try++ {
		err = makeOnce(ctx, "branch", spec.Name, post, find)
		var e *Error
		refused := errors.As(err, &e) && e.Status == http.StatusUnprocessableEntity && e.Message == notReady
		if !refused || try == notReadyTries || !pause(ctx, min(time.Duration(try)*pollFirst, pollLast)) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create branch %q of project %s: %w", spec.Name, projectID, err)
	}
	return made, nil
}

// branchRequest is what POST …/branches takes.
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
	body := branchRequest{Endpoints: []endpointRequest{{"read_write"}}} // Neon makes no compute that is not asked for
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
		return nil, unnamed("/projects/" + projectID + "/branches")
	}
	return &NewBranch{answer.Branch, answer.Operations}, nil
}

// findBranch returns the branch of that name where it is not older than since; nil where there is none.
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

// branchNamed returns the branch of exactly that name, nil where there is none. Within a project names do not repeat.
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
