package githubtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Edits that reach GitHub in another way than through its API, such as by its settings pages. Every scope has to exist.

func (s *Server) vault(scope Scope) *vault {
	var v *vault
	if scope.Organization != "" {
		if o := s.organizations[strings.ToLower(scope.Organization)]; o != nil {
			v = o.vault
		}
	} else if r := s.repositories[strings.ToLower(scope.Repository)]; r != nil {
		v = r.vault
		if scope.Environment != "" {
			v = r.environments[strings.ToLower(scope.Environment)]
		}
	}
	if v == nil {
		panic(fmt.Sprintf("githubtest: there is no %+v", scope))
	}
	return v
}

// Open returns a secret's plain value.
func (s *Server) Open(scope Scope, name string) (value string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.vault(scope).secrets[strings.ToUpper(name)]
	if one == nil {
		return "", false
	}
	return one.value, true
}

// Secrets returns the plain values of a scope's secrets, by name.
func (s *Server) Secrets(scope Scope) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for name, one := range s.vault(scope).secrets {
		all[name] = one.value
	}
	return all
}

// SetSecret writes a secret as if it had been written at that time.
func (s *Server) SetSecret(scope Scope, name, value string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, name := s.vault(scope), strings.ToUpper(name)
	at = at.UTC().Truncate(time.Second)
	if v.secrets[name] == nil {
		v.secrets[name] = &secret{created: at}
		if scope.Organization != "" {
			v.secrets[name].visibility = "private"
		}
	}
	v.secrets[name].value, v.secrets[name].updated = value, at
}

// Written returns when each of a scope's secrets was written last, by name.
func (s *Server) Written(scope Scope) map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]time.Time{}
	for name, one := range s.vault(scope).secrets {
		all[name] = one.updated
	}
	return all
}

// DeleteSecret deletes a secret, if it exists.
func (s *Server) DeleteSecret(scope Scope, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.vault(scope).secrets, strings.ToUpper(name))
}

// Variable returns a variable's value.
func (s *Server) Variable(scope Scope, name string) (value string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.vault(scope).variables[strings.ToUpper(name)]
	if one == nil {
		return "", false
	}
	return one.value, true
}

// SetVariable writes a variable of any length.
func (s *Server) SetVariable(scope Scope, name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &variable{value: value, created: stamp(), updated: stamp(), visibility: "private"}
	s.vault(scope).variables[strings.ToUpper(name)] = v
}

// DeleteVariable deletes a variable, if it exists.
func (s *Server) DeleteVariable(scope Scope, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.vault(scope).variables, strings.ToUpper(name))
}

// Select lets these repositories, and no others, read an organization's secret.
func (s *Server) Select(organization, name string, repositories ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.vault(Scope{Organization: organization}).secrets[strings.ToUpper(name)]
	one.visibility, one.selected = "selected", nil
	for _, r := range repositories {
		one.selected = append(one.selected, s.repositories[strings.ToLower(r)].id)
	}
}

// Audience returns the visibility of an organization's secret, and the repositories that are selected for it.
func (s *Server) Audience(organization, name string) (visibility string, repositories []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.vault(Scope{Organization: organization}).secrets[strings.ToUpper(name)]
	for _, id := range one.selected {
		repositories = append(repositories, s.byID(id).name)
	}
	return one.visibility, slices.Sorted(slices.Values(repositories))
}

// RotateKey replaces a scope's key. Boxes that are sealed with the old one are refused from now on.
func (s *Server) RotateKey(scope Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vault(scope).rotate()
}
