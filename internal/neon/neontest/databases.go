package neontest

import (
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

func (b *branch) databaseViews() []databaseView {
	views := []databaseView{}
	for _, d := range b.databases {
		views = append(views, databaseView{d.id, b.id, d.name, d.owner, stamp(d.created), stamp(d.created)})
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
