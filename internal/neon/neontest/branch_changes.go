package neontest

import (
	"context"
	"net/http"
	"slices"
)

func (s *Server) updateBranch(r *request) (int, any, error) {
	var body branchBody
	if err := r.decode(&body, false); err != nil {
		return 0, nil, err
	}
	if body.Branch == nil {
		return 0, nil, refuse(http.StatusBadRequest, "request body has an error: property \"branch\" is missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBranch(r)
	if err != nil {
		return 0, nil, err
	}
	if err := b.project.begin(); err != nil {
		return 0, nil, err
	}
	if err := body.apply(b); err != nil {
		b.project.changing = false
		return 0, nil, err
	}
	b.updated = s.now()
	return http.StatusOK, map[string]any{"branch": b.view(), "operations": s.schedule(b.project)}, nil
}

// deleteBranch answers 204 if there is no such branch.
func (s *Server) deleteBranch(r *request) (int, any, error) {
	if _, err := r.boolean("hard_delete"); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	b := p.branch(r.PathValue("branch_id"))
	switch {
	case b == nil:
		return http.StatusNoContent, nil, nil
	case b.isDefault:
		return 0, nil, refuse(http.StatusUnprocessableEntity, "cannot delete the default branch")
	case b.parent == nil:
		return 0, nil, refuse(http.StatusUnprocessableEntity, "cannot delete a root branch")
	case b.protected:
		return 0, nil, refuse(http.StatusUnprocessableEntity, "cannot delete a protected branch")
	case len(b.children()) > 0:
		return 0, nil, refuse(http.StatusUnprocessableEntity, "cannot delete branch that has children")
	}
	if err := p.begin(); err != nil {
		return 0, nil, err
	}
	steps := b.computeSteps("suspend_compute")
	databases := s.remove(b)
	s.inBackground(func(ctx context.Context) error { return s.drop(ctx, databases...) })
	operations := s.schedule(p, append(steps, step{action: "delete_timeline", branch: b})...)
	return http.StatusOK, map[string]any{"branch": b.view(), "operations": operations}, nil
}

// remove removes a branch, and returns its databases on the real server, which are to be dropped. Called with the lock
// held.
func (s *Server) remove(b *branch) (databases []string) {
	p := b.project
	p.branches = slices.DeleteFunc(slices.Clone(p.branches), func(other *branch) bool { return other == b })
	p.dropEndpoints(b)
	databases = append(b.realDatabases(), b.takeHistory()...)
	for _, name := range databases {
		delete(s.byDatabase, name)
	}
	return databases
}

// takeHistory forgets a branch's history, and returns the databases that it was kept in.
func (b *branch) takeHistory() (databases []string) {
	for _, k := range b.history {
		for _, d := range k.databases {
			databases = append(databases, d.real)
		}
	}
	b.history = nil
	return databases
}
