package neontest

import (
	"fmt"
	"net/http"
	"strings"
)

// uri returns the connection string of a role for a database. It leads to the real server directly, as benchmarks
// want no proxy in between, unless the project is in a state that Neon's proxy would react to. Called with the lock
// held.
func (s *Server) uri(b *branch, e *endpoint, r *role, d *database, pooled bool) string {
	port := s.pg.Port
	switch {
	case pooled:
		port = s.proxy.pooledPort
	case b.project.special(b, e):
		port = s.proxy.port
	}
	if s.options.Front != nil {
		port = s.options.Front(port)
	}
	// The password is escaped, so the first @ ends it.
	before, after, _ := strings.Cut(s.pg.TenantURL(r.real, r.password, d.real), "@")
	_, after, _ = strings.Cut(after, "/")
	return fmt.Sprintf("%s@%s:%d/%s", before, s.options.Host, port, after)
}

// special reports whether the proxy would react to a connection.
func (p *project) special(b *branch, e *endpoint) bool {
	return p.quotaExceeded || p.settings.BlockPublicConnections || len(p.settings.AllowedIPs.IPs) > 0 ||
		p.clock.now().Before(b.ready) || e.disabled || e.state() != "active"
}

// getConnectionURI requires the names of a database and a role. By default it takes the default branch and its compute.
func (s *Server) getConnectionURI(r *request) (int, any, error) {
	for _, name := range []string{"database_name", "role_name"} {
		if r.query.Get(name) == "" {
			return 0, nil, refuse(http.StatusBadRequest,
				"parameter %q in query has an error: value is required but missing", name)
		}
	}
	branchID, err := r.id("branch_id")
	if err != nil {
		return 0, nil, err
	}
	endpointID, err := r.id("endpoint_id")
	if err != nil {
		return 0, nil, err
	}
	pooled, err := r.boolean("pooled")
	if err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	b, e, err := p.compute(branchID, endpointID)
	if err != nil {
		return 0, nil, err
	}
	d := b.database(r.query.Get("database_name"))
	if d == nil {
		return 0, nil, refuse(http.StatusNotFound, "database not found")
	}
	role := b.role(r.query.Get("role_name"))
	if role == nil {
		return 0, nil, refuse(http.StatusNotFound, "role not found")
	}
	if p.noStorePasswords {
		return 0, nil, refuse(http.StatusPreconditionFailed, "Storing passwords is disabled")
	}
	return http.StatusOK, map[string]any{"uri": s.uri(b, e, role, d, pooled)}, nil
}

// compute returns the branch and the compute that ids name. By default it is the endpoint's branch or the default
// one, and the branch's compute.
func (p *project) compute(branchID, endpointID string) (*branch, *endpoint, error) {
	b, e := p.defaultBranch(), (*endpoint)(nil)
	if endpointID != "" {
		if e = p.endpoint(endpointID); e == nil {
			return nil, nil, refuse(http.StatusNotFound, "endpoint not found")
		}
		b = e.branch
	}
	if branchID != "" {
		if b = p.branch(branchID); b == nil {
			return nil, nil, refuse(http.StatusNotFound, "branch not found")
		}
	}
	if e == nil {
		e = b.endpoint()
	}
	if e == nil || e.branch != b {
		return nil, nil, refuse(http.StatusNotFound, "endpoint not found for branch %s", b.id)
	}
	return b, e, nil
}

// connectionDetails are part of the answer to the creation of a project or a branch. Called with the lock held.
func (s *Server) connectionDetails(b *branch) []any {
	details := []any{}
	e := b.endpoint()
	if e == nil {
		return details
	}
	for _, d := range b.databases {
		r := b.role(d.owner)
		if r == nil {
			continue
		}
		details = append(details, map[string]any{
			"connection_uri": s.uri(b, e, r, d, false),
			"connection_parameters": map[string]any{
				"database": d.name, "password": r.password, "role": r.name,
				"host": e.host(s, false), "pooler_host": e.host(s, true),
			},
		})
	}
	return details
}
