package secretsync

import (
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// reading is the detail of a tenant whose job only read its connection string, for a bundle. An amendment replaces it.
type reading struct {
	Detail
	value fleet.Secret
}

// valuesRead returns the connection strings that the jobs read, by key.
func valuesRead(results []fleet.Result) map[string]string {
	all := map[string]string{}
	for _, r := range results {
		if d, ok := r.Outcome.Detail.(reading); ok && synced(r) {
			all[r.Tenant.Key] = d.value.Reveal()
		}
	}
	return all
}

// synced reports whether a tenant neither failed nor was skipped.
func synced(r fleet.Result) bool { return r.State == fleet.Succeeded || r.State == fleet.Unchanged }

// bundled is what became of a run's bundles.
type bundled struct {
	bundlePlan
	failed  map[int]error                    // why a bundle was not written
	members map[secrets.Print]secrets.Member // what the next sync has to know
	dropped int                              // tenants that are gone and left their bundle
	err     error                            // why no bundle was written
}

// amendments say how each tenant ended whose connection string was read. would words a change.
func (b bundled) amendments(results []fleet.Result, would func(change string) string) []fleet.Amendment {
	intact := map[int]bool{}
	for _, s := range b.steps {
		intact[s.bundle] = s.action == keepBundle && b.failed[s.bundle] == nil
	}
	var all []fleet.Amendment
	for _, r := range results {
		d, ok := r.Outcome.Detail.(reading)
		if !ok || !synced(r) {
			continue
		}
		n := b.place[r.Tenant.Key]
		a := fleet.Amendment{ID: r.Tenant.ID}
		secret := ""
		if n > 0 {
			secret = secrets.BundleName(n)
		}
		err := b.problem(n)
		switch {
		case r.State == fleet.Unchanged, intact[n]:
			a.Unchanged, a.Detail = true, Detail{secret, unchanged}
		case err != nil:
			a.Err, a.Detail = err, Detail{Secret: secret}
		default:
			a.Note, a.Detail = would(d.Change), Detail{secret, d.Change}
		}
		all = append(all, a)
	}
	return all
}

// problem returns why a bundle was not written.
func (b bundled) problem(n int) error {
	switch {
	case b.err != nil:
		return b.err
	case b.locked[n] != nil:
		return b.locked[n]
	}
	return b.failed[n]
}
