package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// ProjectSpec says what project to make.
type ProjectSpec struct {
	Name string
	// OrgID is the organisation that will own it. Empty: the key's own, or the one that it sees.
	OrgID string
	// Region is like aws-us-east-1. Empty: Neon's choice.
	Region string
	// PgVersion is the major version of its Postgres. Zero: Neon's choice.
	PgVersion int
	// Database and Role, its owner, are made with it. Empty: neondb, and the database's name with _owner.
	Database, Role string
}

// NewProject is a project that was just made.
type NewProject struct {
	Project
	// URI is the direct connection string with its password; empty where Neon's answer had none or was lost, and
	// [Client.ConnectionURI] has to be asked.
	URI string
	// Operations have to succeed before it can be connected to: [Client.WaitOperations].
	Operations []Operation
	// Found is true where Neon's answer was lost and the project was found by its name: it is almost certainly this
	// call's, but somebody else may have made one of the same name in the same seconds.
	Found bool
}

// projectRequest is what POST /projects takes.
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
	} `json:"project"`
}

// projectAnswer is what it answers.
type projectAnswer struct {
	Project     Project     `json:"project"`
	Operations  []Operation `json:"operations"`
	Connections []struct {
		URI        string `json:"connection_uri"` // direct
		Parameters struct {
			Database string `json:"database"`
			Role     string `json:"role"`
		} `json:"connection_parameters"`
	} `json:"connection_uris"`
}

// CreateProject makes a project, unless the organisation has one of that name: an [*ExistsError]. Neon lets names repeat, and
// has nothing that makes the call safe to repeat, so the projects of that name are listed before, and where the call ends
// without telling whether a project was made also after it: a new one of that name is the one that it made. Where there is
// none the error is an [*UnknownError]. A context that ends while Neon is at work is waited out for up to 3.5 s; a project
// that was made is then returned all the same, for the caller to delete.
func (c *Client) CreateProject(ctx context.Context, spec ProjectSpec) (*NewProject, error) {
	named, orgID, err := c.projectsNamed(ctx, spec.OrgID, spec.Name)
	if err != nil {
		return nil, fmt.Errorf("create project %q: %w", spec.Name, err)
	}
	if len(named) > 0 {
		return nil, fmt.Errorf("create project: %w", &ExistsError{"project", spec.Name, named[0].ID})
	}
	spec.OrgID = orgID
	var made *NewProject
	began := time.Now()
	err = makeOnce(ctx, "project", spec.Name, func(ctx context.Context) (err error) {
		made, err = c.postProject(ctx, spec)
		return err
	}, func(ctx context.Context) (_ bool, err error) {
		made, err = c.findProject(ctx, spec, began.Add(-clockSkew))
		return made != nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("create project %q: %w", spec.Name, err)
	}
	return made, nil
}

func (c *Client) postProject(ctx context.Context, spec ProjectSpec) (*NewProject, error) {
	var body projectRequest
	p := &body.Project
	p.Name, p.OrgID, p.Region, p.PgVersion = spec.Name, spec.OrgID, spec.Region, spec.PgVersion
	p.Branch.Database, p.Branch.Role = spec.Database, spec.Role
	var answer projectAnswer
	if err := c.call(ctx, http.MethodPost, body, &answer, nil, "/projects"); err != nil {
		return nil, err
	}
	if answer.Project.ID == "" {
		return nil, unnamed("/projects")
	}
	made := &NewProject{Project: answer.Project, Operations: answer.Operations}
	for _, connection := range answer.Connections {
		if p := connection.Parameters; p.Database == spec.Database && p.Role == spec.Role {
			made.URI = connection.URI
		}
	}
	return made, nil
}

// findProject returns the one project of the spec's name that is not older than since; nil where there is none.
func (c *Client) findProject(ctx context.Context, spec ProjectSpec, since time.Time) (*NewProject, error) {
	named, _, err := c.projectsNamed(ctx, spec.OrgID, spec.Name)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range named {
		if !p.CreatedAt.Before(since) {
			ids = append(ids, p.ID)
		}
	}
	switch len(ids) {
	case 0:
		return nil, nil
	case 1:
		i := slices.IndexFunc(named, func(p Project) bool { return p.ID == ids[0] })
		operations, err := c.operations(ctx, ids[0], "")
		if err != nil {
			return nil, err
		}
		return &NewProject{Project: named[i], Operations: operations, Found: true}, nil
	}
	return nil, &UnknownError{Kind: "project", Name: spec.Name, Several: ids, Err: errors.New("the answer that tells was lost")}
}

// ProjectsNamed lists the projects of exactly that name, of which Neon may have several; the organisation is as in
// [Client.Projects].
func (c *Client) ProjectsNamed(ctx context.Context, orgID, name string) ([]Project, error) {
	named, _, err := c.projectsNamed(ctx, orgID, name)
	if err != nil {
		return nil, fmt.Errorf("look for project %q: %w", name, err)
	}
	return named, nil
}

// projectsNamed lists the projects of exactly that name, and the organisation as [Client.list] does.
func (c *Client) projectsNamed(ctx context.Context, orgID, name string) ([]Project, string, error) {
	projects, missing, orgID, err := c.list(ctx, orgID, name)
	if err != nil {
		return nil, "", err
	}
	if len(missing) > 0 {
		return nil, "", fmt.Errorf("whether there is one of that name is not known: Neon lists %v and can't read them just now", missing)
	}
	return slices.DeleteFunc(projects, func(p Project) bool { return p.Name != name }), orgID, nil
}

// unnamed is an answer that says something was made, but not what.
func unnamed(path string) error {
	return &Error{Method: http.MethodPost, Path: path, Status: http.StatusCreated, Err: errors.New("the answer does not name what was made")}
}
