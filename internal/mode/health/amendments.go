package health

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// driftAmendments adds drift to the result of each tenant whose schema is not the norm of its comparison set.
func driftAmendments(
	results []fleet.Result, sets []comparisonSet, differences map[schemaPair][]string, failOn []string,
) []fleet.Amendment {
	var all []fleet.Amendment
	for _, set := range sets {
		for _, g := range set.others {
			p := drift(set.norm, differences[schemaPair{set.norm.hash, g.hash}])
			for _, o := range g.members {
				if o.result >= 0 {
					all = append(all, p.amendment(results[o.result], failOn))
				}
			}
		}
	}
	return all
}

// secondLooks amend the details of the tenants that were looked at again.
func secondLooks(before, after []fleet.Result) (all []fleet.Amendment) {
	for i, r := range after {
		was, _ := before[i].Outcome.Detail.(Detail)
		if is, ok := r.Outcome.Detail.(Detail); ok && is.Fingerprint != was.Fingerprint {
			all = append(all, fleet.Amendment{ID: r.Tenant.ID, Note: r.Outcome.Note, Detail: is})
		}
	}
	return all
}

// drift is the problem of a schema that differs from the norm in these lines. It names the first changed objects; the
// indented lines, which are about the inside of one, appear only in the section.
func drift(norm schemaGroup, lines []string) problem {
	text := "the schema differs from that of " + norm.title()
	changes := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, " ") })
	if len(changes) > 0 {
		text += ": " + words.Clauses(changes, 3)
	}
	return problem{check: onDrift, note: driftNote, text: text, remedy: driftRemedy}
}

const (
	driftNote   = "drift"
	driftRemedy = "turn the change into a migration for all tenants, or undo it on this one"
)

// amendment adds the problem to a result that has been announced.
func (p problem) amendment(r fleet.Result, failOn []string) fleet.Amendment {
	d := r.Outcome.Detail.(Detail)
	d.Problems, d.Drift = append(slices.Clone(d.Problems), p.check), p.text
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

// title says whose schema the group's is: the only member's, or how many others'.
func (g schemaGroup) title() string {
	if len(g.members) == 1 {
		return g.members[0].tenant.Name
	}
	return words.Count(len(g.members), "other", "others")
}
