package neontest

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// key is an API key: a personal one, an organization's, or one for a single project of an organization.
type key struct{ org, project string }

func (k *key) sees(p *project) bool {
	return (k.org == "" || k.org == p.org) && (k.project == "" || k.project == p.id)
}

// ProjectKeyFor makes a key that gives access to one project only.
func (s *Server) ProjectKeyFor(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &key{org: s.options.Orgs[0].ID, project: id}
	if p := s.byID[id]; p != nil {
		k.org = p.org
	}
	secret := "napi_" + strings.ToLower(rand.Text() + rand.Text() + rand.Text())[:64]
	s.keys[secret] = k
	return secret
}

// authenticate returns the caller's key, or nil.
func (s *Server) authenticate(r *http.Request) *key {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[secret]
}

// orgFor returns the organization that a call about many projects is for. A personal key has to name it.
func (s *Server) orgFor(k *key, named string) (string, error) {
	if named != "" && !idPattern.MatchString(named) {
		return "", refuse(http.StatusBadRequest, "parameter \"org_id\" has an error: must match %s", idPattern)
	}
	if k.org != "" {
		if named != "" && named != k.org {
			return "", refuse(http.StatusForbidden, "the API key does not belong to the organization %s", named)
		}
		return k.org, nil
	}
	if named == "" {
		return "", refuse(http.StatusBadRequest, "org_id is required, you can find it on your organization settings page")
	}
	for _, o := range s.options.Orgs {
		if o.ID == named {
			return named, nil
		}
	}
	return "", refuse(http.StatusNotFound, "organization not found")
}

func (s *Server) listOrgs(r *request) (int, any, error) {
	orgs := []any{}
	for _, o := range s.options.Orgs {
		if r.caller.org == "" || r.caller.org == o.ID {
			orgs = append(orgs, map[string]any{
				"id": o.ID, "name": o.Name, "handle": o.ID, "plan": "scale", "managed_by": "console",
				"created_at": stamp(s.started), "updated_at": stamp(s.started),
			})
		}
	}
	return http.StatusOK, map[string]any{"organizations": orgs}, nil
}
