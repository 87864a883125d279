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
	// ParentID is the branch that it starts from. Empty: the project's default branch.
	ParentID string
	// ParentTime is where in the parent's history it starts. Zero: at its head.
	ParentTime time.Time
	// ExpiresAt is when Neon deletes it, to the second and at most 30 days ahead. Zero: never.
	ExpiresAt time.Time
	// Database and Role are those of [NewBranch.URI].
	Database, Role string
	// NoCompute leaves out the compute: nobody can connect to the branch.
	NoCompute bool
}

// NewBranch is a branch that was just created.
type NewBranch struct {
	Branch
	// URI is the connection string for the spec's database and role. It is empty if Neon did not give it, as when the
	// parent has several roles or databases: see [Client.ConnectionURI].
	URI string
	// Operations have to succeed before it accepts connections: see [Client.WaitOperations].
	Operations []Operation
}

// CreateBranch creates a branch, with a read-write compute unless the spec says otherwise. It fails with an
// [*ExistsError] if the project has a branch of that name. Like [Client.CreateProject] it never asks for a branch
// twice, searches for the branch if the answer is lost, and returns one that was created while the context ended.
//
// Without faults it is a single call: names are unique within a project, so Neon itself refuses one that is taken.
func (c *Client) CreateBranch(ctx context.Context, projectID string, spec BranchSpec) (*NewBranch, error) {
	var created *NewBranch
	began := c.Now()
	post := func(ctx context.Context) (err error) {
		created, err = c.postBranch(ctx, projectID, spec)
		return err
	}
	find := func(ctx context.Context) (_ bool, err error) {
		created, err = c.findBranch(ctx, projectID, spec, began.Add(-clockSkew))
		return created != nil, err
	}
	err := whenReady(ctx, func() error { return idempotentCreate(ctx, "branch", spec.Name, post, find) })
	if exists := c.nameTaken(ctx, projectID, spec.Name, err); exists != nil {
		return nil, fmt.Errorf("create branch: %w", exists)
	}
	if err != nil {
		return nil, fmt.Errorf("create branch %q of project %s: %w", spec.Name, projectID, err)
	}
	return created, nil
}

// nameTaken returns which branch has the name if that is why a call was refused, and nil if it is not.
func (c *Client) nameTaken(ctx context.Context, projectID, name string, refusal error) error {
	if !IsStatus(refusal, http.StatusConflict) {
		return nil
	}
	named, err := c.branchNamed(ctx, projectID, name)
	if err != nil || named == nil {
		return nil // the refusal says enough
	}
	return &ExistsError{"branch", name, named.ID}
}

const (
	notReady      = "branch not ready yet" // Neon's message, with 422: a branch is being created or reset
	notReadyTries = 20
)

// whenReady makes a call again while Neon refuses it because a branch is not ready.
func whenReady(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		err := call()
		var e *Error
		refused := errors.As(err, &e) && e.Status == http.StatusUnprocessableEntity && e.Message == notReady
		if !refused || try == notReadyTries || !sleep(ctx, min(time.Duration(try)*firstPoll, lastPoll)) {
			return err
		}
	}
}

// branchRequest is the body of POST …/branches.
type branchRequest struct {
	Branch struct {
		Name       string     `json:"name"`
		ParentID   string     `json:"parent_id,omitempty"`
		ParentTime *time.Time `json:"parent_timestamp,omitempty"`
		ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	} `json:"branch"`
	Endpoints []endpointRequest `json:"endpoints,omitempty"`
}

type endpointRequest struct {
	Type string `json:"type"`
}

func (spec *BranchSpec) request() (body branchRequest) {
	b := &body.Branch
	b.Name, b.ParentID = spec.Name, spec.ParentID
	b.ParentTime, b.ExpiresAt = optional(spec.ParentTime), optional(spec.expiresAt())
	if !spec.NoCompute {
		body.Endpoints = []endpointRequest{{"read_write"}} // without this, Neon creates no compute
	}
	return body
}

// expiresAt is the time as Neon stores it.
func (spec *BranchSpec) expiresAt() time.Time { return spec.ExpiresAt.UTC().Truncate(time.Second) }

// optional returns nil for the zero time.
func optional(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

func (c *Client) postBranch(ctx context.Context, projectID string, spec BranchSpec) (*NewBranch, error) {
	var answer struct {
		Branch      Branch       `json:"branch"`
		Operations  []Operation  `json:"operations"`
		Connections []connection `json:"connection_uris"`
	}
	err := c.call(ctx, http.MethodPost, spec.request(), &answer, nil, "/projects/{}/branches", projectID)
	if err != nil {
		return nil, err
	}
	if answer.Branch.ID == "" {
		return nil, missingID("/projects/" + projectID + "/branches")
	}
	return &NewBranch{answer.Branch, uriFor(answer.Connections, spec.Database, spec.Role), answer.Operations}, nil
}

// findBranch returns the branch that the spec describes if it is no older than since, and nil if there is none.
func (c *Client) findBranch(ctx context.Context, projectID string, spec BranchSpec, since time.Time) (
	*NewBranch, error,
) {
	named, err := c.branchNamed(ctx, projectID, spec.Name)
	if err != nil || named == nil || named.CreatedAt.Before(since) || !named.ExpiresAt.Equal(spec.expiresAt()) ||
		spec.ParentID != "" && named.ParentID != spec.ParentID {
		return nil, err
	}
	operations, err := c.operations(ctx, projectID, named.ID)
	if err != nil {
		return nil, err
	}
	return &NewBranch{Branch: *named, Operations: operations}, nil
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
