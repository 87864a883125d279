package neontest

import "time"

// Rename gives a project another name, as a person does in Neon's console. It reports false if there is no such
// project.
func (s *Server) Rename(id, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[id]
	if p == nil {
		return false
	}
	p.name, p.updated = name, s.now()
	return true
}

// RenameBranch gives a branch of a project another name. It reports false if there is no such branch.
func (s *Server) RenameBranch(id, branchID, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[id]
	if p == nil {
		return false
	}
	b := p.branch(branchID)
	if b == nil {
		return false
	}
	b.name, b.updated = name, s.now()
	return true
}

// Use makes a project say from now on when a compute of it was last in use. It reports false if there is no such
// project.
func (s *Server) Use(id string, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[id]
	if p == nil {
		return false
	}
	p.active = at
	return true
}

// FailRestore makes the next restore of a project's branch fail as Neon's work on an accepted change can: the branch
// that preserves the old state is made, and the restored one stays as it is. It reports false if there is no such
// project.
func (s *Server) FailRestore(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[id]
	if p == nil {
		return false
	}
	p.failRestore = true
	return true
}

// Age makes the history of a project's branches older, as if all that is in it had happened that much earlier. Unlike
// [Server.Advance] it keeps the simulator's clock with that of clients, which may refuse what is in their future. It
// reports false if there is no such project.
func (s *Server) Age(id string, d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[id]
	if p == nil {
		return false
	}
	p.age += d
	for _, b := range p.branches {
		for i := range b.history {
			b.history[i].at = b.history[i].at.Add(-d)
		}
	}
	return true
}
