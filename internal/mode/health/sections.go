package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
	onInvalid:     "indexes or constraints not valid",
	onUnknown:     "unknown versions recorded",
	onBackupAge:   "no recent backup",
	onProofAge:    "no backup recently proven to restore",
	onOrphans:     "listed, but does not exist",
}

// checkColours are those of the pie chart.
var checkColours = map[string]string{
	onUnreachable: "#57606a", onTables: "#cf222e", onPending: "#d4a72c",
	onDrift: "#8250df", onInvalid: "#fb8f44", onUnknown: "#bf8700", onBackupAge: "#0969da",
	onProofAge: "#54aeff", onOrphans: "#8c959f",
}

// lockedWords are those of tenants that are unreachable in part only.
const lockedWords = "not wholly checked, because another session keeps a table locked"

// healthTitle begins the section's title, by which a merged report replaces it.
const healthTitle = "Health: "

// statusSection counts the healthy tenants and those with each problem. The pie chart counts each tenant once, by the
// gravest check that found something.
func statusSection(whole Report, results []fleet.Result) report.Section {
	tenants := words.Count(len(results), "tenant", "tenants")
	s := report.Section{Title: fmt.Sprintf(healthTitle+"%d of %s healthy", whole.Healthy, tenants)}
	gravest, locked := map[string]int{}, 0
	for _, r := range results {
		d, ok := r.Outcome.Detail.(Detail)
		if d.Locked {
			locked++
		}
		if ok && len(d.Problems) > 0 {
			gravest[slices.MinFunc(d.Problems, func(a, b string) int {
				return cmp.Compare(slices.Index(checks, a), slices.Index(checks, b))
			})]++
		}
	}
	s.Pie = []report.Slice{{Label: "healthy", Colour: "#2da44e", Count: whole.Healthy}}
	for _, check := range checks {
		n := whole.Problems[check]
		if check == onUnreachable && locked > 0 {
			n -= locked
			s.Lines = append(s.Lines, lockedWords+": "+words.Count(locked, "tenant", "tenants"))
		}
		if n > 0 {
			s.Lines = append(s.Lines, fmt.Sprintf("%s: %s", checkWords[check], words.Count(n, "tenant", "tenants")))
		}
		s.Pie = append(s.Pie, report.Slice{Label: checkWords[check], Colour: checkColours[check],
			Count: gravest[check]})
	}
	return s
}

// schemasTitle begins the title of driftSection's, by which a merged report replaces it.
const schemasTitle = "Schemas: "

// driftSection shows each group of tenants that differs from its norm, and how. It is false if no schema was read.
func driftSection(sets []comparisonSet, differences map[schemaPair][]string) (report.Section, bool) {
	var s report.Section
	matching, reference := 0, false
	var alone, ties []string
	for _, c := range sets {
		reference = reference || c.chosen
		if name := c.alone(); name != "" {
			alone = append(alone, name)
			continue
		}
		matching += c.norm.size()
		if tie := c.tie(); tie != "" {
			ties = append(ties, tie)
		}
		for _, g := range c.others {
			s.Blocks = append(s.Blocks, report.Block{
				Title: fmt.Sprintf("%s from %s", words.Count(g.size(), "tenant differs", "tenants differ"),
					c.norm.title()),
				Names: g.names(), Diff: differences[schemaPair{c.norm.hash, g.hash}],
			})
		}
	}
	var title []string
	if matching > 0 {
		title = append(title, words.Count(matching, "tenant matches", "tenants match"))
	}
	if groups := len(s.Blocks); groups > 0 {
		title = append(title, words.Count(groups, "group differs", "groups differ"))
	}
	if n := len(alone); n > 0 {
		title = append(title, words.Count(n, "tenant was", "tenants were")+" compared with nobody")
	}
	if len(title) == 0 {
		return s, false
	}
	s.Title = schemasTitle + strings.Join(title, "; ")
	if len(sets) > 1 {
		s.Lines = append(s.Lines, fmt.Sprintf("compared in %d sets, each of tenants with the same pending migrations "+
			"on the same major version of PostgreSQL", len(sets)))
	}
	if n := len(alone); n > 0 {
		s.Lines = append(s.Lines, "no other tenant has the same pending migrations on the same major version of "+
			"PostgreSQL as "+words.List(alone, 5))
	}
	if reference {
		s.Lines = append(s.Lines, beyondReference(sets)...)
	}
	s.Lines = append(s.Lines, ties...)
	return s, true
}

// beyondReference says what the norm is for those whom the reference is no norm for.
func beyondReference(sets []comparisonSet) []string {
	i := slices.IndexFunc(sets, func(c comparisonSet) bool { return c.chosen })
	own := sets[i].norm.members[0].peers
	beyond := map[string]int{}
	for _, c := range sets {
		switch p := c.norm.members[0].peers; {
		case c.chosen:
		case p.major != own.major:
			beyond[fmt.Sprintf("on PostgreSQL %d, and the reference-tenant is on %d", p.major, own.major)] += c.size()
		case p.form == own.form:
			beyond["with other migrations pending than the reference-tenant"] += c.size()
		}
	}
	var lines []string
	for why, n := range beyond {
		lines = append(lines, fmt.Sprintf("%s %s: there the norm is the largest group",
			words.Count(n, "tenant", "tenants"), why))
	}
	slices.Sort(lines)
	return lines
}
