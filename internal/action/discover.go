package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
)

// discovery is what a run works on.
type discovery struct {
	found    mode.Found
	canaries int // how many of the tenants come first
	// incomplete is set if the source could not read every tenant. The others are worked on, nothing is pruned, and the
	// run fails at its end.
	incomplete *fleet.IncompleteError
}

// discover lists the tenants and chooses among them.
func (r *run) discover(ctx context.Context, s settings) (discovery, error) {
	all, err := s.source.Tenants(ctx)
	var incomplete *fleet.IncompleteError
	if err != nil && !errors.As(err, &incomplete) {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return discovery{}, fmt.Errorf("list tenants: %w", err)
	}
	d := discovery{incomplete: incomplete}
	if s.work.Choose != nil {
		d.found, err = r.named(all, incomplete, s)
	} else {
		err = r.choose(&d, all, s)
	}
	if err != nil {
		if incomplete != nil {
			err = errors.Join(err, incomplete) // it may be why
		}
		return discovery{}, err
	}
	d.found.Incomplete = incomplete != nil
	return d, nil
}

// choose has the inputs choose the tenants, and the canaries among them.
func (r *run) choose(d *discovery, all []fleet.Tenant, s settings) error {
	if len(all) < s.minTenants {
		return fleet.WithRemedy(fmt.Errorf("found %d tenants, fewer than min-tenants: %d", len(all), s.minTenants),
			"see whether the key and the organization are the right ones; lower min-tenants where so few are right")
	}
	selection, canary, err := r.resolve(all, s)
	if err != nil {
		return err
	}
	if err := fleet.AssignKeys(all, d.incomplete.Unread(), s.keys, selection.Matches); err != nil {
		return err
	}
	chosen, err := r.selected(selection, all, d.incomplete, s)
	if err != nil {
		return err
	}
	shard := s.shard.Select(chosen)
	d.found.All = all
	d.found.Tenants, d.canaries = canary.Order(shard)
	d.found.Whole = d.incomplete == nil && selection.Everything() && s.shard.Count <= 1
	if err := r.checkCanaries(canary, chosen, len(shard), d.canaries, s.shard); err != nil {
		return err
	}
	if d.incomplete != nil {
		r.warn(consequences(s.keys))
	}
	r.console.Line(announcement(len(all), len(shard), d.canaries, s))
	return nil
}

// resolve decides what the inputs that name tenants mean, now that the tenants are known. The error has all mistakes.
func (r *run) resolve(all []fleet.Tenant, s settings) (fleet.Selection, fleet.Canary, error) {
	selection, err := fleet.Resolve(s.tenants, all)
	if err != nil {
		r.in.Mistake("tenants", "%v", err)
	}
	canary, err := fleet.ResolveCanary(s.canary, all)
	if err != nil {
		r.in.Mistake("canary", "%v", err)
	}
	for _, doubt := range selection.Doubts {
		r.warn("tenants: " + doubt)
	}
	for _, doubt := range canary.Doubts {
		r.warn("canary: " + doubt)
	}
	return selection, canary, r.in.Err()
}

// selected returns the tenants that the input tenants selects, in the order of their keys.
func (r *run) selected(
	selection fleet.Selection, all []fleet.Tenant, incomplete *fleet.IncompleteError, s settings,
) ([]fleet.Tenant, error) {
	chosen, idle := selection.Select(all)
	misses := slices.DeleteFunc(slices.Clone(idle), func(entry string) bool {
		return slices.Contains(incomplete.Unread(), entry)
	})
	for _, entry := range misses {
		text := fmt.Sprintf("tenants: the pattern %q matches none of the %d tenants found", entry, len(all))
		if s.one {
			return nil, fleet.WithRemedy(fmt.Errorf("%s, and %s works on exactly one tenant", text, r.record.Mode),
				"give the tenant's name as it is (letter case counts) and nothing else, or its id")
		}
		r.warn(text)
	}
	if len(chosen) == 0 && !s.allowEmpty {
		err := fmt.Errorf("tenants: %q selects none of the %d tenants found", r.in.String("tenants"), len(all))
		if len(misses) < len(idle) {
			return nil, err // what it names exists and could not be read, of which that error has the remedy
		}
		return nil, fleet.WithRemedy(err,
			"correct the patterns (they match names and ids, and letter case counts), or set allow-empty: true")
	}
	if s.one && incomplete != nil && len(chosen) == 1 && r.in.String("tenants") != chosen[0].ID {
		return nil, fleet.WithRemedy(
			fmt.Errorf("tenants: not every tenant could be listed, so %q may select others too", r.in.String("tenants")),
			fmt.Sprintf("run again later, or give the tenant's id; that of the one that was found is %s", chosen[0].ID))
	}
	slices.SortFunc(chosen, func(a, b fleet.Tenant) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
	})
	return chosen, nil
}

// checkCanaries refuses a run whose tenants would start unguarded although canaries are asked for: if the canary is none
// of the selected tenants, or none of those of this shard.
func (r *run) checkCanaries(
	canary fleet.Canary, chosen []fleet.Tenant, inShard, canaries int, shard fleet.Shard,
) error {
	if !canary.Asked() {
		return nil
	}
	_, idle := canary.Select(chosen)
	for _, entry := range idle {
		r.warn(fmt.Sprintf("canary: the pattern %q matches none of the %d selected tenants", entry, len(chosen)))
	}
	if canaries > 0 || inShard == 0 {
		return nil
	}
	if _, n := canary.Order(chosen); n == 0 {
		return fleet.WithRemedy(
			fmt.Errorf("canary: %q is none of the %d selected tenants", r.in.String("canary"), len(chosen)),
			"name a selected tenant, or give a count such as canary: 3")
	}
	return fleet.WithRemedy(fmt.Errorf("canary: %q is none of the %d tenants of shard %s, which would start unguarded",
		r.in.String("canary"), inShard, shard),
		"give a count, such as canary: 1, which every shard takes from its own tenants; "+
			"or run the canaries in a job of their own, with tenants in place of canary, and let the shards need that job")
}

// consequences says what follows from an incomplete discovery.
func consequences(keys fleet.KeyBy) string {
	text := "nothing is pruned, because not every tenant could be read"
	if keys == fleet.KeyByName {
		text += "; their names are unknown, and so is whether one of them has the key of another tenant, " +
			"which tenant-key: id rules out"
	}
	return text
}

// announcement words what the run is about to do.
func announcement(all, chosen, canaries int, s settings) string {
	text := fmt.Sprintf("found %d tenants", all)
	if chosen != all {
		text += fmt.Sprintf(", selected %d", chosen)
	}
	if shard := s.shard.String(); shard != "" {
		text += fmt.Sprintf(" in shard %s", shard)
	}
	if canaries > 0 {
		text += fmt.Sprintf(", %d of them first as canaries", canaries)
	}
	return fmt.Sprintf("%s; %d at once", text, max(1, min(s.options.Concurrency, chosen)))
}
