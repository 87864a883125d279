package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/words"
)

// choice is the inputs that say which tenants a run works on.
type choice struct {
	keys       fleet.KeyBy
	selection  fleet.Selection
	canary     fleet.Canary
	shard      fleet.Shard
	minTenants int
	allowEmpty bool

	tenantsInput, canaryInput string // as they were given
}

func readChoice(in *input.Reader) choice {
	return choice{
		keys:       fleet.KeyBy(in.Choice("tenant-key", string(fleet.KeyByName), string(fleet.KeyByID))),
		shard:      input.Parse(in, "shard", fleet.ParseShard),
		minTenants: in.Int("min-tenants", 0, 1_000_000),
		allowEmpty: in.Bool("allow-empty"),
		selection: input.Parse(in, "tenants", func(text string) (fleet.Selection, error) {
			return fleet.ParseSelection(input.List(text))
		}),
		canary: input.Parse(in, "canary", func(text string) (fleet.Canary, error) {
			return fleet.ParseCanary(input.List(text))
		}),
		tenantsInput: in.String("tenants"), canaryInput: in.String("canary"),
	}
}

// chosen is the tenants that a run works on.
type chosen struct {
	mode.Found
	canaries int      // how many of the first tenants are canaries
	idle     []string // patterns that match no tenant
}

// discover lists the tenants and chooses among them; canaries is how many come first. With an [*fleet.IncompleteError],
// the tenants are valid as far as they go.
func (r *run) discover(ctx context.Context, s settings) (found mode.Found, canaries int, err error) {
	all, listErr := s.source.Tenants(ctx)
	var incomplete *fleet.IncompleteError
	if listErr != nil && !errors.As(listErr, &incomplete) {
		if ctx.Err() != nil {
			listErr = fmt.Errorf("%w: %w", context.Cause(ctx), listErr)
		}
		return mode.Found{}, 0, fmt.Errorf("list tenants: %w", listErr)
	}
	if s.work.Choose != nil {
		picked, err := s.work.Choose(all, incomplete == nil)
		if err == nil {
			found, err = s.choice.named(all, picked)
		}
		if err != nil {
			return mode.Found{}, 0, err
		}
		r.console.Line("found " + words.Count(len(all), "tenant", "tenants"))
		return found, 0, listErr
	}
	c, err := s.choice.choose(all, incomplete == nil)
	for _, pattern := range c.idle {
		r.record.Warnings = append(r.record.Warnings,
			fmt.Sprintf("tenants: the pattern %q matches none of the %d tenants found", pattern, len(all)))
	}
	if err != nil {
		return mode.Found{}, 0, err
	}
	r.console.Line(announcement(len(all), len(c.Tenants), c.canaries, s.choice.shard, s.options.Concurrency))
	return c.Found, c.canaries, listErr
}

// choose applies the inputs to the listed tenants, whose keys it sets. complete is false if the listing lacks some.
func (c choice) choose(all []fleet.Tenant, complete bool) (result chosen, err error) {
	if len(all) < c.minTenants {
		return result, fleet.WithRemedy(
			fmt.Errorf("found %s, fewer than min-tenants: %d", words.Count(len(all), "tenant", "tenants"),
				c.minTenants),
			"check that the key and the organization are the right ones; lower min-tenants if so few are right")
	}
	if err := fleet.AssignKeys(all, c.keys, c.selection.Matches); err != nil {
		return result, err
	}
	selected, idle := c.selection.Select(all)
	result.idle = idle
	if len(selected) == 0 && !c.allowEmpty {
		return result, fleet.WithRemedy(
			fmt.Errorf("tenants: %q selects none of the %d tenants found", c.tenantsInput, len(all)),
			"correct the patterns (they match names and ids, and letter case counts), or set allow-empty: true")
	}
	slices.SortFunc(selected, func(a, b fleet.Tenant) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
	})
	if _, n := c.canary.Order(selected); n == 0 && !c.canary.Zero() && len(selected) > 0 {
		return result, fleet.WithRemedy(
			fmt.Errorf("canary: %q is none of the %d selected tenants", c.canaryInput, len(selected)),
			"name a selected tenant, or give a count such as canary: 3")
	}
	result.All = all
	result.Tenants, result.canaries = c.canary.Order(c.shard.Select(selected))
	result.Whole = complete && c.selection.Everything() && c.shard.Count <= 1
	return result, nil
}

// named sets the keys if the mode itself picked its tenants, some of which may not exist yet. These too must not share
// a key with any other tenant, whose secret and folder they would get.
func (c choice) named(all, picked []fleet.Tenant) (mode.Found, error) {
	keyed := slices.Clone(all)
	for _, t := range picked {
		// Without an id there is no key made from it either; the tenant gets its key once it exists.
		if t.ID == "" && c.keys == fleet.KeyByName {
			keyed = append(keyed, t)
		}
	}
	isPicked := func(t fleet.Tenant) bool {
		return slices.ContainsFunc(picked, func(p fleet.Tenant) bool { return p.ID == t.ID && p.Name == t.Name })
	}
	if err := fleet.AssignKeys(keyed, c.keys, isPicked); err != nil {
		return mode.Found{}, err
	}
	found := mode.Found{All: keyed[:len(all)]}
	for _, t := range picked {
		i := slices.IndexFunc(keyed, func(k fleet.Tenant) bool { return k.ID == t.ID && k.Name == t.Name })
		if i >= 0 {
			t = keyed[i]
		}
		found.Tenants = append(found.Tenants, t)
	}
	return found, nil
}

// announcement says what the run is about to do.
func announcement(all, chosen, canaries int, shard fleet.Shard, concurrency int) string {
	text := "found " + words.Count(all, "tenant", "tenants")
	if chosen != all {
		text += fmt.Sprintf(", selected %d", chosen)
	}
	if shard := shard.String(); shard != "" {
		text += " in shard " + shard
	}
	if canaries > 0 {
		text += fmt.Sprintf(", %d of them first as canaries", canaries)
	}
	return fmt.Sprintf("%s; %d at once", text, max(1, min(concurrency, chosen)))
}
