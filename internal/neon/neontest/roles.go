package neontest

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

type roleView struct {
	BranchID       string `json:"branch_id"`
	Name           string `json:"name"`
	Password       string `json:"password,omitempty"`
	Protected      bool   `json:"protected"`
	Authentication string `json:"authentication_method"`
	CreatedAt      string `json:"created_at"`
	UpdatedAt      string `json:"updated_at"`
}

// view shows the password only in the answer to what made it.
func (r *role) view(b *branch, withPassword bool) roleView {
	v := roleView{BranchID: b.id, Name: r.name, Authentication: "password", CreatedAt: stamp(r.created), UpdatedAt: stamp(r.updated)}
	if r.noLogin {
		v.Authentication = "no_login"
	}
	if withPassword {
		v.Password = r.password
	}
	return v
}

func (b *branch) roleViews(withPassword bool) []roleView {
	views := []roleView{}
	for _, r := range b.roles {
		views = append(views, r.view(b, withPassword))
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

// findRole is called with the lock held.
func (s *Server) findRole(r *request) (*branch, *role, error) {
	b, err := s.findBranch(r)
	if err != nil {
		return nil, nil, err
	}
	if role := b.role(r.PathValue("role_name")); role != nil {
		return b, role, nil
	}
	return nil, nil, refuse(http.StatusNotFound, "role not found")
}

func (s *Server) getRole(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, role, err := s.findRole(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"role": role.view(b, false)}, nil
}

func (s *Server) revealPassword(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, role, err := s.findRole(r)
	if err != nil {
		return 0, nil, err
	}
	if b.project.noStorePasswords {
		return 0, nil, refuse(http.StatusPreconditionFailed, "Storing passwords is disabled")
	}
	if role.noLogin {
		return 0, nil, refuse(http.StatusNotFound, "role has no password")
	}
	return http.StatusOK, map[string]any{"password": role.password}, nil
}

func (s *Server) createRole(r *request) (int, any, error) {
	var body struct {
		Role *struct {
			Name    string `json:"name"`
			NoLogin bool   `json:"no_login"`
		} `json:"role"`
	}
	if err := r.decode(&body, false); err != nil {
		return 0, nil, err
	}
	if body.Role == nil {
		return 0, nil, refuse(http.StatusBadRequest, "request body has an error: property \"role\" is missing")
	}
	if err := checkSQLName("role name", body.Role.Name); err != nil {
		return 0, nil, err
	}
	now := time.Now()
	made := &role{name: body.Role.Name, real: realName(body.Role.Name), noLogin: body.Role.NoLogin, created: now, updated: now}
	if !made.noLogin {
		made.password = newPassword()
	}
	s.mu.Lock()
	b, err := s.findBranch(r)
	if err == nil {
		switch {
		case b.role(made.name) != nil:
			err = refuse(http.StatusConflict, "role with name %q already exists", made.name)
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
	if err := s.makeRole(context.WithoutCancel(r.Context()), made); err != nil {
		s.end(b.project)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.roles = append(b.roles, made)
	return http.StatusCreated, map[string]any{"role": made.view(b, true), "operations": s.schedule(b.project, step{"apply_config", b, b.endpoint()})}, nil
}

// deleteRole answers 204 where there is none. The real server's role stays, closed: other branches may have objects of it.
func (s *Server) deleteRole(r *request) (int, any, error) {
	s.mu.Lock()
	b, err := s.findBranch(r)
	var gone *role
	if err == nil {
		gone = b.role(r.PathValue("role_name"))
		owns := slices.ContainsFunc(b.databases, func(d *database) bool { return gone != nil && d.owner == gone.name })
		switch {
		case gone == nil:
			s.mu.Unlock()
			return http.StatusNoContent, nil, nil
		case owns:
			err = refuse(http.StatusUnprocessableEntity, "role %q owns databases", gone.name)
		default:
			err = b.project.begin()
		}
	}
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	used := false
	s.mu.Lock()
	b.roles = slices.DeleteFunc(slices.Clone(b.roles), func(other *role) bool { return other == gone })
	for _, other := range b.project.branches {
		used = used || slices.Contains(other.roles, gone)
	}
	s.mu.Unlock()
	if !used {
		if err := s.pg.Exec(context.WithoutCancel(r.Context()), "postgres", "ALTER ROLE "+pgtest.Identifier(gone.real)+" NOLOGIN"); err != nil {
			s.end(b.project)
			return 0, nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return http.StatusOK, map[string]any{"role": gone.view(b, false), "operations": s.schedule(b.project, step{"apply_config", b, b.endpoint()})}, nil
}

// resetPassword changes the password on every branch that shares the role, where Neon would change it on one.
func (s *Server) resetPassword(r *request) (int, any, error) {
	s.mu.Lock()
	b, role, err := s.findRole(r)
	if err == nil {
		if b.project.shared {
			err = refuse(http.StatusNotImplemented, "the simulator can't change a shared database's role")
		} else {
			err = b.project.begin()
		}
	}
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	password := newPassword()
	statement := "ALTER ROLE " + pgtest.Identifier(role.real) + " PASSWORD " + pgtest.Literal(password)
	if err := s.pg.Exec(context.WithoutCancel(r.Context()), "postgres", statement); err != nil {
		s.end(b.project)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	role.password, role.updated = password, time.Now()
	return http.StatusOK, map[string]any{"role": role.view(b, true), "operations": s.schedule(b.project, step{"apply_config", b, b.endpoint()})}, nil
}
