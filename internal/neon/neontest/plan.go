package neontest

import "net/http"

// Plan is what an account may have. 0 is none, unless it says otherwise.
type Plan struct {
	Projects          int // of an account; 0 is no limit
	Branches          int // of a project
	RootBranches      int // of a project
	ProtectedBranches int // of a project
	Endpoints         int // of a project; Neon's own limit is not known
	HistorySeconds    int // the longest history that a project may keep
	// Units is the largest size of a compute, in compute units.
	Units float64
	// SuspendDelay is whether the delay after which a compute is suspended can be chosen.
	SuspendDelay bool
}

// Neon's plans as of 2026, with what can be paid for in addition.
var (
	FreePlan  = Plan{Branches: 10, RootBranches: 3, Endpoints: 10, HistorySeconds: 6 * 3600, Units: 2}
	ScalePlan = Plan{
		Branches: 5000, RootBranches: 25, ProtectedBranches: 5, Endpoints: 5000, HistorySeconds: 30 * 24 * 3600,
		Units: 56, SuspendDelay: true,
	}
)

// defaultHistory is for how many seconds a project keeps its history unless it is told otherwise.
const defaultHistory = 24 * 3600

const protectedMessage = "You have reached the maximum number of protected branches for your current plan. " +
	"To protect more branches, upgrade your plan."

// exceeded is a refusal because of a plan's limit. Only these have a code.
func exceeded(code, message string) error {
	return &apiError{http.StatusUnprocessableEntity, code, message}
}

// checkNewProject refuses a project that would be one too many.
func (s *Server) checkNewProject(org string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := 0
	for _, p := range s.projects {
		if p.org == org && p.deleted == nil {
			own++
		}
	}
	if limit := s.options.Plan.Projects; limit > 0 && own >= limit {
		return exceeded("PROJECTS_LIMIT_EXCEEDED", "projects limit exceeded")
	}
	return nil
}

// checkNewBranch refuses a branch that would be one too many.
func (p *project) checkNewBranch(root bool) error {
	roots := 0
	for _, b := range p.branches {
		if b.parent == nil {
			roots++
		}
	}
	switch {
	case len(p.branches) >= p.plan.Branches:
		return exceeded("BRANCHES_LIMIT_EXCEEDED", "branches limit exceeded")
	case root && roots >= p.plan.RootBranches:
		return exceeded("ROOT_BRANCHES_LIMIT_EXCEEDED", "root branches limit exceeded")
	}
	return nil
}

// checkNewProtected refuses to protect one branch too many.
func (p *project) checkNewProtected() error {
	protected := 0
	for _, b := range p.branches {
		if b.protected {
			protected++
		}
	}
	if protected >= p.plan.ProtectedBranches {
		return exceeded("BRANCHES_PROTECTED_LIMIT_EXCEEDED", protectedMessage)
	}
	return nil
}
