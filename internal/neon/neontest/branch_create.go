package neontest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

type branchBody struct {
	Branch *struct {
		Name            *string         `json:"name"`
		ParentID        string          `json:"parent_id"`
		ParentLSN       string          `json:"parent_lsn"`
		ParentTimestamp string          `json:"parent_timestamp"`
		Protected       *bool           `json:"protected"`
		Archived        bool            `json:"archived"`
		InitSource      string          `json:"init_source"`
		ExpiresAt       json.RawMessage `json:"expires_at"`
	} `json:"branch"`
	Endpoints []endpointOptions `json:"endpoints"`
}

// apply checks and sets what can be set at creation and later.
func (body *branchBody) apply(b *branch) error {
	in := body.Branch
	if in.Name != nil {
		if err := checkName("branch.name", *in.Name); err != nil {
			return err
		}
		for _, other := range b.project.branches {
			if other != b && other.name == *in.Name {
				return refuse(http.StatusConflict, "branch with name %q already exists", *in.Name)
			}
		}
		b.name = *in.Name
	}
	if len(in.ExpiresAt) > 0 {
		var at *time.Time
		if err := json.Unmarshal(in.ExpiresAt, &at); err != nil {
			return refuse(http.StatusBadRequest, "expires_at must be a time as in RFC 3339")
		}
		if at != nil && (!at.After(time.Now()) || b.isDefault || at.After(time.Now().AddDate(0, 0, 30))) {
			return refuse(http.StatusUnprocessableEntity,
				"expires_at must be in the future, within 30 days, and not on the default branch")
		}
		b.expires = at
	}
	if in.Protected != nil {
		b.protected = *in.Protected
	}
	if b.protected && b.expires != nil {
		return refuse(http.StatusUnprocessableEntity, "a protected branch can't expire")
	}
	return nil
}

func (s *Server) createBranch(r *request) (int, any, error) {
	var body branchBody
	if err := r.decode(&body, true); err != nil {
		return 0, nil, err
	}
	if body.Branch == nil {
		_ = json.Unmarshal([]byte(`{"branch":{}}`), &body) // all of it is optional
	}
	in := body.Branch
	if in.InitSource != "" && in.InitSource != "parent-data" && in.InitSource != "schema-only" {
		return 0, nil, refuse(http.StatusBadRequest, "init_source must be parent-data or schema-only")
	}
	if in.ParentTimestamp != "" || in.ParentLSN != "" {
		return 0, nil, refuse(http.StatusNotImplemented, "the simulator can't branch from the past")
	}
	s.mu.Lock()
	b, err := s.beginBranch(r, &body)
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	p := b.project
	b.databases, err = s.copyDatabases(context.WithoutCancel(r.Context()), b.parent, in.InitSource == "schema-only")
	if err != nil {
		s.end(p)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	steps := []step{{"create_branch", b, nil}}
	for _, e := range p.endpoints {
		if e.branch == b {
			steps = append(steps, step{"start_compute", b, e})
		}
	}
	p.branches = append(p.branches, b)
	for _, d := range b.databases {
		d.id = s.nextID()
		s.byDatabase[d.real] = b
	}
	operations := s.schedule(p, steps...)
	b.ready = p.busyUntil
	answer := map[string]any{
		"branch": b.view(), "endpoints": p.endpointViews(s, b), "operations": operations, "roles": b.roleViews(true),
		"databases": b.databaseViews(),
	}
	if len(b.roles) == 1 && len(b.databases) == 1 && b.endpoint() != nil {
		answer["connection_uris"] = s.connectionDetails(b)
	}
	return http.StatusCreated, answer, nil
}

// copyDatabases copies a branch's databases, but does not add the copies to any branch.
func (s *Server) copyDatabases(ctx context.Context, source *branch, schemaOnly bool) ([]*database, error) {
	var copies []*database
	for _, d := range source.databases {
		copied := *d
		copied.real = realName(d.name)
		if err := s.copyDatabase(ctx, copied.real, source.role(d.owner).real, d.real, schemaOnly); err != nil {
			return nil, fmt.Errorf("copy the database %s of branch %s: %w", d.name, source.id, err)
		}
		copies = append(copies, &copied)
	}
	return copies, nil
}

// beginBranch starts the change and makes the new branch, with its computes. Called with the lock held.
func (s *Server) beginBranch(r *request, body *branchBody) (*branch, error) {
	p, err := s.find(r)
	if err != nil {
		return nil, err
	}
	in := body.Branch
	parent := p.defaultBranch()
	if in.ParentID != "" {
		if parent = p.branch(in.ParentID); parent == nil {
			return nil, refuse(http.StatusNotFound, "parent branch not found")
		}
	}
	if p.shared {
		return nil, refuse(http.StatusNotImplemented, "the simulator can't branch a project on a shared database")
	}
	if time.Now().Before(parent.ready) && !p.changing {
		return nil, refuse(http.StatusUnprocessableEntity, "branch not ready yet")
	}
	now := s.now()
	b := &branch{
		project: p, id: newID("br"), parent: parent, created: now, updated: now, archived: in.Archived,
		initSource: cmp.Or(in.InitSource, "parent-data"),
		roles:      slices.Clone(parent.roles), ready: now,
	}
	b.name = b.id
	if err := body.apply(b); err != nil {
		return nil, err
	}
	if err := p.begin(); err != nil {
		return nil, err
	}
	before := len(p.endpoints)
	for _, o := range body.Endpoints {
		if _, err := b.addEndpoint(o); err != nil {
			p.endpoints, p.changing = p.endpoints[:before], false
			return nil, err
		}
	}
	return b, nil
}
