package health

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// checkWords say what a check found, for a count of tenants.
var checkWords = map[string]string{
	onUnreachable: "could not be checked",
	onTables:      "required tables missing",
	onPending:     "migrations pending",
	onDrift:       "schema drift",
	onUnknown:     "unknown versions recorded",
	onBackupAge:   "no recent backup",
}

// checkColours are those of the picture.
var checkColours = map[string]string{
	onUnreachable: "#57606a", onTables: "#cf222e", onPending: "#d4a72c", onDrift: "#8250df", onUnknown: "#bf8700", onBackupAge: "#0969da",
}

// statusSection counts the healthy tenants and those with each problem. In the picture a tenant counts for its first one.
func statusSection(whole Report, results []fleet.Result) report.Section {
	s := report.Section{Title: fmt.Sprintf("Health: %d of %s healthy", whole.Healthy, words.Count(len(results), "tenant", "tenants"))}
	first := map[string]int{}
	for _, r := range results {
		if d, ok := r.Outcome.Detail.(Detail); ok && len(d.Problems) > 0 {
			first[slices.MinFunc(d.Problems, func(a, b string) int { return cmp.Compare(slices.Index(checks, a), slices.Index(checks, b)) })]++
		}
	}
	s.Pie = []report.Slice{{Label: "healthy", Colour: "#2da44e", Count: whole.Healthy}}
	for _, check := range checks {
		if n := whole.Problems[check]; n > 0 {
			s.Lines = append(s.Lines, fmt.Sprintf("%s: %s", checkWords[check], words.Count(n, "tenant", "tenants")))
		}
		s.Pie = append(s.Pie, report.Slice{Label: checkWords[check], Colour: checkColours[check], Count: first[check]})
	}
	return s
}

// driftSection shows each group of tenants whose schema is not the norm's, with the difference. False where nothing was compared.
func driftSection(sets []comparisonSet, differences map[schemaPair][]string) (report.Section, bool) {
	var s report.Section
	matching, alone, groups := 0, 0, 0
	for _, c := range sets {
		matching += c.norm.size()
		groups += len(c.others)
		if len(c.norm.members) == 1 && len(c.others) == 0 {
			alone++
		}
		for _, g := range c.others {
			block := report.Block{Title: fmt.Sprintf("%s from %s", words.Count(g.size(), "tenant differs", "tenants differ"), c.norm.title()), Names: g.names(), Diff: differences[schemaPair{c.norm.hash, g.hash}]}
			s.Blocks = append(s.Blocks, block)
		}
	}
	if matching == 0 && groups == 0 {
		return s, false
	}
	switch groups {
	case 0:
		s.Title = fmt.Sprintf("Schemas: %s", words.Count(matching, "tenant matches", "tenants match"))
	default:
		s.Title = fmt.Sprintf("Schemas: %s; %s", words.Count(matching, "tenant matches", "tenants match"), words.Count(groups, "group differs", "groups differ"))
	}
	if len(sets) > 1 {
		s.Lines = append(s.Lines, fmt.Sprintf("compared in %d sets: tenants with the same migrations pending, on the same major version of PostgreSQL", len(sets)))
		if alone > 0 {
			s.Lines = append(s.Lines, words.Count(alone, "tenant is", "tenants are")+" alone in a set, with nobody to be compared with")
		}
	}
	return s, true
}

// orphans looks for them where the source can.
func (h *checker) orphans(ctx context.Context, whole *Report, e *mode.Ending) error {
	source, ok := h.env.Source.(fleet.Orphans)
	if !ok || ctx.Err() != nil {
		return nil
	}
	found, err := source.Orphans(ctx, h.state.Table.Name)
	if err == nil && len(found) == 0 {
		return nil
	}
	if err != nil {
		err = fmt.Errorf("look for orphans: %w", err)
	} else {
		whole.Orphans = found
		e.Sections = append(e.Sections, report.Section{Title: "Orphans: " + words.Count(len(found), "belongs", "belong") + " to no tenant", Lines: found})
		err = fleet.WithRemedy(fmt.Errorf("%s to no tenant: %s", words.Count(len(found), "orphan belongs", "orphans belong"), words.List(found, 5)),
			"register what is a tenant's, and drop what is left over")
	}
	if slices.Contains(h.failOn, onOrphans) {
		return err
	}
	e.Warnings = append(e.Warnings, err.Error())
	return nil
}
