package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

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
	observed, warnings := h.observe(ctx, results)
	sets := compareSchemas(observed, h.referenceID())
	differences := h.differences(ctx, sets)
	amendments := driftAmendments(results, sets, differences, h.failOn)
	amended, err := fleet.Amend(results, amendments)
	if err != nil {
		return mode.Ending{}, err
	}
	whole := summarize(amended, sets, differences)
	e := mode.Ending{Amendments: amendments, Warnings: warnings, Sections: []report.Section{statusSection(whole, amended)}}
	if s, ok := driftSection(sets, differences); ok {
		s.Lines = append(s.Lines, extensionLines(results)...)
		e.Sections = append(e.Sections, s)
	}
	err = h.orphans(ctx, &whole, &e)
	e.Detail = whole
	return e, err
}

// summarize counts the problems and lists the schemas of a checked fleet.
func summarize(results []fleet.Result, sets []comparisonSet, differences map[schemaPair][]string) Report {
	whole := Report{Problems: map[string]int{}, Schemas: []Schema{}}
	for _, set := range sets {
		whole.Schemas = append(whole.Schemas, Schema{Fingerprint: set.norm.hash, Tenants: set.norm.names()})
		for _, g := range set.others {
			whole.Schemas = append(whole.Schemas, Schema{g.hash, g.names(), set.norm.hash, differences[schemaPair{set.norm.hash, g.hash}]})
		}
	}
	for _, r := range results {
		d, ok := r.Outcome.Detail.(Detail)
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
	return whole
}

func (h *checker) referenceID() string {
	if h.norm == nil {
		return ""
	}
	return h.norm.ID
}

// observe collects the schemas that were seen, including the reference's wherever it comes from.
func (h *checker) observe(ctx context.Context, results []fleet.Result) (all []observation, warnings []string) {
	add := func(i int, t fleet.Tenant, d Detail) {
		all = append(all, observation{i, t, d.Fingerprint, d.Version, peersOf(d, h.files != nil)})
	}
	seen := false
	for i, r := range results {
		if d, ok := r.Outcome.Detail.(Detail); ok && d.Fingerprint != "" {
			add(i, r.Tenant, d)
			seen = seen || h.norm != nil && r.Tenant.ID == h.norm.ID
		}
	}
	if h.norm == nil || seen || len(all) == 0 || ctx.Err() != nil {
		return all, nil
	}
	err := errors.New("it is one of this run's tenants, and could not be checked")
	if !h.isChosen {
		var d Detail
		one := h.aside(ctx, []fleet.Tenant{*h.norm}, func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
			return fleet.Outcome{}, h.look(ctx, t, &d, log)
		})
		if err = one[0].Err; err == nil {
			add(-1, *h.norm, d)
			return all, nil
		}
	}
	return all, []string{fmt.Sprintf("reference-tenant: %s is not the norm, the largest group of tenants is: %v", h.reference, err)}
}

// aside runs a job on a few tenants that is no part of the run's own results.
func (h *checker) aside(ctx context.Context, tenants []fleet.Tenant, do fleet.Job) []fleet.Result {
	return fleet.Run(ctx, fleet.Plan{Tenants: tenants, Job: do}, fleet.Options{Concurrency: h.env.Concurrency, TenantTimeout: time.Minute})
}
