package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// ProjectSpec describes a project to create.
type ProjectSpec struct {
	Name string
	// OrgID is the organization that will own it. Empty: the key's own organization, or the only one that it can
	// access.
	OrgID string
	// Region is like aws-us-east-1. Empty: Neon's choice.
	Region string
	// PgVersion is the major version of its Postgres. Zero: Neon's choice.
	PgVersion int
	// Database is created with it, owned by Role. Empty: neondb, and the database's name followed by _owner.
	Database, Role string
	Settings       ProjectSettings
}

// NewProject is a project that was just created.
type NewProject struct {
	Project
	// URI is the direct connection string with its password. It is empty if Neon's answer was lost or had none; use
	// [Client.ConnectionURI] then.
	URI string
	// Operations have to succeed before it accepts connections: see [Client.WaitOperations].
	Operations []Operation
	// Found is true if Neon's answer was lost and the project was found by its name. It is almost certainly this
	// call's, but someone else may have created one of the same name in the same seconds.
	Found bool
}

// projectRequest is the body of POST /projects.
type projectRequest struct {
	Project struct {
		Name      string `json:"name"`
		OrgID     string `json:"org_id,omitempty"`
		Region    string `json:"region_id,omitempty"`
		PgVersion int    `json:"pg_version,omitempty"`
		Branch    struct {
			Database string `json:"database_name,omitempty"`
			Role     string `json:"role_name,omitempty"`
		} `json:"branch"`
		ProjectSettings
	} `json:"project"`
}

// projectAnswer is the answer to it.
type projectAnswer struct {
	Project     Project      `json:"project"`
	Operations  []Operation  `json:"operations"`
	Connections []connection `json:"connection_uris"`
}

// connection is how to connect to a new project or branch.
type connection struct {
	URI        string `json:"connection_uri"` // direct
	Parameters struct {
		Database string `json:"database"`
		Role     string `json:"role"`
	} `json:"connection_parameters"`
}

// uriFor returns the connection string for a database and a role, "" if there is none.
func uriFor(connections []connection, database, role string) string {
	for _, c := range connections {
		if c.Parameters.Database == database && c.Parameters.Role == role {
			return c.URI
		}
	}
	return ""
}

// CreateProject creates a project. It fails with an [*ExistsError] if the organization has a project of that name.
//
// Neon allows duplicate names and offers no idempotency key, so CreateProject lists the projects of that name first.
// If the call ends without telling whether it succeeded, it lists them again: a new project of that name is the one
// it created, and if there is none, the error is an [*UnknownOutcomeError]. If ctx ends while Neon is at work,
// CreateProject waits for up to 3.5 s longer and returns a project that was created by then; the caller decides
// whether to delete it.
func (c *Client) CreateProject(ctx context.Context, spec ProjectSpec) (*NewProject, error) {
	named, orgID, err := c.projectsNamed(ctx, spec.OrgID, spec.Name)
	if err != nil {
		return nil, fmt.Errorf("create project %q: %w", spec.Name, err)
	}
	if len(named) > 0 {
		return nil, fmt.Errorf("create project: %w", &ExistsError{"project", spec.Name, named[0].ID})
	}
	spec.OrgID = orgID
	var created *NewProject
	began := c.Now()
	err = idempotentCreate(ctx, "project", spec.Name, func(ctx context.Context) (err error) {
		created, err = c.postProject(ctx, spec)
		return err
	}, func(ctx context.Context) (_ bool, err error) {
		created, err = c.findProject(ctx, spec, began.Add(-clockSkew))
		return created != nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("create project %q: %w", spec.Name, err)
	}
	return created, nil
}

func (c *Client) postProject(ctx context.Context, spec ProjectSpec) (*NewProject, error) {
	var body projectRequest
	p := &body.Project
	p.Name, p.OrgID, p.Region, p.PgVersion = spec.Name, spec.OrgID, spec.Region, spec.PgVersion
	p.Branch.Database, p.Branch.Role = spec.Database, spec.Role
	p.ProjectSettings = spec.Settings
	var answer projectAnswer
	if err := c.call(ctx, http.MethodPost, body, &answer, nil, "/projects"); err != nil {
		return nil, err
	}
	if answer.Project.ID == "" {
		return nil, missingID("/projects")
	}
	uri := uriFor(answer.Connections, spec.Database, spec.Role)
	return &NewProject{Project: answer.Project, URI: uri, Operations: answer.Operations}, nil
}

// findProject returns the only project of the spec's name that is no older than since, and nil if there is none.
// Several are an [*UnknownOutcomeError].
func (c *Client) findProject(ctx context.Context, spec ProjectSpec, since time.Time) (*NewProject, error) {
	named, _, err := c.projectsNamed(ctx, spec.OrgID, spec.Name)
	if err != nil {
		return nil, err
	}
	recent := slices.DeleteFunc(named, func(p Project) bool { return p.CreatedAt.Before(since) })
	switch len(recent) {
	case 0:
		return nil, nil
	case 1:
		operations, err := c.operations(ctx, recent[0].ID, "")
		if err != nil {
			return nil, err
		}
		return &NewProject{Project: recent[0], Operations: operations, Found: true}, nil
	}
	lost := &UnknownOutcomeError{Kind: "project", Name: spec.Name, Err: errors.New("the answer that names it was lost")}
	for _, p := range recent {
		lost.Candidates = append(lost.Candidates, p.ID)
	}
	return nil, lost
}

// ProjectsNamed lists the projects of exactly that name, which need not be unique. For orgID see [Client.Projects].
func (c *Client) ProjectsNamed(ctx context.Context, orgID, name string) ([]Project, error) {
	named, _, err := c.projectsNamed(ctx, orgID, name)
	if err != nil {
		return nil, fmt.Errorf("look for project %q: %w", name, err)
	}
	return named, nil
}

// projectsNamed lists the projects of exactly that name, and returns the organization as [Client.list] does.
func (c *Client) projectsNamed(ctx context.Context, orgID, name string) ([]Project, string, error) {
	projects, missing, orgID, err := c.list(ctx, orgID, name)
	if err != nil {
		return nil, "", err
	}
	if len(missing) > 0 {
		return nil, "", fmt.Errorf("it is not known whether there is one of that name: Neon lists %v but cannot "+
			"read them at the moment", missing)
	}
	return slices.DeleteFunc(projects, func(p Project) bool { return p.Name != name }), orgID, nil
}

// missingID is an answer that reports a creation but does not identify its result.
func missingID(path string) error {
	e := failed(http.MethodPost, path, errors.New("the answer does not have the id of what was created"))
	e.Status = http.StatusCreated
	return e
}
