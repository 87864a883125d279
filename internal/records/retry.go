package records

import "github.com/org/neon-tenants-action/internal/fleet"

// Tried is how a tenant ended in the last of several runs that worked on it.
type Tried struct {
	Tenant fleet.Tenant
	State  fleet.State
}

// Left reports whether the run left something to do for the tenant.
func (t Tried) Left() bool { return t.State == fleet.Failed || t.State == fleet.Skipped }

// Retry is whom a run works on that tries again what earlier ones left, and why not on the others.
type Retry struct {
	Again []fleet.Tenant
	Done  int // how many are done
	// New are those that no run has tried, Unknown those that one may have tried of which there is no report.
	New     []fleet.Tenant
	Unknown int
	Gone    []fleet.Tenant // left by the earlier runs, and listed no more
}

// Again decides whom to try again among the chosen tenants. all are those that the source lists. unreported are the
// shards of which there is no report, share is the one of this run.
func Again(tried []Tried, chosen, all []fleet.Tenant, unreported []fleet.Shard, share fleet.Shard) (r Retry) {
	last := make(map[string]Tried, len(tried))
	for _, t := range tried {
		last[t.Tenant.ID] = t
	}
	for _, t := range chosen {
		before, known := last[t.ID]
		switch {
		case known && before.Left():
			r.Again = append(r.Again, t)
		case known:
			r.Done++
		case in(unreported, t):
			r.Unknown++
		default:
			r.New = append(r.New, t)
		}
	}
	listed := make(map[string]bool, len(all))
	for _, t := range all {
		listed[t.ID] = true
	}
	for _, t := range tried {
		if t.Left() && !listed[t.Tenant.ID] && share.Has(t.Tenant) {
			r.Gone = append(r.Gone, t.Tenant)
		}
	}
	return r
}

func in(shards []fleet.Shard, t fleet.Tenant) bool {
	for _, s := range shards {
		if s.Has(t) {
			return true
		}
	}
	return false
}
