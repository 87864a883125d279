package neontest

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const userID = "2f5f3a10-6d4b-4a3f-9f57-5b1f1c1b8a01"

// key is an API key: personal, an organisation's, or of one project in an organisation.
type key struct {
	id           int64
	secret, name string
	org          string // "": personal
	project      string
	created      time.Time
	used         *time.Time
	usedFrom     string
}

func (k *key) sees(p *project) bool {
	return (k.org == "" || k.org == p.org) && (k.project == "" || k.project == p.id)
}

// addKey is called with the lock held, or from New.
func (s *Server) addKey(k *key) {
	s.lastKeyID++
	k.id, k.created = s.lastKeyID, time.Now()
	s.keys[k.secret] = k
}

// ProjectKeyFor makes a key that sees nothing but one project.
func (s *Server) ProjectKeyFor(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &key{secret: newKey(), name: id, project: id, org: s.options.Orgs[0].ID}
	if p := s.byID[id]; p != nil {
		k.org = p.org
	}
	s.addKey(k)
	return k.secret
}

func newKey() string { return "napi_" + strings.ToLower(rand.Text() + rand.Text() + rand.Text())[:64] }

// authenticate returns the caller's key, or nil.
func (s *Server) authenticate(r *http.Request) *key {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[secret]
	if k != nil {
		now := time.Now()
		k.used, k.usedFrom = &now, strings.Split(r.RemoteAddr, ":")[0]
	}
	return k
}

// orgFor is the organisation that a call about many projects is about: a personal key has to name it.
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
	if s.org(named) == nil {
		return "", refuse(http.StatusNotFound, "organization not found")
	}
	return named, nil
}

func (s *Server) org(id string) *Org {
	for i := range s.options.Orgs {
		if s.options.Orgs[i].ID == id {
			return &s.options.Orgs[i]
		}
	}
	return nil
}

func (s *Server) getAuth(r *request) (int, any, error) {
	if r.caller.org != "" {
		return http.StatusOK, map[string]any{"account_id": r.caller.org, "auth_method": "api_key_org"}, nil
	}
	return http.StatusOK, map[string]any{"account_id": userID, "auth_method": "api_key_user"}, nil
}

func (s *Server) getUser(r *request) (int, any, error) {
	if r.caller.org != "" {
		return 0, nil, refuse(http.StatusForbidden, "this endpoint is not available with an organization API key")
	}
	return http.StatusOK, map[string]any{
		"active_seconds_limit": 0, "auth_accounts": []any{}, "email": "ada@example.com", "id": userID, "image": "", "login": "ada",
		"name": "Ada", "last_name": "Lovelace", "projects_limit": 10000, "branches_limit": 5000, "max_autoscaling_limit": 16, "plan": "scale",
	}, nil
}

func (s *Server) orgView(o Org) map[string]any {
	return map[string]any{
		"id": o.ID, "name": o.Name, "handle": o.ID, "plan": "scale", "managed_by": "console",
		"created_at": stamp(s.started), "updated_at": stamp(s.started),
	}
}

func (s *Server) listOrgs(r *request) (int, any, error) {
	orgs := []any{}
	for _, o := range s.options.Orgs {
		if r.caller.org == "" || r.caller.org == o.ID {
			orgs = append(orgs, s.orgView(o))
		}
	}
	return http.StatusOK, map[string]any{"organizations": orgs}, nil
}

// namedOrg is the organisation in the path, where the caller may act for it.
func (s *Server) namedOrg(r *request) (*Org, error) {
	o := s.org(r.PathValue("org_id"))
	if o == nil || r.caller.org != "" && r.caller.org != o.ID {
		return nil, refuse(http.StatusNotFound, "organization not found")
	}
	if r.caller.project != "" {
		return nil, refuse(http.StatusForbidden, "a project-scoped API key can't be used for this action")
	}
	return o, nil
}

