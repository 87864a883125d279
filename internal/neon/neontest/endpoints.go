package neontest

import (
	"fmt"
	"net/http"
	"time"
)

type endpointView struct {
	Host           string         `json:"host"`
	ID             string         `json:"id"`
	Name           string         `json:"name,omitempty"`
	ProjectID      string         `json:"project_id"`
	BranchID       string         `json:"branch_id"`
	MinCU          float64        `json:"autoscaling_limit_min_cu"`
	MaxCU          float64        `json:"autoscaling_limit_max_cu"`
	RegionID       string         `json:"region_id"`
	Type           string         `json:"type"`
	CurrentState   string         `json:"current_state"`
	PendingState   string         `json:"pending_state,omitempty"`
	Settings       map[string]any `json:"settings"`
	PoolerEnabled  bool           `json:"pooler_enabled"`
	PoolerMode     string         `json:"pooler_mode"`
	Disabled       bool           `json:"disabled"`
	Passwordless   bool           `json:"passwordless_access"`
	LastActive     string         `json:"last_active,omitempty"`
	CreationSource string         `json:"creation_source"`
	CreatedAt      string         `json:"created_at"`
	UpdatedAt      string         `json:"updated_at"`
	ProxyHost      string         `json:"proxy_host"`
	SuspendSeconds int            `json:"suspend_timeout_seconds"`
	Provisioner    string         `json:"provisioner"`
}

func newEndpoint(b *branch) *endpoint {
	now := b.project.clock.now()
	e := &endpoint{id: newID("ep"), branch: b, minCU: defaultMinCU, maxCU: defaultMaxCU, created: now, updated: now}
	b.project.endpointSettings.apply(e)
	return e
}

// host is the compute's name as the proxy reads it from a TLS handshake. Whether it resolves to this machine, as
// names under localhost should, depends on the machine; the addresses in connection strings always do.
func (e *endpoint) host(s *Server, pooled bool) string {
	if pooled {
		return fmt.Sprintf("%s-pooler.localhost:%d", e.id, s.proxy.port)
	}
	return fmt.Sprintf("%s.localhost:%d", e.id, s.proxy.port)
}

// state depends on the clock: a compute that was woken becomes active after a while.
func (e *endpoint) state() string {
	now := e.branch.project.clock.now()
	switch {
	case now.Before(e.branch.ready):
		return "init"
	case e.disabled || e.branch.project.quotaExceeded:
		return "idle"
	case e.suspended && !e.waking.IsZero() && !now.Before(e.waking):
		e.suspended, e.waking, e.branch.archived = false, time.Time{}, false
	}
	if e.suspended {
		return "idle"
	}
	return "active"
}

// wake starts to wake the compute, unless something has.
func (e *endpoint) wake(takes time.Duration) {
	if e.branch.archived {
		takes *= 3
	}
	if e.waking.IsZero() {
		e.waking = e.branch.project.clock.now().Add(takes)
	}
}

func (e *endpoint) view(s *Server) endpointView {
	p := e.branch.project
	v := endpointView{
		Host: e.host(s, false), ID: e.id, Name: e.name, ProjectID: p.id, BranchID: e.branch.id, MinCU: e.minCU,
		MaxCU: e.maxCU, RegionID: p.region, Type: "read_write", CurrentState: e.state(),
		Settings: map[string]any{}, PoolerMode: "transaction", Disabled: e.disabled, LastActive: stamp(e.updated),
		CreationSource: "console", CreatedAt: stamp(e.created), UpdatedAt: stamp(e.updated),
		ProxyHost: "localhost", SuspendSeconds: e.suspendSeconds, Provisioner: "k8s-neonvm",
	}
	if e.readOnly {
		v.Type = "read_only"
	}
	if v.CurrentState == "init" || v.CurrentState == "idle" && !e.waking.IsZero() {
		v.PendingState = "active"
	}
	return v
}

// endpointViews are a project's computes or, if of is not nil, those of a branch.
func (p *project) endpointViews(s *Server, of *branch) []endpointView {
	views := []endpointView{}
	for _, e := range p.endpoints {
		if of == nil || e.branch == of {
			views = append(views, e.view(s))
		}
	}
	return views
}

func (s *Server) listEndpoints(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"endpoints": p.endpointViews(s, nil)}, nil
}

func (s *Server) listBranchEndpoints(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBranch(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"endpoints": b.project.endpointViews(s, b)}, nil
}

// findEndpoint is called with the lock held.
func (s *Server) findEndpoint(r *request) (*endpoint, error) {
	p, err := s.find(r)
	if err != nil {
		return nil, err
	}
	if e := p.endpoint(r.PathValue("endpoint_id")); e != nil {
		return e, nil
	}
	return nil, refuse(http.StatusNotFound, "endpoint not found")
}

func (s *Server) getEndpoint(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findEndpoint(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"endpoint": e.view(s)}, nil
}
