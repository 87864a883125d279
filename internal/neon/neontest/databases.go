package neontest

import (
	"context"
	"net/http"
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

func (b *branch) databaseView(d *database) databaseView {
	return databaseView{d.id, b.id, d.name, d.owner, stamp(d.created), stamp(d.created)}
}

func (b *branch) databaseViews() []databaseView {
	views := []databaseView{}
	for _, d := range b.databases {
		views = append(views, b.databaseView(d))
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
		return 0, nil, refuse(http.StatusBadRequest,
			"request body has an error: database.name and database.owner_name are required")
	}
	if err := checkSQLName("database name", body.Database.Name); err != nil {
		return 0, nil, err
	}
	name, owner := body.Database.Name, body.Database.Owner
	d := &database{name: name, real: realName(name), owner: owner, created: s.clock.now()}
	s.mu.Lock()
	b, err := s.beginDatabase(r, d)
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	if err := s.pg.CreateDatabase(context.WithoutCancel(r.Context()), d.real, b.role(owner).real, ""); err != nil {
		s.end(b.project)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.id = s.nextID()
	b.databases = append(b.databases, d)
	s.byDatabase[d.real] = b
	operations := s.schedule(b.project, step{action: "apply_config", branch: b, endpoint: b.endpoint()})
	return http.StatusCreated, map[string]any{"database": b.databaseView(d), "operations": operations}, nil
}

// beginDatabase starts the change. Called with the lock held.
func (s *Server) beginDatabase(r *request, d *database) (*branch, error) {
	b, err := s.findBranch(r)
	if err != nil {
		return nil, err
	}
	switch {
	case b.database(d.name) != nil:
		return nil, refuse(http.StatusConflict, "database already exists")
	case b.role(d.owner) == nil:
		return nil, refuse(http.StatusNotFound, "role not found")
	case b.project.shared:
		return nil, refuse(http.StatusNotImplemented, "the simulator can't add to a shared database's project")
	}
	return b, b.project.begin()
}

type database struct {
	id         int64
	name, real string
	owner      string // a role's Neon name
	created    time.Time
}

func (c *contents) database(name string) *database {
	for _, d := range c.databases {
		if d.name == name {
			return d
		}
	}
	return nil
}