func (s *Server) getOrg(r *request) (int, any, error) {
	o, err := s.namedOrg(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.orgView(*o), nil
}

var regions = []string{
	"aws-us-east-1", "aws-us-east-2", "aws-us-west-2", "aws-eu-central-1", "aws-eu-west-2", "aws-ap-southeast-1", "aws-ap-southeast-2",
	"aws-sa-east-1", "azure-eastus2", "azure-westus3", "azure-gwc",
}

func (s *Server) listRegions(r *request) (int, any, error) {
	if _, err := r.id("org_id"); err != nil {
		return 0, nil, err
	}
	views := []any{}
	for _, id := range regions {
		views = append(views, map[string]any{"region_id": id, "name": id, "default": id == regions[0], "geo_lat": "0", "geo_long": "0"})
	}
	return http.StatusOK, map[string]any{"regions": views}, nil
}

// The keys of the three scopes: a personal one sees and makes personal ones; organisations have their own list.

func (s *Server) listKeys(r *request) (int, any, error)  { return s.keysOf(r, "") }
func (s *Server) createKey(r *request) (int, any, error) { return s.makeKey(r, "") }
func (s *Server) revokeKey(r *request) (int, any, error) { return s.dropKey(r, "") }

func (s *Server) listOrgKeys(r *request) (int, any, error)  { return s.forOrg(r, s.keysOf) }
func (s *Server) createOrgKey(r *request) (int, any, error) { return s.forOrg(r, s.makeKey) }
func (s *Server) revokeOrgKey(r *request) (int, any, error) { return s.forOrg(r, s.dropKey) }

func (s *Server) forOrg(r *request, do func(*request, string) (int, any, error)) (int, any, error) {
	o, err := s.namedOrg(r)
	if err != nil {
		return 0, nil, err
	}
	return do(r, o.ID)
}

func (s *Server) keysOf(r *request, org string) (int, any, error) {
	if org == "" && r.caller.org != "" {
		return 0, nil, refuse(http.StatusForbidden, "this endpoint is not available with an organization API key")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	views := []map[string]any{}
	for _, k := range s.keys {
		if k.org != org {
			continue
		}
		view := map[string]any{
			"id": k.id, "name": k.name, "created_at": stamp(k.created), "last_used_from_addr": k.usedFrom,
			"created_by": map[string]any{"id": userID, "name": "Ada Lovelace", "image": ""},
		}
		if k.used != nil {
			view["last_used_at"] = stamp(*k.used)
		}
		if k.project != "" {
			view["project_id"] = k.project
		}
		views = append(views, view)
	}
	slices.SortFunc(views, func(a, b map[string]any) int { return cmp.Compare(a["id"].(int64), b["id"].(int64)) })
	return http.StatusOK, views, nil
}

func (s *Server) makeKey(r *request, org string) (int, any, error) {
	var body struct {
		Name    string `json:"key_name"`
		Project string `json:"project_id"`
	}
	if err := r.decode(&body, false); err != nil {
		return 0, nil, err
	}
	if body.Name == "" || len(body.Name) > 64 {
		return 0, nil, refuse(http.StatusBadRequest, "request body has an error: key_name must have from 1 to 64 characters")
	}
	if org == "" && (r.caller.org != "" || body.Project != "") {
		return 0, nil, refuse(http.StatusForbidden, "only a personal API key makes personal API keys, and only an organization's can be for one project")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.byID[body.Project]; body.Project != "" && (p == nil || p.org != org) {
		return 0, nil, refuse(http.StatusNotFound, "project not found")
	}
	k := &key{secret: newKey(), name: body.Name, org: org, project: body.Project}
	s.addKey(k)
	view := map[string]any{"id": k.id, "key": k.secret, "name": k.name, "created_at": stamp(k.created), "created_by": userID}
	if k.project != "" {
		view["project_id"] = k.project
	}
	return http.StatusOK, view, nil
}

func (s *Server) dropKey(r *request, org string) (int, any, error) {
	id, err := strconv.ParseInt(r.PathValue("key_id"), 10, 64)
	if err != nil {
		return 0, nil, refuse(http.StatusBadRequest, "key_id must be a number")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for secret, k := range s.keys {
		if k.id == id && k.org == org && (org != "" || r.caller.org == "") {
			delete(s.keys, secret)
			view := map[string]any{"id": k.id, "name": k.name, "created_at": stamp(k.created), "created_by": userID, "last_used_from_addr": k.usedFrom, "revoked": true}
			if k.project != "" {
				view["project_id"] = k.project
			}
			return http.StatusOK, view, nil
		}
	}
	return 0, nil, refuse(http.StatusNotFound, "API key %d not found", id)
}
