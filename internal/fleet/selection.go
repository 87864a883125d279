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
	// named is the index of the last rule for a name or id, and patterns are the indexes of the other rules.
	named    map[string]int
	patterns []int
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

// names reports whether the rule is for one name or id. There can be thousands of them, another run's failed-tenants
// for example, so that they are looked up and not compared one by one with each tenant.
func (r rule) names() bool { return !r.everyone && r.match == nil }

// matches reports whether the rule applies to the tenant.
func (r rule) matches(t Tenant) bool {
	switch {
	case r.everyone:
		return true
	case r.match != nil:
		return r.match.MatchString(t.Name) || r.match.MatchString(t.ID)
	}
	return t.Name == r.name || t.ID == r.name
}

// indexed returns the selection ready for use.
func (s Selection) indexed() Selection {
	s.named = map[string]int{}
	for i, r := range s.rules {
		if r.names() {
			s.named[r.name] = i
		} else {
			s.patterns = append(s.patterns, i)
		}
	}
	return s
}

// Everything reports whether the selection takes every tenant by its rules, not merely every tenant that exists today.
func (s Selection) Everything() bool {
	return len(s.rules) == 1 && s.rules[0].everyone && !s.rules[0].exclude
}

// Matches reports whether the last rule that matches the tenant's name or id includes it.
func (s Selection) Matches(t Tenant) bool {
	last := -1
	for _, text := range []string{t.Name, t.ID} {
		if i, ok := s.named[text]; ok {
			last = max(last, i)
		}
	}
	for _, i := range slices.Backward(s.patterns) {
		if i < last || s.rules[i].matches(t) {
			last = max(last, i)
			break
		}
	}
	return last >= 0 && !s.rules[last].exclude
}

// Select returns the tenants that match, in their order, and the entries that match none of them, which are most likely
// misspelt: one that excludes nobody may leave in a tenant that was meant to be left out.
func (s Selection) Select(tenants []Tenant) (chosen []Tenant, idle []string) {
	if s.Everything() {
		return slices.Clone(tenants), nil
	}
	for _, t := range tenants {
		if s.Matches(t) {
			chosen = append(chosen, t)
		}
	}
	var known map[string]known
	if len(s.named) > 0 {
		known = namesOf(tenants)
	}
	for _, r := range s.rules {
		_, used := known[r.name]
		if !r.names() {
			used = r.everyone || slices.ContainsFunc(tenants, r.matches)
		}
		if !used {
			idle = append(idle, r.entry)
		}
	}
	return chosen, idle
}

// known says what a text is among the tenants.
type known struct {
	// name is true if it is the name of one that has another id, and id if it is the id of one that has another name.
	name, id bool
}

// namesOf returns what the tenants' names and ids are.
func namesOf(tenants []Tenant) map[string]known {
	all := make(map[string]known, 2*len(tenants))
	for _, t := range tenants {
		differ := t.Name != t.ID
		all[t.Name] = known{all[t.Name].name || differ, all[t.Name].id}
		all[t.ID] = known{all[t.ID].name, all[t.ID].id || differ}
	}
	return all
}
