package neontest

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
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
		if err := b.project.checkBranchName("branch.name", *in.Name, b); err != nil {
			return err
		}
	}
	protected, end := b.protected, b.expiry
	if in.Protected != nil {
		protected = *in.Protected
	}
	if protected && !b.protected {
		if err := b.project.checkNewProtected(); err != nil {
			return err
		}
	}
	if len(in.ExpiresAt) > 0 {
		var err error
		if end, err = b.readExpiry(in.ExpiresAt); err != nil {
			return err
		}
	}
	if protected && end.expires != nil {
		return refuse(http.StatusUnprocessableEntity, "a protected branch can't expire")
	}
	if in.Name != nil {
		b.name = *in.Name
	}
	b.protected, b.expiry = protected, end
	return nil
}

// checkBranchName refuses a name that is not allowed, or that a branch other than b has.
func (p *project) checkBranchName(field, name string, b *branch) error {
	if err := checkName(field, name); err != nil {
		return err
	}
	if slices.ContainsFunc(p.branches, func(other *branch) bool { return other != b && other.name == name }) {
		return refuse(http.StatusConflict, "branch already exists")
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
	source := body.Branch.InitSource
	if source != "" && source != "parent-data" && source != "schema-only" && source != "parent-schema" {
		return 0, nil, refuse(http.StatusBadRequest, "init_source must be parent-data or schema-only")
	}
	s.mu.Lock()
	b, from, err := s.beginBranch(r, &body)
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	schemaOnly := source == "schema-only" || source == "parent-schema"
	copied, err := s.copyContents(context.WithoutCancel(r.Context()), from, b.parent.protected, schemaOnly)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		b.project.dropEndpoints(b)
		b.project.changing = false
		return 0, nil, err
	}
	b.contents, b.parentLSN, b.parentTime = copied.contents, copied.lsn, copied.at
	return http.StatusCreated, s.finishBranch(b), nil
}

// copyContents copies what a branch begins with. If it is to have passwords of its own, it gets roles of its own on the
// real server.
func (s *Server) copyContents(ctx context.Context, from *kept, ownPasswords, schemaOnly bool) (_ *kept, err error) {
	to := *from
	to.roles = slices.Clone(from.roles)
	if ownPasswords {
		for i, r := range to.roles {
			own := &role{name: r.name, real: realName(r.name), password: newPassword(), created: s.clock.now()}
			if err := s.makeRole(ctx, own); err != nil {
				return nil, err
			}
			to.roles[i] = own
		}
	}
	if to.lsn == "" {
		if to.lsn, err = s.lsn(ctx); err != nil {
			return nil, err
		}
	}
	to.databases, err = s.copyDatabases(ctx, &from.contents, to.roles, schemaOnly)
	return &to, err
}

// finishBranch ends the change, and returns the answer. Called with the lock held.
func (s *Server) finishBranch(b *branch) map[string]any {
	p := b.project
	p.branches = append(p.branches, b)
	for _, d := range b.databases {
		d.id = s.nextID()
		s.byDatabase[d.real] = b
	}
	steps := append([]step{{action: "create_branch", branch: b}}, b.computeSteps("start_compute")...)
	operations := s.schedule(p, steps...)
	b.ready = p.busyUntil
	answer := map[string]any{
		"branch": b.view(), "endpoints": p.endpointViews(s, b), "operations": operations, "roles": b.roleViews(true),
		"databases": b.databaseViews(),
	}
	if len(b.roles) == 1 && len(b.databases) == 1 && b.endpoint() != nil {
		answer["connection_uris"] = s.connectionDetails(b)
	}
	return answer
}

// beginBranch starts the change and makes the new branch, with its computes but without its contents, which are to be
// copied from those it returns. Called with the lock held.
func (s *Server) beginBranch(r *request, body *branchBody) (*branch, *kept, error) {
	p, err := s.find(r)
	if err != nil {
		return nil, nil, err
	}
	in := body.Branch
	parent := p.defaultBranch()
	if in.ParentID != "" {
		if parent = p.branch(in.ParentID); parent == nil {
			return nil, nil, refuse(http.StatusNotFound, "parent branch not found")
		}
	}
	switch {
	case p.shared:
		return nil, nil, refuse(http.StatusNotImplemented, "the simulator can't branch a project on a shared database")
	case p.clock.now().Before(parent.ready) && !p.changing:
		return nil, nil, refuse(http.StatusUnprocessableEntity, "branch not ready yet")
	case parent.expires != nil:
		return nil, nil, refuse(http.StatusUnprocessableEntity, "a branch that expires can't have children")
	}
	if err := p.checkNewBranch(false); err != nil {
		return nil, nil, err
	}
	now := s.now()
	from := &kept{at: now, contents: parent.contents}
	if at := (point{in.ParentTimestamp, in.ParentLSN}); !at.isHead() {
		if from, err = parent.past(at); err != nil {
			return nil, nil, err
		}
	}
	b := &branch{
		project: p, id: newID("br"), parent: parent, created: now, updated: now, archived: in.Archived,
		initSource: cmp.Or(in.InitSource, "parent-data"), ready: now,
	}
	b.name = b.id
	if err := body.apply(b); err != nil {
		return nil, nil, err
	}
	if err := p.begin(); err != nil {
		return nil, nil, err
	}
	for _, o := range body.Endpoints {
		e, err := b.addEndpoint(o)
		if err != nil {
			p.dropEndpoints(b)
			p.changing = false
			return nil, nil, err
		}
		e.suspended = b.archived
	}
	return b, from, nil
}

// dropEndpoints takes a branch's computes away.
func (p *project) dropEndpoints(b *branch) {
	p.endpoints = slices.DeleteFunc(slices.Clone(p.endpoints), func(e *endpoint) bool { return e.branch == b })
}
