package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
)

// Report is what the report file says about a checked fleet.
type Report struct {
	Healthy  int            `json:"healthy"`
	Problems map[string]int `json:"problems"`          // tenants, by the names that fail-on takes
	Schemas  []Schema       `json:"schemas"`           // largest comparison set first
	Orphans  []string       `json:"orphans,omitempty"` // what looks like a tenant and is none
	Sleep    *mode.Sleep    `json:"sleep,omitempty"`   // of the computes; nil unless leave-asleep is given
	// FailOn is the input, Compared whether there were migration files to compare with, and Reference the tenant that
	// was the norm wherever it could be: mode report compares the tenants of several runs in the same way.
	FailOn    []string   `json:"fail_on"`
	Compared  bool       `json:"migrations_compared"`
	Reference *Reference `json:"reference,omitempty"`
}

// Reference is a tenant that was named as the norm, with what it is compared by.
type Reference struct {
	Name   string `json:"name"`
	ID     string `json:"id"`
	Key    string `json:"key"`
	Detail Detail `json:"detail"`
}

// Schema is a schema that one or more tenants have.
type Schema struct {
	Fingerprint string   `json:"fingerprint"`
	Tenants     []string `json:"tenants"`              // names
	Norm        string   `json:"norm,omitempty"`       // fingerprint of the norm; absent if this is the norm
	Difference  []string `json:"difference,omitempty"` // from the norm
	// Objects describe the schema in full, if the run is one of several shards and the text is not too long.
	Objects []fingerprint.Object `json:"objects,omitempty"`
}

// finish compares the schemas, reads how those that differ do, and looks for orphans.
func (h *checker) finish(ctx context.Context, results []fleet.Result) (mode.Ending, error) {
	var e mode.Ending
	observed, err := h.addReference(ctx, observations(results, h.files != nil), results)
	if err != nil {
		e.Warnings = append(e.Warnings, fmt.Sprintf(
			"reference-tenant: %s could not be checked, so the largest group of tenants is the norm: %v",
			h.referenceName, err))
	}
	c := h.compare(ctx, results, observed)
	e.Amendments = slices.Concat(secondLooks(results, c.results),
		driftAmendments(c.results, c.sets, c.differences, h.failOn))
	amended, err := fleet.Amend(results, e.Amendments)
	if err != nil {
		return mode.Ending{}, err
	}
	whole := summarize(amended, c.sets, c.differences)
	whole.Compared, whole.FailOn = h.files != nil, append(whole.FailOn, h.failOn...)
	h.addForReport(&whole, c)
	e.Sections = sections(whole, amended, c.sets, c.differences)
	found, err := h.findOrphans(ctx)
	if whole.Orphans = found; len(found) > 0 {
		e.Sections = append(e.Sections, orphanSection(found))
	}
	err = orphanError(found, err)
	if err != nil && !slices.Contains(h.failOn, onOrphans) {
		e.Warnings = append(e.Warnings, err.Error())
		err = nil
	}
	reached := func(r fleet.Result) bool { return r.State != fleet.Skipped }
	if sleep, s := h.sleepers.Report(results, reached); sleep != nil {
		whole.Sleep, e.Sections = sleep, append(e.Sections, s)
	}
	e.Detail = whole
	return e, err
}

// sections are those about the tenants' health and their schemas.
func sections(
	whole Report, results []fleet.Result, sets []comparisonSet, differences map[schemaPair][]string,
) []report.Section {
	all := []report.Section{statusSection(whole, results)}
	if s, ok := driftSection(sets, differences); ok {
		s.Lines = append(s.Lines, extensionLines(results)...)
		all = append(all, s)
	}
	return all
}

// summarize counts the problems of a checked fleet and lists its schemas.
func summarize(results []fleet.Result, sets []comparisonSet, differences map[schemaPair][]string) Report {
	whole := Report{Problems: map[string]int{}, Schemas: []Schema{}, FailOn: []string{}}
	for _, set := range sets {
		whole.Schemas = append(whole.Schemas, Schema{Fingerprint: set.norm.hash, Tenants: set.norm.names()})
		for _, g := range set.others {
			difference := differences[schemaPair{set.norm.hash, g.hash}]
			whole.Schemas = append(whole.Schemas,
				Schema{Fingerprint: g.hash, Tenants: g.names(), Norm: set.norm.hash, Difference: difference})
		}
	}
	for _, r := range results {
		d, ok := r.Outcome.Detail.(Detail)
		if !ok {
			continue
		}
		if len(d.Problems) == 0 && r.State != fleet.Failed {
			whole.Healthy++
		}
		for _, check := range d.Problems {
			whole.Problems[check]++
		}
	}
	return whole
}

// referenceID is the reference's id, empty if there is none.
func (h *checker) referenceID() string {
	if h.reference == nil {
		return ""
	}
	return h.reference.ID
}

// addReference adds the schema of a reference that is none of the run's tenants. The error is why a reference of either
// kind has no schema to compare with.
func (h *checker) addReference(
	ctx context.Context, observed []observation, results []fleet.Result,
) ([]observation, error) {
	isReference := func(t fleet.Tenant) bool { return t.ID == h.referenceID() }
	switch {
	case h.reference == nil, len(observed) == 0, ctx.Err() != nil:
		return observed, nil
	case slices.ContainsFunc(observed, func(o observation) bool { return isReference(o.tenant) }):
		return observed, nil
	case slices.ContainsFunc(results, func(r fleet.Result) bool { return isReference(r.Tenant) }):
		return observed, errors.New("its own result says why")
	}
	d := &Detail{}
	look := func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		_, err := h.look(ctx, t, d, log)
		return fleet.Outcome{}, err
	}
	if err := h.aside(ctx, []fleet.Tenant{*h.reference}, look)[0].Err; err != nil {
		return observed, err
	}
	h.outside = d
	return append(observed, observe(-1, *h.reference, *d, h.files != nil)), nil
}

// aside runs a job on a few tenants to learn more; their results do not count in the run.
func (h *checker) aside(ctx context.Context, tenants []fleet.Tenant, job fleet.Job) []fleet.Result {
	results, _ := fleet.Run(ctx, fleet.Plan{Tenants: tenants, Job: job},
		fleet.Options{Concurrency: h.env.Concurrency, TenantTimeout: time.Minute})
	return results
}
