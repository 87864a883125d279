package health

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// checkWords say what each check found, before a count of tenants.
var checkWords = map[string]string{
	onUnreachable: "could not be checked",
	onTables:      "required tables missing",
	onPending:     "migrations pending",
	onDrift:       "schema drift",
	onUnknown:     "unknown versions recorded",
	onBackupAge:   "no recent backup",
}

// checkColours are those of the pie chart.
var checkColours = map[string]string{
	onUnreachable: "#57606a", onTables: "#cf222e", onPending: "#d4a72c",
	onDrift: "#8250df", onUnknown: "#bf8700", onBackupAge: "#0969da",
}

// statusSection counts the healthy tenants and those with each problem. The pie chart counts each tenant once, by the
// gravest check that found something.
func statusSection(whole Report, results []fleet.Result) report.Section {
	tenants := words.Count(len(results), "tenant", "tenants")
	s := report.Section{Title: fmt.Sprintf("Health: %d of %s healthy", whole.Healthy, tenants)}
	gravest := map[string]int{}
	for _, r := range results {
		if d, ok := r.Outcome.Detail.(Detail); ok && len(d.Problems) > 0 {
			gravest[slices.MinFunc(d.Problems, func(a, b string) int {
				return cmp.Compare(slices.Index(checks, a), slices.Index(checks, b))
			})]++
		}
	}
	s.Pie = []report.Slice{{Label: "healthy", Colour: "#2da44e", Count: whole.Healthy}}
	for _, check := range checks {
		if n := whole.Problems[check]; n > 0 {
			s.Lines = append(s.Lines, fmt.Sprintf("%s: %s", checkWords[check], words.Count(n, "tenant", "tenants")))
		}
		s.Pie = append(s.Pie, report.Slice{Label: checkWords[check], Colour: checkColours[check],
			Count: gravest[check]})
	}
	return s
}

// driftSection shows each group of tenants that differs from its norm, and how. It is false if no schema was read.
func driftSection(sets []comparisonSet, differences map[schemaPair][]string) (report.Section, bool) {
	var s report.Section
	matching, alone := 0, 0
	for _, c := range sets {
		matching += c.norm.size()
		if len(c.norm.members) == 1 && len(c.others) == 0 {
			alone++
		}
		for _, g := range c.others {
			s.Blocks = append(s.Blocks, report.Block{
				Title: fmt.Sprintf("%s from %s", words.Count(g.size(), "tenant differs", "tenants differ"),
					c.norm.title()),
				Names: g.names(), Diff: differences[schemaPair{c.norm.hash, g.hash}],
			})
		}
	}
	groups := len(s.Blocks)
	if matching == 0 && groups == 0 {
		return s, false
	}
	s.Title = "Schemas: " + words.Count(matching, "tenant matches", "tenants match")
	if groups > 0 {
		s.Title += "; " + words.Count(groups, "group differs", "groups differ")
	}
	if len(sets) > 1 {
		s.Lines = append(s.Lines, fmt.Sprintf("compared in %d sets, each of tenants with the same pending migrations "+
			"on the same major version of PostgreSQL", len(sets)))
		if alone > 0 {
			s.Lines = append(s.Lines, words.Count(alone, "tenant is", "tenants are")+
				" alone in a set, with no other to compare with")
		}
	}
	return s, true
}
