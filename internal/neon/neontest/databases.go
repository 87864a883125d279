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
	d := &database{name: name, real: realName(name), owner: owner, created: time.Now()}
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
	operations := s.schedule(b.project, step{"apply_config", b, b.endpoint()})
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
		return nil, refuse(http.StatusConflict, "database with name %q already exists", d.name)
	case b.role(d.owner) == nil:
		return nil, refuse(http.StatusNotFound, "role not found")
	case b.project.shared:
		return nil, refuse(http.StatusNotImplemented, "the simulator can't add to a shared database's project")
	}
	return b, b.project.begin()
}

type roleView struct {
	BranchID       string `json:"branch_id"`
	Name           string `json:"name"`
	Password       string `json:"password,omitempty"` // only in the answer to what created the role
	Protected      bool   `json:"protected"`
	Authentication string `json:"authentication_method"`
	CreatedAt      string `json:"created_at"`
	UpdatedAt      string `json:"updated_at"`
}

func (b *branch) roleViews(withPasswords bool) []roleView {
	views := []roleView{}
	for _, r := range b.roles {
		v := roleView{BranchID: b.id, Name: r.name, Authentication: "password", CreatedAt: stamp(r.created)}
		v.UpdatedAt = v.CreatedAt
		if withPasswords {
			v.Password = r.password
		}
		views = append(views, v)
	}
	return views
}

func (s *Server) listRoles(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBranch(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"roles": b.roleViews(false)}, nil
}

func (s *Server) revealPassword(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBranch(r)
	if err != nil {
		return 0, nil, err
	}
	role := b.role(r.PathValue("role_name"))
	if role == nil {
		return 0, nil, refuse(http.StatusNotFound, "role not found")
	}
	if b.project.noStorePasswords {
		return 0, nil, refuse(http.StatusPreconditionFailed, "Storing passwords is disabled")
	}
	return http.StatusOK, map[string]any{"password": role.password}, nil
}

// role is a role under Neon's name and under the one it has on the real server.
type role struct {
	name, real, password string
	created              time.Time
}

type database struct {
	id         int64
	name, real string
	owner      string // a role's Neon name
	created    time.Time
}

func (b *branch) role(name string) *role {
	for _, r := range b.roles {
		if r.name == name {
			return r
		}
	}
	return nil
}

func (b *branch) database(name string) *database {
	for _, d := range b.databases {
		if d.name == name {
			return d
		}
	}
	return nil
}
