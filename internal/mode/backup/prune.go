package backup

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
)

// prune deletes the tenant's backups that the policy does not keep, and records them in d. written is the key of the
// new backup.
func (b *Job) prune(ctx context.Context, t fleet.Tenant, written string, d *Detail) error {
	if b.policy == nil {
		return nil
	}
	existing, err := b.Store.List(ctx, t.Key)
	if err != nil {
		return err
	}
	deleted, retained, err := b.Store.Prune(ctx, backups.Plan(time.Now(), existing, *b.policy, written))
	d.Pruned, d.Retained = pruned(deleted), retained
	return err
}

// wouldPrune returns what would be pruned once there were a new backup with that key.
func wouldPrune(now time.Time, existing []backups.Backup, policy *backups.Policy, key backups.Key) []Pruned {
	if policy == nil {
		return nil
	}
	written := backups.Backup{Key: key.String(), Time: key.Time, Verified: true}
	return pruned(backups.Plan(now, slices.Insert(slices.Clone(existing), 0, written), *policy, written.Key))
}

// pruned returns the backups that are not to be kept, with the reasons.
func pruned(decisions []backups.Decision) []Pruned {
	var out []Pruned
	for _, d := range decisions {
		if !d.Keep {
			out = append(out, Pruned{d.Key, strings.Join(d.Reasons, ", ")})
		}
	}
	return out
}
