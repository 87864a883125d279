package neontest

import (
	"context"
	"net/http"
	"time"
)

// role is a role under Neon's name and under the one it has on the real server.
type role struct {
	name, real, password string
	created              time.Time
}

func (c *contents) role(name string) *role {
	for _, r := range c.roles {
		if r.name == name {
			return r
		}
	}
	return nil
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
		views = append(views, r.view(b, withPasswords))
	}
	return views
}

func (r *role) view(b *branch, withPassword bool) roleView {
	v := roleView{BranchID: b.id, Name: r.name, Authentication: "password", CreatedAt: stamp(r.created)}
	v.UpdatedAt = v.CreatedAt
	if withPassword {
		v.Password = r.password
	}
	return v
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

// createRole creates a role that can log in, as Neon's API does. The branch has several roles from then on, and Neon
// names no connection string for its children.
func (s *Server) createRole(r *request) (int, any, error) {
	var body struct {
		Role struct {
			Name string `json:"name"`
		} `json:"role"`
	}
	if err := r.decode(&body, false); err != nil {
		return 0, nil, err
	}
	name := body.Role.Name
	if err := checkSQLName("role name", name); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	b, err := s.findBranch(r)
	switch {
	case err != nil:
	case b.role(name) != nil:
		err = refuse(http.StatusConflict, "role already exists")
	case b.project.shared:
		err = refuse(http.StatusNotImplemented, "the simulator can't add to a shared database's project")
	default:
		err = b.project.begin()
	}
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	made := &role{name: name, real: realName(name), password: newPassword(), created: s.clock.now()}
	if err := s.makeRole(context.WithoutCancel(r.Context()), made); err != nil {
		s.end(b.project)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.roles = append(b.roles, made)
	operations := s.schedule(b.project, step{action: "apply_config", branch: b, endpoint: b.endpoint()})
	return http.StatusCreated, map[string]any{"role": made.view(b, true), "operations": operations}, nil
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
