package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
)

// Report is what the report file says of a checked fleet.
type Report struct {
	Healthy  int            `json:"healthy"`
	Problems map[string]int `json:"problems"`          // tenants by the names that fail-on takes
	Schemas  []Schema       `json:"schemas"`           // the largest first
	Orphans  []string       `json:"orphans,omitempty"` // what looks like a tenant's and belongs to none
}

// Schema is a schema that one or more tenants have.
type Schema struct {
	Fingerprint string   `json:"fingerprint"`
	Tenants     []string `json:"tenants"`              // names
	Norm        string   `json:"norm,omitempty"`       // the fingerprint that it should have; absent where it is the norm itself
	Difference  []string `json:"difference,omitempty"` // from the norm
}

// finish compares the schemas, looks up how those that differ do, and looks for orphans.
func (h *checker) finish(ctx context.Context, results []fleet.Result) (mode.Ending, error) {
	sightings, warnings := h.sightings(ctx, results)
	cohorts := groupSchemas(sightings, h.referenceID())
	differences := h.differences(ctx, cohorts)
	whole := Report{Problems: map[string]int{}, Schemas: []Schema{}}
	for _, c := range cohorts {
		whole.Schemas = append(whole.Schemas, Schema{Fingerprint: c.norm.hash, Tenants: c.norm.names()})
		for _, g := range c.others {
			lines := differences[schemaPair{c.norm.hash, g.hash}]
			whole.Schemas = append(whole.Schemas, Schema{g.hash, g.names(), c.norm.hash, lines})
			for _, s := range g.members {
				if s.result >= 0 {
					h.amend(&results[s.result], c.norm, lines)
				}
			}
		}
	}
	for _, r := range results {
		d, ok := r.Outcome.Detail.(*Detail)
		if !ok {
			continue
		}
		if len(d.Problems) == 0 {
			whole.Healthy++
		}
		for _, check := range d.Problems {
			whole.Problems[check]++
		}
	}
	e := mode.Ending{Warnings: warnings, Sections: []report.Section{statusSection(whole, results)}}
	if s, ok := driftSection(cohorts, differences); ok {
		s.Lines = append(s.Lines, extensionLines(results)...)
		e.Sections = append(e.Sections, s)
	}
	err := h.orphans(ctx, &whole, &e)
	e.Detail = whole
	return e, err
}

func (h *checker) referenceID() string {
	if h.norm == nil {
		return ""
	}
	return h.norm.ID
}

// sightings collects the schemas that were seen, the reference's among them wherever it comes from.
func (h *checker) sightings(ctx context.Context, results []fleet.Result) (all []sighting, warnings []string) {
	add := func(i int, t fleet.Tenant, d *Detail) {
		all = append(all, sighting{i, t, d.Fingerprint, d.Version, peersOf(d, h.files != nil)})
	}
	seen := false
	for i, r := range results {
		if d, ok := r.Outcome.Detail.(*Detail); ok && d.Fingerprint != "" {
			add(i, r.Tenant, d)
			seen = seen || h.norm != nil && r.Tenant.ID == h.norm.ID
		}
	}
	if h.norm == nil || seen || len(all) == 0 || ctx.Err() != nil {
		return all, nil
	}
	err := errors.New("it is one of this run's tenants, and could not be checked")
	if !h.isChosen {
		d := &Detail{}
		one := h.aside(ctx, []fleet.Tenant{*h.norm}, func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
			return fleet.Outcome{}, h.look(ctx, t, d, log)
		})
		if err = one[0].Err; err == nil {
			add(-1, *h.norm, d)
			return all, nil
		}
	}
	return all, []string{fmt.Sprintf("reference-tenant: %s is not the norm, the largest group of tenants is: %v", h.reference, err)}
}

// aside does something on a few tenants that is no part of the run's own results. What it returns is redacted like those.
func (h *checker) aside(ctx context.Context, tenants []fleet.Tenant, do fleet.Job) []fleet.Result {
	return fleet.Run(ctx, fleet.Plan{Tenants: tenants, Job: do}, fleet.Options{Concurrency: h.env.Concurrency, TenantTimeout: time.Minute})
}

// schemaPair is a norm and what differs from it.
type schemaPair struct{ norm, other string }

