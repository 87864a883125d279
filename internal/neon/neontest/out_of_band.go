package neontest

// Rename gives a project another name, as a person does in Neon's console. It reports false if there is none of that id.
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
