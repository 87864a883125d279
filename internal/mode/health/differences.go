package health

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
)

// schemaPair is the fingerprint of a norm and that of a schema that differs from it.
type schemaPair struct{ norm, other string }

// shownDifferences is how many groups of a run are described in full: each takes one more connection.
const shownDifferences = 20

// choosePairs picks the schemas to describe in full, and for each, by its fingerprint, a tenant that has it. With norms
// it also picks every norm, for mode report to compare with those of other runs.
func choosePairs(sets []comparisonSet, norms bool) (pairs []schemaPair, chosen map[string]fleet.Tenant) {
	chosen = map[string]fleet.Tenant{}
	for _, set := range sets {
		if norms && len(chosen) < shownDifferences {
			chosen[set.norm.hash] = set.norm.speaker()
		}
		for _, g := range set.others {
			if len(pairs) < shownDifferences && g.size() > 0 {
				chosen[set.norm.hash], chosen[g.hash] = set.norm.speaker(), g.speaker()
				pairs = append(pairs, schemaPair{set.norm.hash, g.hash})
			}
		}
	}
	return pairs, chosen
}

// speaker is the member that describes the group's schema: the first that is not left asleep, if there is one.
func (g schemaGroup) speaker() fleet.Tenant {
	if i := slices.IndexFunc(g.members, func(o observation) bool { return !o.asleep }); i >= 0 {
		return g.members[i].tenant
	}
	return g.members[0].tenant
}

// description is a tenant's schema in full, or why it could not be read.
type description struct {
	objects []fingerprint.Object
	err     error
}

// descriptions are those of schemas, by their fingerprints.
type descriptions map[string]description

// describeAll has a tenant of each chosen schema describe it.
func (h *checker) describeAll(ctx context.Context, sets []comparisonSet) descriptions {
	_, chosen := choosePairs(sets, h.sharded)
	var tenants []fleet.Tenant
	for _, t := range chosen {
		if !slices.Contains(tenants, t) {
			tenants = append(tenants, t)
		}
	}
	var mu sync.Mutex
	objects := map[string][]fingerprint.Object{} // by the tenant's id
	describe := func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		described, err := h.describe(ctx, t, log)
		mu.Lock()
		defer mu.Unlock()
		objects[t.ID] = described
		return fleet.Outcome{}, err
	}
	results := h.aside(ctx, tenants, describe)
	mu.Lock() // a job that was abandoned may still be running
	defer mu.Unlock()
	byTenant := map[string]description{}
	for _, r := range results {
		byTenant[r.Tenant.ID] = description{objects[r.Tenant.ID], r.Err}
	}
	all := descriptions{}
	for hash, t := range chosen {
		all[hash] = byTenant[t.ID]
	}
	return all
}

// differences compares each pair of schemas that were described.
func (all descriptions) differences(sets []comparisonSet) map[schemaPair][]string {
	lines := map[schemaPair][]string{}
	pairs, _ := choosePairs(sets, false)
	for _, p := range pairs {
		lines[p] = difference(all[p.norm], all[p.other])
	}
	return lines
}

// difference returns how a schema differs from the norm, or one line that says why it cannot be told; nil if it does
// not differ.
func difference(norm, other description) []string {
	if err := errors.Join(norm.err, other.err); err != nil {
		return []string{"the difference could not be read: " + err.Error()}
	}
	return fingerprint.Diff(norm.objects, other.objects)
}

// describe returns a schema's objects. They are redacted, because a function's body may contain the very password that
// this run connects with.
func (h *checker) describe(ctx context.Context, t fleet.Tenant, log *slog.Logger) ([]fingerprint.Object, error) {
	conn, release, err := h.conns.Open(ctx, t, log)
	if err != nil {
		return nil, err
	}
	defer release()
	objects, err := fingerprint.Describe(ctx, conn, h.fingerprintOptions(t))
	for i := range objects {
		o := &objects[i]
		for _, text := range []*string{&o.Kind, &o.Name, &o.Parent, &o.Definition} {
			*text = fleet.Redact(log, *text)
		}
	}
	return objects, explainLock(ctx, conn, h.env.Schema(t), err)
}
