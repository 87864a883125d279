package fleet

import (
	"regexp"
	"slices"
)

// Selection is what an input that names tenants means among the tenants that a source lists, with the rules of a
// workflow's paths filter: an entry that begins with ! excludes, and the last entry that matches decides. [Resolve]
// makes one.
type Selection struct {
	rules []rule
	// Doubts are sentences about entries that can be read in two ways, and how they were read.
	Doubts []string
}

// rule is one entry, or one of the globs that an entry was split into.
type rule struct {
	entry    string // as written, for messages
	exclude  bool
	everyone bool
	name     string         // the name or id that is meant; not used by a rule for everyone or by a glob
	match    *regexp.Regexp // of a glob
}

// matches reports whether the rule applies to the tenant. Names are compared without a regular expression, because
// there can be a thousand of them: another run's failed-tenants, for example.
func (r rule) matches(t Tenant) bool {
	switch {
	case r.everyone:
		return true
	case r.match != nil:
		return r.match.MatchString(t.Name) || r.match.MatchString(t.ID)
	}
	return t.Name == r.name || t.ID == r.name
}

// Everything reports whether the selection takes every tenant by its rules, not merely every tenant that exists today.
func (s Selection) Everything() bool {
	return len(s.rules) == 1 && s.rules[0].everyone && !s.rules[0].exclude
}

// Matches reports whether the last rule that matches the tenant's name or id includes it.
func (s Selection) Matches(t Tenant) bool {
	chosen := false
	for _, r := range s.rules {
		if r.exclude == chosen && r.matches(t) {
			chosen = !r.exclude
		}
	}
	return chosen
}

// Select returns the tenants that match, in their order, and the entries that match none of them, which are most likely
// misspelt: one that excludes nobody may leave in a tenant that was meant to be left out.
func (s Selection) Select(tenants []Tenant) (chosen []Tenant, idle []string) {
	for _, t := range tenants {
		if s.Matches(t) {
			chosen = append(chosen, t)
		}
	}
	for _, r := range s.rules {
		if !r.everyone && !slices.ContainsFunc(tenants, r.matches) {
			idle = append(idle, r.entry)
		}
	}
	return chosen, idle
}
