package health

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// driftAmendments add drift to what was found about each tenant whose schema is not the norm of its set.
func driftAmendments(results []fleet.Result, sets []comparisonSet, differences map[schemaPair][]string, failOn []string) []fleet.Amendment {
	var all []fleet.Amendment
	for _, set := range sets {
		for _, g := range set.others {
			found := drift(set.norm, differences[schemaPair{set.norm.hash, g.hash}])
			for _, o := range g.members {
				if o.result >= 0 {
					all = append(all, found.amendment(results[o.result], failOn))
				}
			}
		}
	}
	return all
}

// drift words how a schema differs from the norm: each changed object once, the lines within one are for the section.
func drift(norm schemaGroup, lines []string) problem {
	text := "the schema is not that of " + norm.title()
	if changes := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, " ") }); len(changes) > 0 {
		text += ": " + words.Clauses(changes, 3)
	}
	return problem{onDrift, "drift", text, "bring the change into a migration for all tenants, or take it back on this one", nil}
}

// amendment adds the problem to a result that has been announced.
func (p problem) amendment(r fleet.Result, failOn []string) fleet.Amendment {
	d := r.Outcome.Detail.(Detail)
	d.Problems = append(slices.Clone(d.Problems), p.check)
	a := fleet.Amendment{ID: r.Tenant.ID, Detail: d, Note: p.note}
	if len(d.Problems) > 1 {
		a.Note = r.Outcome.Note + ", " + p.note
	}
	if slices.Contains(failOn, p.check) {
		a.Err = &healthError{problems{p}}
	} else {
		a.Warnings = []string{p.text}
	}
	return a
}

// title names the norm: the tenants that have it.
func (g schemaGroup) title() string {
	if len(g.members) == 1 {
		return g.members[0].tenant.Name
	}
	return words.Count(len(g.members), "other", "others")
}
