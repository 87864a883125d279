package githubtest

import (
	"crypto/rand"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// route is one operation of the API.
type route struct {
	pattern    string // as ServeMux wants it, and as GitHub's description has it
	permission string // that a token needs, or several of which one is enough; the level depends on the method
	serve      func(s *Server, r *request) reply
}

// newRoutes has the paths that this project's client asks for, and those that GitHub's own clients need for the same
// work. An environment's secrets are found by the repository's name, as in GitHub's OpenAPI description, and by its
// id, which older clients use.
func (s *Server) newRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	add := func(pattern, permission string, serve func(*Server, *request) reply) {
		mux.Handle(pattern, &served{s, route{pattern, permission, serve}})
	}
	for path, permission := range map[string]string{
		"/repos/{owner}/{repo}/actions/secrets":                                 "secrets",
		"/repos/{owner}/{repo}/environments/{environment_name}/secrets":         "environments",
		"/repositories/{repository_id}/environments/{environment_name}/secrets": "environments",
		"/orgs/{org}/actions/secrets":                                           "organization_secrets",
	} {
		add("GET "+path, permission, listSecrets)
		add("GET "+path+"/public-key", permission, getPublicKey)
		add("GET "+path+"/{secret_name}", permission, getSecret)
		add("PUT "+path+"/{secret_name}", permission, putSecret)
		add("DELETE "+path+"/{secret_name}", permission, deleteSecret)
	}
	for path, permission := range map[string]string{
		"/repos/{owner}/{repo}/actions/variables":                         "actions_variables",
		"/repos/{owner}/{repo}/environments/{environment_name}/variables": "environments",
		"/orgs/{org}/actions/variables":                                   "organization_actions_variables",
	} {
		add("GET "+path, permission, listVariables)
		add("POST "+path, permission, createVariable)
		add("GET "+path+"/{name}", permission, getVariable)
		add("PATCH "+path+"/{name}", permission, updateVariable)
	}
	add("GET /orgs/{org}/actions/secrets/{secret_name}/repositories", "organization_secrets", listSelected)
	add("GET /repos/{owner}/{repo}", "metadata", getRepository)
	const either = "issues; pull_requests"
	add("GET /repos/{owner}/{repo}/issues/{issue_number}/comments", either, listComments)
	add("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", either, createComment)
	add("PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}", either, updateComment)
	add("DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}", either, deleteComment)
	add("GET /user", "", getUser)
	add("POST /graphql", "", graphQL)
	mux.Handle("/", &served{s, route{"", "", func(*Server, *request) reply { return notFound() }}})
	return mux
}

// served is a route behind what every call goes through first.
type served struct {
	server *Server
	route  route
}

func (h *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, now := h.server, time.Now()
	write := r.Method != http.MethodGet && r.Method != http.MethodHead
	defer s.calls.arrived(h.route.pattern, write, now)()
	w.Header().Set("Server", "github.com")
	w.Header().Set("X-GitHub-Request-Id", strings.ToUpper(rand.Text()[:4])+":"+rand.Text()[:12])
	w.Header().Set("X-GitHub-Media-Type", "github.v3; format=json")
	if r.Header.Get("User-Agent") == "" {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "\r\nRequest forbidden by administrative rules. Please make sure your request "+
			"has a User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api"+
			"#user-agent-required). Check https://developer.github.com for other possible causes.\r\n")
		return
	}
	token := s.token(r)
	if token == nil {
		refuse(http.StatusUnauthorized, "Bad credentials").send(w)
		return
	}
	if !s.limits.primary(w.Header(), token.Secret, now) {
		s.calls.refused()
		refuse(http.StatusForbidden, "API rate limit exceeded for user ID 583231.").send(w)
		return
	}
	lose, ended := s.strike(w, r, h.route.pattern)
	if ended {
		return
	}
	if write {
		if refusal := s.limits.secondary(w.Header(), now); refusal != nil {
			s.calls.refused()
			refusal.send(w)
			return
		}
	}
	p := h.answer(w.Header(), r, token, write)
	if lose {
		panic(http.ErrAbortHandler) // net/http's way to drop a connection without an answer or a log line
	}
	p.send(w)
}

// answer finds what the path names, checks the token's permission, and serves.
func (h *served) answer(header http.Header, r *http.Request, token *Token, write bool) reply {
	s, level := h.server, "read"
	if write {
		level = "write"
	}
	if h.route.permission != "" {
		accepted := strings.ReplaceAll(h.route.permission, "; ", "="+level+"; ") + "=" + level
		header.Set("X-Accepted-GitHub-Permissions", accepted)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	call := &request{Request: r, header: header, base: base(r), token: token}
	owner := ""
	switch {
	case r.PathValue("org") != "":
		call.organization = s.organizations[strings.ToLower(r.PathValue("org"))]
		if call.organization == nil {
			return notFound()
		}
		call.vault, owner = call.organization.vault, call.organization.login
	case r.PathValue("repo") != "" || r.PathValue("repository_id") != "":
		call.repository = s.named(r)
		if call.repository == nil {
			return notFound()
		}
		call.vault, owner = call.repository.vault, call.repository.name
	}
	if owner != "" && !token.covers(owner) {
		return notFound()
	}
	if h.route.permission != "" && !token.allows(h.route.permission, level) {
		if strings.HasPrefix(token.Secret, "ghs_") {
			return refuse(http.StatusForbidden, "Resource not accessible by integration")
		}
		return refuse(http.StatusForbidden, "Resource not accessible by personal access token")
	}
	if write && call.repository != nil && call.repository.archived {
		return refuse(http.StatusForbidden, "Repository was archived so is read-only.")
	}
	if name := r.PathValue("environment_name"); name != "" {
		call.vault = call.repository.environments[strings.ToLower(name)]
		if call.vault == nil {
			return notFound()
		}
	}
	return h.route.serve(s, call)
}

// named returns the repository that a path names, by its name or its id.
func (s *Server) named(r *http.Request) *repository {
	if r.PathValue("repo") != "" {
		return s.repositories[strings.ToLower(r.PathValue("owner")+"/"+r.PathValue("repo"))]
	}
	id, err := strconv.ParseInt(r.PathValue("repository_id"), 10, 64)
	if err != nil {
		return nil
	}
	return s.byID(id)
}

func (s *Server) byID(id int64) *repository {
	for _, one := range s.repositories {
		if one.id == id {
			return one
		}
	}
	return nil
}

// base returns the API's address as the client uses it.
func base(r *http.Request) string {
	scheme, path := "http://", ""
	if r.TLS != nil {
		scheme = "https://"
	}
	if strings.HasPrefix(r.RequestURI, EnterprisePath+"/") { // which has been stripped from the path
		path = EnterprisePath
	}
	return scheme + r.Host + path
}
