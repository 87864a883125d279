package neontest

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
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
	steps := []step{}
	for _, e := range p.endpoints {
		if e.branch == b {
			steps = append(steps, step{"suspend_compute", b, e})
		}
	}
	s.remove(b)
	operations := s.schedule(p, append(steps, step{"delete_timeline", b, nil})...)
	return http.StatusOK, map[string]any{"branch": b.view(), "operations": operations}, nil
}

// remove removes a branch, and drops its databases in the background. Called with the lock held.
func (s *Server) remove(b *branch) {
	p := b.project
	p.branches = slices.DeleteFunc(p.branches, func(other *branch) bool { return other == b })
	p.endpoints = slices.DeleteFunc(p.endpoints, func(e *endpoint) bool { return e.branch == b })
	databases := b.realDatabases()
	for _, name := range databases {
		delete(s.byDatabase, name)
	}
	s.inBackground(func(ctx context.Context) error { return s.drop(ctx, databases...) })
}

// expireBranches removes expired branches, children first. Called with the lock held.
func (s *Server) expireBranches(p *project) {
	for _, b := range slices.Backward(slices.Clone(p.branches)) {
		if b.expires != nil && !b.expires.After(time.Now()) && len(b.children()) == 0 {
			s.remove(b)
		}
	}
}

// restoreBranch replaces a branch's databases with copies of another branch's. Connection strings stay the same.
func (s *Server) restoreBranch(r *request) (int, any, error) {
	var body struct {
		Source    string `json:"source_branch_id"`
		LSN       string `json:"source_lsn"`
		Timestamp string `json:"source_timestamp"`
		Preserve  string `json:"preserve_under_name"`
	}
	if err := r.decode(&body, false); err != nil {
		return 0, nil, err
	}
	if body.Source == "" {
		return 0, nil, refuse(http.StatusBadRequest, "request body has an error: property \"source_branch_id\" is missing")
	}
	s.mu.Lock()
	b, source, err := s.beginRestore(r, body.Source, body.Preserve)
	if err == nil && (b == source || body.LSN != "" || body.Timestamp != "") {
		b.project.changing = false
		err = refuse(http.StatusNotImplemented, "the simulator can't restore from the past")
	}
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	p := b.project
	kept := &branch{
		project: p, id: newID("br"), name: body.Preserve, parent: b.parent, created: b.created, updated: b.updated,
		ready: b.ready, roles: b.roles,
	}
	restored, err := s.replaceDatabases(context.WithoutCancel(r.Context()), b, source, kept)
	if err != nil {
		s.end(p)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishRestore(b, source, kept, restored)
	operations := s.schedule(p, step{"create_branch", b, nil}, step{"start_compute", b, b.endpoint()})
	b.ready = p.busyUntil
	return http.StatusOK, map[string]any{"branch": b.view(), "operations": operations}, nil
}

// finishRestore gives a branch the source's roles and the restored databases. If kept has a name, it is added, and
// takes over the branch's children. Called with the lock held.
func (s *Server) finishRestore(b, source, kept *branch, restored []*database) {
	now := s.now()
	b.databases, b.roles, b.updated, b.reset = restored, slices.Clone(source.roles), now, &now
	for _, d := range restored {
		d.id = s.nextID()
		s.byDatabase[d.real] = b
	}
	if kept.name == "" {
		return
	}
	for _, child := range b.children() {
		child.parent = kept
	}
	if b.parent == nil {
		b.parent = kept // a root branch becomes the child of its preserved state
	}
	b.project.branches = append(b.project.branches, kept)
	for _, d := range kept.databases {
		s.byDatabase[d.real] = kept
	}
}

// beginRestore starts the change. Called with the lock held.
func (s *Server) beginRestore(r *request, sourceID, preserve string) (b, source *branch, err error) {
	if b, err = s.findBranch(r); err != nil {
		return nil, nil, err
	}
	if source = b.project.branch(sourceID); source == nil {
		return nil, nil, refuse(http.StatusNotFound, "source branch not found")
	}
	if preserve == "" && (len(b.children()) > 0 || b == source) {
		return nil, nil, refuse(http.StatusUnprocessableEntity,
			"preserve_under_name is required if the branch has children or is restored from itself")
	}
	for _, other := range b.project.branches {
		if preserve != "" && other.name == preserve {
			return nil, nil, refuse(http.StatusConflict, "branch with name %q already exists", preserve)
		}
	}
	return b, source, b.project.begin()
}

// replaceDatabases copies the source's databases, and gives the copies the names that the branch's databases have on
// the real server. Those are dropped or, if kept has a name, move to it.
func (s *Server) replaceDatabases(ctx context.Context, b, source, kept *branch) ([]*database, error) {
	restored, err := s.copyDatabases(ctx, source, false)
	if err != nil {
		return nil, err
	}
	if err := s.disconnect(ctx, b.realDatabases()...); err != nil {
		return nil, err
	}
	for _, old := range b.databases {
		if kept.name != "" {
			moved := *old
			moved.real = realName(old.name)
			if err := s.rename(ctx, old.real, moved.real); err != nil {
				return nil, err
			}
			kept.databases = append(kept.databases, &moved)
		} else if err := s.drop(ctx, old.real); err != nil {
			return nil, err
		}
		for _, d := range restored {
			if d.name == old.name {
				if err := s.rename(ctx, d.real, old.real); err != nil {
					return nil, err
				}
				d.real = old.real
			}
		}
	}
	return restored, nil
}

func (s *Server) rename(ctx context.Context, from, to string) error {
	return s.pg.Exec(ctx, "postgres", "ALTER DATABASE "+pgtest.Identifier(from)+" RENAME TO "+pgtest.Identifier(to))
}
