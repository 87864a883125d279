package neontest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// request is a call that has passed authentication and the limits.
type request struct {
	*http.Request
	caller *key
	query  url.Values
}

// handler answers a request with a status and a body. A nil body sends none.
type handler func(*request) (status int, body any, err error)

// apiError is a refusal in Neon's format.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string { return e.message }

func refuse(status int, format string, args ...any) error {
	return &apiError{status, "", fmt.Sprintf(format, args...)}
}

// newRoutes has the paths that this project's client asks for, or is about to, and those that Neon's own clients need
// for the same work. They are named as in Neon's OpenAPI document.
func (s *Server) newRoutes() *http.ServeMux {
	const project, branch = "/projects/{project_id}", "/projects/{project_id}/branches/{branch_id}"
	mux := http.NewServeMux()
	for route, h := range map[string]handler{
		"GET /users/me/organizations": s.listOrgs,

		"GET /projects":                      s.listProjects,
		"POST /projects":                     s.createProject,
		"GET " + project:                     s.getProject,
		"DELETE " + project:                  s.deleteProject,
		"POST " + project + "/recover":       s.recoverProject, // what the action tells whoever dropped a tenant by mistake
		"GET " + project + "/connection_uri": s.getConnectionURI,

		"GET " + project + "/operations":                s.listOperations,
		"GET " + project + "/operations/{operation_id}": s.getOperation,

		"GET " + project + "/branches":       s.listBranches,
		"POST " + project + "/branches":      s.createBranch,
		"GET " + project + "/branches/count": s.countBranches,
		"GET " + branch:                      s.getBranch,
		"PATCH " + branch:                    s.updateBranch,
		"DELETE " + branch:                   s.deleteBranch,
		"POST " + branch + "/restore":        s.restoreBranch,

		"GET " + branch + "/databases":                         s.listDatabases,
		"POST " + branch + "/databases":                        s.createDatabase,
		"GET " + branch + "/roles":                             s.listRoles,
		"POST " + branch + "/roles":                            s.createRole,
		"GET " + branch + "/roles/{role_name}/reveal_password": s.revealPassword, // neonctl connection-string

		"GET " + project + "/endpoints":                        s.listEndpoints,
		"GET " + branch + "/endpoints":                         s.listBranchEndpoints,
		"POST " + project + "/endpoints":                       s.createEndpoint,
		"GET " + project + "/endpoints/{endpoint_id}":          s.getEndpoint,
		"DELETE " + project + "/endpoints/{endpoint_id}":       s.deleteEndpoint,
		"POST " + project + "/endpoints/{endpoint_id}/start":   s.startEndpoint,
		"POST " + project + "/endpoints/{endpoint_id}/suspend": s.suspendEndpoint,
	} {
		method, path, _ := strings.Cut(route, " ")
		mux.HandleFunc(method+" "+BasePath+path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, route, h) })
	}
	return mux
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.clock.now().UTC().Format(http.TimeFormat))
	if _, pattern := s.routes.Handler(r); pattern == "" {
		s.calls.arrived("unknown", "", time.Now())
		s.answer(w, r, 0, nil, refuse(http.StatusNotFound, "%s %s: no such route", r.Method, r.URL.Path))
		return
	}
	s.routes.ServeHTTP(w, r)
}

// serve does what Neon's gateway does with a call before the request itself is looked at.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, route string, h handler) {
	now := time.Now()
	s.calls.arrived(route, r.PathValue("project_id"), now)
	lose, ended := s.strike(w, r, route)
	if ended {
		return
	}
	caller := s.authenticate(r)
	if caller == nil {
		s.answer(w, r, 0, nil, refuse(http.StatusUnauthorized, "supplied credentials do not pass authentication"))
		return
	}
	if after, ok := s.limits.allow(route, now); !ok {
		s.calls.limited()
		setRetryAfter(w.Header(), after)
		s.answer(w, r, 0, nil, refuse(http.StatusTooManyRequests, limitedMessage))
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		s.answer(w, r, 0, nil, refuse(http.StatusBadRequest, "malformed query: %v", err))
		return
	}
	status, body, err := h(&request{r, caller, query})
	if lose {
		panic(http.ErrAbortHandler)
	}
	s.answer(w, r, status, body, err)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, status int, body any, err error) {
	id := r.Header.Get("X-Request-ID")
	if id == "" {
		id = newUUID()
	}
	if err != nil {
		refusal := &apiError{http.StatusInternalServerError, "", err.Error()}
		errors.As(err, &refusal)
		status = refusal.status
		body = map[string]string{"request_id": id, "code": refusal.code, "message": refusal.message}
	}
	w.Header().Set("X-Neon-Ret-Request-Id", id)
	if body == nil {
		w.WriteHeader(status)
		return
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encoded) // the client may be gone
}

// decode reads a JSON body, which is required unless optional.
func (r *request) decode(into any, optional bool) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return refuse(http.StatusBadRequest, "read the body: %v", err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		if optional {
			return nil
		}
		return refuse(http.StatusBadRequest, "request body has an error: value is required but missing")
	}
	if kind := r.Header.Get("Content-Type"); kind != "" && !strings.HasPrefix(kind, "application/json") {
		return refuse(http.StatusUnsupportedMediaType, "content type %q is not supported, use application/json", kind)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return refuse(http.StatusBadRequest, "request body has an error: failed to decode request body: %v", err)
	}
	return nil
}

// number reads a query parameter, which must be within bounds.
func (r *request) number(name string, low, high, absent int) (int, error) {
	if !r.query.Has(name) {
		return absent, nil
	}
	value, err := strconv.Atoi(r.query.Get(name))
	if err != nil || value < low || value > high {
		return 0, refuse(http.StatusBadRequest,
			"parameter %q in query has an error: must be an integer from %d to %d", name, low, high)
	}
	return value, nil
}

func (r *request) boolean(name string) (bool, error) {
	if !r.query.Has(name) {
		return false, nil
	}
	switch r.query.Get(name) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, refuse(http.StatusBadRequest, "parameter %q in query has an error: must be true or false", name)
}

func (r *request) oneOf(name, absent string, values ...string) (string, error) {
	if !r.query.Has(name) {
		return absent, nil
	}
	value := r.query.Get(name)
	if !slices.Contains(values, value) {
		return "", refuse(http.StatusBadRequest, "parameter %q in query has an error: must be one of %s", name,
			strings.Join(values, ", "))
	}
	return value, nil
}

var idPattern = regexp.MustCompile(`^[a-z0-9-]{1,60}$`)

// id reads a query parameter that is an id; "" if it is absent.
func (r *request) id(name string) (string, error) {
	if r.query.Has(name) && !idPattern.MatchString(r.query.Get(name)) {
		return "", refuse(http.StatusBadRequest, "parameter %q in query has an error: must match %s", name, idPattern)
	}
	return r.query.Get(name), nil
}

// checkName refuses names of projects and branches that are empty or too long.
func checkName(field, name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > 256 {
		return refuse(http.StatusBadRequest, "request body has an error: %s must have from 1 to 256 characters", field)
	}
	return nil
}

// checkSQLName refuses names of roles and databases that Neon refuses.
func checkSQLName(field, name string) error {
	reserved := []string{"postgres", "template0", "template1", "cloud_admin", "neon_superuser", "web_access",
		"public", "none"}
	if len(name) < 1 || len(name) > 63 || strings.HasPrefix(name, "pg_") || slices.Contains(reserved, name) {
		return refuse(http.StatusBadRequest, "%s %q is not allowed: 1 to 63 bytes, not reserved, no pg_ at its "+
			"beginning", field, name)
	}
	return nil
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
