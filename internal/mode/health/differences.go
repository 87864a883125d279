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

// schemaPair is the fingerprints of a norm and of a schema that differs from it.
type schemaPair struct{ norm, other string }

// shownDifferences is how many groups of a run are looked at closely: each takes one more connection.
const shownDifferences = 20

// choosePairs picks the pairs to look at closely, and a tenant to describe each schema.
func choosePairs(sets []comparisonSet) (pairs []schemaPair, chosen map[string]fleet.Tenant) {
	chosen = map[string]fleet.Tenant{}
	for _, set := range sets {
		for _, g := range set.others {
			if len(pairs) < shownDifferences && g.size() > 0 {
				chosen[set.norm.hash], chosen[g.hash] = set.norm.members[0].tenant, g.members[0].tenant
				pairs = append(pairs, schemaPair{set.norm.hash, g.hash})
			}
		}
	}
	return pairs, chosen
}

// differences has one tenant of each group describe its schema, and compares that with the norm's. A difference that could
// not be looked up, or that is gone since, is a line that says so.
func (h *checker) differences(ctx context.Context, sets []comparisonSet) map[schemaPair][]string {
	pairs, chosen := choosePairs(sets)
	var tenants []fleet.Tenant
	for _, t := range chosen {
		if !slices.Contains(tenants, t) {
			tenants = append(tenants, t)
		}
	}
	var mu sync.Mutex
	described := map[string][]fingerprint.Object{} // by the tenant's id
	failed := map[string]error{}
	for _, r := range h.aside(ctx, tenants, func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		objects, err := h.describe(ctx, t, log)
		mu.Lock()
		described[t.ID] = objects
		mu.Unlock()
		return fleet.Outcome{}, err
	}) {
		failed[r.Tenant.ID] = r.Err
	}
	mu.Lock() // a job that was given up may still be at work
	defer mu.Unlock()
	lines := map[schemaPair][]string{}
	for _, p := range pairs {
		norm, other := chosen[p.norm], chosen[p.other]
		if err := errors.Join(failed[norm.ID], failed[other.ID]); err != nil {
			lines[p] = []string{"the difference could not be looked up: " + err.Error()}
			continue
		}
		if lines[p] = fingerprint.Diff(described[norm.ID], described[other.ID]); lines[p] == nil {
			lines[p] = []string{"the schemas have become equal since they were compared"}
		}
	}
	return lines
}

// describe returns a schema's objects. They are redacted: a function's body may hold the very password that this run
// connects with.
func (h *checker) describe(ctx context.Context, t fleet.Tenant, log *slog.Logger) ([]fingerprint.Object, error) {
	conn, release, err := h.conns.Open(ctx, t, log)
	if err != nil {
		return nil, err
	}
	defer release()
	objects, err := fingerprint.Describe(ctx, conn, h.fingerprintOptions(t))
	for i := range objects {
		o := &objects[i]
		o.Kind, o.Name, o.Parent, o.Definition = fleet.Redact(log, o.Kind), fleet.Redact(log, o.Name), fleet.Redact(log, o.Parent), fleet.Redact(log, o.Definition)
	}
	return objects, err
}
