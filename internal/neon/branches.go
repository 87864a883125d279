package neon

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// Branch is one branch of a project.
type Branch struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// State is init, resetting, ready or archived.
	State     string `json:"current_state"`
	Default   bool   `json:"default"`
	Protected bool   `json:"protected"`
	// ParentID is empty for a root branch.
	ParentID string `json:"parent_id"`
	// CreatedAt is by Neon's clock.
	CreatedAt time.Time `json:"created_at"`
	// ExpiresAt is when Neon deletes it, or a little later; zero: never.
	ExpiresAt time.Time `json:"expires_at"`
}

// Endpoint is one compute of a branch. Connections go to a compute.
type Endpoint struct {
	ID string `json:"id"`
	// Type is read_write or read_only.
	Type string `json:"type"`
	// State is init, active or idle (suspended; the next connection starts it).
	State string `json:"current_state"`
	// Disabled computes are not started by a connection.
	Disabled bool `json:"disabled"`
}

// Database is one database of a branch.
type Database struct {
	Name string `json:"name"`
}

// Role is one Postgres role of a branch.
type Role struct {
	Name string `json:"name"`
}

// branchPage is the size of a page. Neon allows up to 10,000.
const branchPage = 1000

// Branches lists a project's branches. If search is not empty, it lists those whose name or id contains it.
func (c *Client) Branches(ctx context.Context, projectID, search string) ([]Branch, error) {
	query := url.Values{"limit": {strconv.Itoa(branchPage)}}
	if search != "" {
		query.Set("search", search)
	}
	var branches []Branch
	found, seen := map[string]bool{}, cursors{}
	for {
		var page struct {
			Branches   []Branch `json:"branches"`
			Pagination struct {
				Next string `json:"next"` // in a list of projects it is called cursor
			} `json:"pagination"`
		}
		if err := c.get(ctx, &page, query, "/projects/{}/branches", projectID); err != nil {
			return nil, fmt.Errorf("list the branches of project %s: %w", projectID, err)
		}
		for _, b := range page.Branches {
			if !found[b.ID] {
				found[b.ID] = true
				branches = append(branches, b)
			}
		}
		next := page.Pagination.Next
		if next == "" || len(page.Branches) == 0 {
			return branches, nil
		}
		if err := seen.next(next); err != nil {
			return nil, fmt.Errorf("list the branches of project %s: %w", projectID, err)
		}
		query.Set("cursor", next)
	}
}

// Endpoints lists the computes of a branch.
func (c *Client) Endpoints(ctx context.Context, projectID, branchID string) ([]Endpoint, error) {
	var out struct {
		Endpoints []Endpoint `json:"endpoints"`
	}
	if err := c.get(ctx, &out, nil, "/projects/{}/branches/{}/endpoints", projectID, branchID); err != nil {
		return nil, fmt.Errorf("list the computes of branch %s: %w", branchID, err)
	}
	return out.Endpoints, nil
}

// Databases lists the databases of a branch.
func (c *Client) Databases(ctx context.Context, projectID, branchID string) ([]Database, error) {
	var out struct {
		Databases []Database `json:"databases"`
	}
	if err := c.get(ctx, &out, nil, "/projects/{}/branches/{}/databases", projectID, branchID); err != nil {
		return nil, fmt.Errorf("list the databases of branch %s: %w", branchID, err)
	}
	return out.Databases, nil
}

// Roles lists the roles of a branch.
func (c *Client) Roles(ctx context.Context, projectID, branchID string) ([]Role, error) {
	var out struct {
		Roles []Role `json:"roles"`
	}
	if err := c.get(ctx, &out, nil, "/projects/{}/branches/{}/roles", projectID, branchID); err != nil {
		return nil, fmt.Errorf("list the roles of branch %s: %w", branchID, err)
	}
	return out.Roles, nil
}
