package neontest

import (
	"context"
	"net/http"
	"slices"
	"time"
)

type databaseView struct {
	ID        int64  `json:"id"`
	BranchID  string `json:"branch_id"`
	Name      string `json:"name"`
	OwnerName string `json:"owner_name"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

func (d *database) view(b *branch) databaseView {
	return databaseView{d.id, b.id, d.name, d.owner, stamp(d.created), stamp(d.updated)}
}

func (b *branch) databaseViews() []databaseView {
	views := []databaseView{}
	for _, d := range b.databases {
		views = append(views, d.view(b))
	}
	return views
}

func (s *Server) listDatabases(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBranch(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"databases": b.databaseViews()}, nil
}

func (s *Server) getDatabase(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBranch(r)
	if err != nil {
		return 0, nil, err
	}
	if d := b.database(r.PathValue("database_name")); d != nil {
		return http.StatusOK, map[string]any{"database": d.view(b)}, nil
	}
	return 0, nil, refuse(http.StatusNotFound, "database not found")
}

func (s *Server) createDatabase(r *request) (int, any, error) {
	var body struct {
		Database *struct {
			Name  string `json:"name"`
			Owner string `json:"owner_name"`
		} `json:"database"`
	}
	if err := r.decode(&body, false); err != nil {
		return 0, nil, err
	}
	if body.Database == nil || body.Database.Owner == "" {
		return 0, nil, refuse(http.StatusBadRequest, "request body has an error: database.name and database.owner_name are required")
	}
	if err := checkSQLName("database name", body.Database.Name); err != nil {
		return 0, nil, err
	}
	now := time.Now()
	d := &database{name: body.Database.Name, real: realName(body.Database.Name), owner: body.Database.Owner, created: now, updated: now}
	s.mu.Lock()
	b, err := s.findBranch(r)
	var owner *role
	if err == nil {
		owner = b.role(d.owner)
		switch {
		case b.database(d.name) != nil:
			err = refuse(http.StatusConflict, "database with name %q already exists", d.name)
		case owner == nil:
			err = refuse(http.StatusNotFound, "role not found")
		case b.project.shared:
			err = refuse(http.StatusNotImplemented, "the simulator can't add to a shared database's project")
		default:
			err = b.project.begin()
		}
	}
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	if err := s.pg.CreateDatabase(context.WithoutCancel(r.Context()), d.real, owner.real, ""); err != nil {
		s.end(b.project)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.id = s.nextID()
	b.databases = append(b.databases, d)
	s.byDatabase[d.real] = b
	return http.StatusCreated, map[string]any{"database": d.view(b), "operations": s.schedule(b.project, step{"apply_config", b, b.endpoint()})}, nil
}

// deleteDatabase answers 204 where there is none.
func (s *Server) deleteDatabase(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBranch(r)
	if err != nil {
		return 0, nil, err
	}
	d := b.database(r.PathValue("database_name"))
	if d == nil {
		return http.StatusNoContent, nil, nil
	}
	if err := b.project.begin(); err != nil {
		return 0, nil, err
	}
	b.databases = slices.DeleteFunc(b.databases, func(other *database) bool { return other == d })
	delete(s.byDatabase, d.real)
	if !b.project.shared {
		s.do(func(ctx context.Context) error { return s.drop(ctx, d.real) })
	}
	return http.StatusOK, map[string]any{"database": d.view(b), "operations": s.schedule(b.project, step{"apply_config", b, b.endpoint()})}, nil
}
