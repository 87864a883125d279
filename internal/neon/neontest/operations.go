package neontest

import (
	"net/http"
	"slices"
	"time"
)

// operation is a step of a change to a project. Its status depends on the clock.
type operation struct {
	id, action       string
	branch, endpoint string
	created          time.Time
	starts, finishes time.Time
	failed           bool
}

type operationView struct {
	ID            string `json:"id"`
	ProjectID     string `json:"project_id"`
	BranchID      string `json:"branch_id,omitempty"`
	EndpointID    string `json:"endpoint_id,omitempty"`
	Action        string `json:"action"`
	Status        string `json:"status"`
	Error         string `json:"error,omitempty"`
	FailuresCount int    `json:"failures_count"`
	CreatedAt     string `json:"created_at"`
	UpdatedAt     string `json:"updated_at"`
	TotalDuration int64  `json:"total_duration_ms"`
}

func (o *operation) view(p *project, now time.Time) operationView {
	v := operationView{
		ID: o.id, ProjectID: p.id, BranchID: o.branch, EndpointID: o.endpoint, Action: o.action,
		CreatedAt: stamp(o.created), UpdatedAt: stamp(o.created),
	}
	switch {
	case now.Before(o.starts):
		v.Status = "scheduling"
	case now.Before(o.finishes):
		v.Status, v.UpdatedAt = "running", stamp(o.starts)
	default:
		v.Status, v.UpdatedAt, v.TotalDuration = "finished", stamp(o.finishes), o.finishes.Sub(o.starts).Milliseconds()
		if o.failed {
			v.Status, v.FailuresCount, v.Error = "failed", 1, "internal error"
		}
	}
	return v
}

// step names an operation to schedule.
type step struct {
	action   string
	branch   *branch
	endpoint *endpoint
	failed   bool
}

// computeSteps returns a step for each compute of the branch.
func (b *branch) computeSteps(action string) (steps []step) {
	for _, e := range b.project.endpoints {
		if e.branch == b {
			steps = append(steps, step{action: action, branch: b, endpoint: e})
		}
	}
	return steps
}

// schedule ends a change. Its steps run one after another from now on and together take Options.OperationTime, during
// which the project accepts no other change. Called with the lock held.
func (s *Server) schedule(p *project, steps ...step) []operationView {
	p.changing = false
	now := s.clock.now()
	each := s.options.OperationTime / time.Duration(max(len(steps), 1))
	views := []operationView{}
	for i, step := range steps {
		o := &operation{
			id: newUUID(), action: step.action, created: s.now(), failed: step.failed,
			starts: now.Add(time.Duration(i) * each), finishes: now.Add(time.Duration(i+1) * each),
		}
		if step.branch != nil {
			o.branch = step.branch.id
		}
		if step.endpoint != nil {
			o.endpoint = step.endpoint.id
		}
		p.operations = append(p.operations, o)
		p.busyUntil = o.finishes
		views = append(views, o.view(p, now))
	}
	return views
}

func (s *Server) listOperations(r *request) (int, any, error) {
	limit, err := r.number("limit", 1, 1000, 100)
	if err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	end := len(p.operations) // the newest come first
	if r.query.Has("cursor") {
		last, err := time.Parse(time.RFC3339Nano, r.query.Get("cursor"))
		if err != nil {
			return 0, nil, refuse(http.StatusBadRequest, "invalid cursor")
		}
		end, _ = slices.BinarySearchFunc(p.operations, last,
			func(o *operation, t time.Time) int { return o.created.Compare(t) })
	}
	now := s.clock.now()
	page := struct {
		Operations []operationView `json:"operations"`
		Pagination *pagination     `json:"pagination,omitempty"`
	}{Operations: []operationView{}}
	for i := end - 1; i >= max(0, end-limit); i-- {
		page.Operations = append(page.Operations, p.operations[i].view(p, now))
	}
	if n := len(page.Operations); n > 0 && (!s.options.NoLastCursor || end > limit) {
		page.Pagination = &pagination{page.Operations[n-1].CreatedAt}
	}
	return http.StatusOK, page, nil
}

func (s *Server) getOperation(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	for _, o := range p.operations {
		if o.id == r.PathValue("operation_id") {
			return http.StatusOK, map[string]any{"operation": o.view(p, s.clock.now())}, nil
		}
	}
	return 0, nil, refuse(http.StatusNotFound, "operation not found")
}
