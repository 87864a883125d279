package neontest

import (
	"context"
	"net/http"
	"slices"
	"time"
)

type endpointOptions struct {
	BranchID string  `json:"branch_id"`
	Type     string  `json:"type"`
	Name     *string `json:"name"`
	Disabled *bool   `json:"disabled"`
	endpointSettings
}

// apply checks and sets the options.
func (o *endpointOptions) apply(e *endpoint) error {
	if err := o.check(e.branch.project.plan, e.minCU, e.maxCU); err != nil {
		return err
	}
	o.endpointSettings.apply(e)
	if o.Name != nil {
		if len(*o.Name) < 1 || len(*o.Name) > 64 {
			return refuse(http.StatusBadRequest, "endpoint.name must have from 1 to 64 characters")
		}
		e.name = *o.Name
	}
	if o.Disabled != nil {
		e.disabled = *o.Disabled
	}
	return nil
}

// addEndpoint adds a compute to a branch. Called with the lock held.
func (b *branch) addEndpoint(o endpointOptions) (*endpoint, error) {
	if o.Type != "read_write" && o.Type != "read_only" {
		return nil, refuse(http.StatusBadRequest, "request body has an error: endpoint type must be read_only or read_write")
	}
	e := newEndpoint(b)
	e.readOnly = o.Type == "read_only"
	if other := b.endpoint(); other != nil && !other.readOnly && !e.readOnly {
		return nil, refuse(http.StatusConflict, "read-write endpoint already exists for the branch")
	}
	if err := o.apply(e); err != nil {
		return nil, err
	}
	if len(b.project.endpoints) >= b.project.plan.Endpoints {
		return nil, exceeded("ENDPOINTS_LIMIT_EXCEEDED", "endpoints limit exceeded")
	}
	b.project.endpoints = append(b.project.endpoints, e)
	return e, nil
}

func (s *Server) createEndpoint(r *request) (int, any, error) {
	var body struct {
		Endpoint *endpointOptions `json:"endpoint"`
	}
	if err := r.decode(&body, false); err != nil {
		return 0, nil, err
	}
	if body.Endpoint == nil || body.Endpoint.BranchID == "" {
		return 0, nil, refuse(http.StatusBadRequest, "request body has an error: endpoint.branch_id is missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	b := p.branch(body.Endpoint.BranchID)
	if b == nil {
		return 0, nil, refuse(http.StatusNotFound, "branch not found")
	}
	if err := p.begin(); err != nil {
		return 0, nil, err
	}
	e, err := b.addEndpoint(*body.Endpoint)
	if err != nil {
		p.changing = false
		return 0, nil, err
	}
	operations := s.schedule(p, step{action: "start_compute", branch: b, endpoint: e})
	return http.StatusCreated, map[string]any{"endpoint": e.view(s), "operations": operations}, nil
}

// changeEndpoint makes a change to one compute that takes no work on the real server.
func (s *Server) changeEndpoint(r *request, action string, change func(*endpoint) error) (
	*endpoint, []operationView, error,
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findEndpoint(r)
	if err != nil {
		return nil, nil, err
	}
	p := e.branch.project
	if err := p.begin(); err != nil {
		return nil, nil, err
	}
	if err := change(e); err != nil {
		p.changing = false
		return nil, nil, err
	}
	e.updated = s.clock.now()
	return e, s.schedule(p, step{action: action, branch: e.branch, endpoint: e}), nil
}

func (s *Server) answerEndpoint(e *endpoint, operations []operationView, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return http.StatusOK, map[string]any{"endpoint": e.view(s), "operations": operations}, nil
}

func (s *Server) deleteEndpoint(r *request) (int, any, error) {
	s.mu.Lock()
	p, err := s.find(r)
	missing := err == nil && p.endpoint(r.PathValue("endpoint_id")) == nil
	s.mu.Unlock()
	if missing {
		return http.StatusNoContent, nil, nil
	}
	return s.answerEndpoint(s.changeEndpoint(r, "suspend_compute", func(e *endpoint) error {
		p := e.branch.project
		p.endpoints = slices.DeleteFunc(slices.Clone(p.endpoints), func(other *endpoint) bool { return other == e })
		return nil
	}))
}

func (s *Server) startEndpoint(r *request) (int, any, error) {
	return s.answerEndpoint(s.changeEndpoint(r, "start_compute", func(e *endpoint) error {
		if e.branch.project.quotaExceeded {
			return refuse(http.StatusUnprocessableEntity, "%s", quotaMessage)
		}
		if e.disabled {
			return refuse(http.StatusUnprocessableEntity, "endpoint is disabled")
		}
		e.wake(s.options.WakeTime)
		return nil
	}))
}

// suspendEndpoint ends the compute's sessions.
func (s *Server) suspendEndpoint(r *request) (int, any, error) {
	e, operations, err := s.changeEndpoint(r, "suspend_compute", func(e *endpoint) error {
		e.suspended, e.waking = true, time.Time{}
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	databases := e.branch.realDatabases()
	s.mu.Unlock()
	if err := s.disconnect(context.WithoutCancel(r.Context()), databases...); err != nil {
		return 0, nil, err
	}
	return s.answerEndpoint(e, operations, nil)
}
