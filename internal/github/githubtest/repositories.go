package githubtest

import "strings"

type repository struct {
	id           int64
	name         string // owner/repo
	vault        *vault
	environments map[string]*vault // by name in lower case
	archived     bool
	pulls        []int      // numbers of the pull requests
	locked       []int      // those whose conversation is locked
	comments     []*comment // of pull requests, the oldest first
}

func (r *repository) owner() string { return r.name[:strings.IndexByte(r.name, '/')] }

type organization struct {
	login string
	vault *vault
}

// AddRepository adds a private repository, owner/repo, and returns its id.
func (s *Server) AddRepository(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	s.repositories[strings.ToLower(name)] = &repository{
		id: s.lastID, name: name, vault: newVault(s.options.NumericKeyIDs, 100, 500), environments: map[string]*vault{},
	}
	return s.lastID
}

// Archive archives a repository: it can be read, and nothing in it can be changed.
func (s *Server) Archive(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repositories[strings.ToLower(name)].archived = true
}

// AddEnvironment adds an environment to a repository.
func (s *Server) AddEnvironment(repository, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repositories[strings.ToLower(repository)]
	r.environments[strings.ToLower(name)] = newVault(s.options.NumericKeyIDs, 100, 100)
}

// AddOrganization adds an organization. It owns the repositories whose owner has its name.
func (s *Server) AddOrganization(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.organizations[strings.ToLower(login)] = &organization{login, newVault(s.options.NumericKeyIDs, 1000, 1000)}
}

func (r *repository) describe() map[string]any {
	owner, name, _ := strings.Cut(r.name, "/")
	return map[string]any{
		"id": r.id, "name": name, "full_name": r.name, "private": true, "visibility": "private", "default_branch": "main",
		"archived": r.archived,
		"owner":    map[string]any{"login": owner, "id": 65123, "type": "Organization"},
	}
}

func getRepository(_ *Server, r *request) reply { return ok(r.repository.describe()) }
