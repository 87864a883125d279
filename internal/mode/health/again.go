package health

import (
	"context"
	"log/slog"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// compared is what comparing the tenants' schemas found.
type compared struct {
	results     []fleet.Result // with the details of a second look
	sets        []comparisonSet
	described   descriptions
	differences map[schemaPair][]string
}

// compare compares the schemas. Those that differ by their fingerprints and are equal when they are described have
// changed in between, as during a migration: these it looks at again, and equal is equal.
func (h *checker) compare(ctx context.Context, results []fleet.Result, observed []observation) compared {
	c := h.compareOnce(ctx, results, observed)
	again := c.changed()
	if len(again) == 0 {
		return c
	}
	c.results = slices.Clone(results)
	details := h.lookAgain(ctx, again)
	for i, o := range observed {
		d, ok := details[o.tenant.ID]
		if !ok {
			continue
		}
		observed[i] = observe(o.result, o.tenant, d, h.files != nil)
		if o.result >= 0 {
			known := results[o.result].Outcome.Detail.(Detail)
			known.Fingerprint, known.Objects, known.PostgresMajor = d.Fingerprint, d.Objects, d.PostgresMajor
			known.forget()
			c.results[o.result].Outcome.Detail = known
		} else {
			h.outside = &d
		}
	}
	c = h.compareOnce(ctx, c.results, observed)
	c.joinEqual()
	return c
}

func (h *checker) compareOnce(ctx context.Context, results []fleet.Result, observed []observation) compared {
	sets := compareSchemas(observed, h.referenceID())
	described := h.describeAll(ctx, sets)
	return compared{results, sets, described, described.differences(sets)}
}

// equal reports whether a group's fingerprint is not the norm's, and its description is.
func (c compared) equal(norm, other schemaGroup) bool {
	lines, described := c.differences[schemaPair{norm.hash, other.hash}]
	return described && lines == nil
}

// changed returns the tenants whose schema has changed since its fingerprint was taken, or may have.
func (c compared) changed() (tenants []fleet.Tenant) {
	for _, set := range c.sets {
		for _, g := range set.others {
			if !c.equal(set.norm, g) {
				continue
			}
			for _, o := range append([]observation{set.norm.members[0]}, g.members...) {
				if !slices.Contains(tenants, o.tenant) {
					tenants = append(tenants, o.tenant)
				}
			}
		}
	}
	return tenants
}

// lookAgain checks tenants a second time, and returns the details of those that could be.
func (h *checker) lookAgain(ctx context.Context, tenants []fleet.Tenant) map[string]Detail {
	look := func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		var d Detail
		_, err := h.look(ctx, t, &d, log)
		return fleet.Outcome{Detail: d}, err
	}
	details := map[string]Detail{}
	for _, r := range h.aside(ctx, tenants, look) {
		if d, ok := r.Outcome.Detail.(Detail); ok && r.Err == nil {
			details[r.Tenant.ID] = d
		}
	}
	return details
}

// joinEqual joins the groups that are equal to their norm.
func (c *compared) joinEqual() {
	for i := range c.sets {
		set := &c.sets[i]
		var others []schemaGroup
		for _, g := range set.others {
			if c.equal(set.norm, g) {
				set.norm.members = slices.Concat(set.norm.members, g.members)
			} else {
				others = append(others, g)
			}
		}
		set.others = others
	}
}