// shownDifferences is how many groups of a run are looked at closely: each takes a connection more.
const shownDifferences = 20

// differences has one tenant of each group describe its schema, and compares that with the norm's. A difference that could
// not be looked up, or that is not there any more, is a line that says so.
func (h *checker) differences(ctx context.Context, cohorts []cohort) map[schemaPair][]string {
	chosen := map[string]fleet.Tenant{} // by the fingerprint
	var pairs []schemaPair
	for _, c := range cohorts {
		for _, g := range c.others {
			if len(pairs) < shownDifferences && g.size() > 0 {
				chosen[c.norm.hash], chosen[g.hash] = c.norm.members[0].tenant, g.members[0].tenant
				pairs = append(pairs, schemaPair{c.norm.hash, g.hash})
			}
		}
	}
	var tenants []fleet.Tenant
	for _, t := range chosen {
		if !slices.Contains(tenants, t) {
			tenants = append(tenants, t)
		}
	}
	described := map[string][]fingerprint.Object{} // by the tenant's id
	problems := map[string]error{}
	for _, r := range h.aside(ctx, tenants, h.describe) {
		if described[r.Tenant.ID], problems[r.Tenant.ID] = unfold(r.Outcome.Warnings), r.Err; r.Err != nil {
			continue
		}
	}
	lines := map[schemaPair][]string{}
	for _, p := range pairs {
		norm, other := chosen[p.norm], chosen[p.other]
		if err := errors.Join(problems[norm.ID], problems[other.ID]); err != nil {
			lines[p] = []string{"the difference could not be looked up: " + err.Error()}
			continue
		}
		if lines[p] = fingerprint.Diff(described[norm.ID], described[other.ID]); lines[p] == nil {
			lines[p] = []string{"the schemas have become equal since they were compared"}
		}
	}
	return lines
}

// describe returns a schema's objects as an outcome's warnings, because those are redacted: a function's body may hold the very
// password that this run connects with.
func (h *checker) describe(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	conn, release, err := h.conns.Open(ctx, t, log)
	if err != nil {
		return fleet.Outcome{}, err
	}
	defer release()
	objects, err := fingerprint.Describe(ctx, conn, h.fingerprintOptions(t))
	if err != nil {
		return fleet.Outcome{}, err
	}
	var o fleet.Outcome
	for _, one := range objects {
		o.Warnings = append(o.Warnings, one.Kind, one.Name, one.Parent, one.Definition)
	}
	return o, nil
}

func unfold(texts []string) (objects []fingerprint.Object) {
	for four := range slices.Chunk(texts, 4) {
		objects = append(objects, fingerprint.Object{Kind: four[0], Name: four[1], Parent: four[2], Definition: four[3]})
	}
	return objects
}

// amend makes drift a part of what was found about a tenant.
func (h *checker) amend(r *fleet.Result, norm schemaGroup, lines []string) {
	d := r.Outcome.Detail.(*Detail)
	text := "the schema is not that of " + norm.title()
	// Each object once; the lines within one are for the section.
	if changes := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, " ") }); len(changes) > 0 {
		const shown = 3
		text += ": " + strings.Join(changes[:min(shown, len(changes))], "; ")
		if more := len(changes) - shown; more > 0 {
			text += fmt.Sprintf("; and %d more", more)
		}
	}
	drift := problem{onDrift, "drift", text, "bring the change into a migration for all tenants, or take it back on this one", nil}
	d.Problems = append(d.Problems, onDrift)
	if r.Outcome.Note == "healthy" {
		r.Outcome.Note = drift.note
	} else {
		r.Outcome.Note += ", " + drift.note
	}
	if !slices.Contains(h.failOn, onDrift) {
		r.Outcome.Warnings = append(r.Outcome.Warnings, drift.text)
		return
	}
	all := problems{drift}
	if r.Err != nil { // which is redacted: its text stays as it is
		all = problems{{text: r.Err.Error(), remedy: fleet.Remedy(r.Err), err: r.Err}, drift}
	}
	r.State, r.Err = fleet.Failed, &healthError{all}
}

// title names the norm: the tenants that have it.
func (g schemaGroup) title() string {
	if len(g.members) == 1 {
		return g.members[0].tenant.Name
	}
	return fmt.Sprintf("%d others", len(g.members))
}
