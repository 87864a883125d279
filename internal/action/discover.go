package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// choice is the inputs that say which tenants a run works on.
type choice struct {
	keys       fleet.KeyBy
	shard      fleet.Shard
	waves      fleet.WaveSizes
	minTenants int
	allowEmpty bool
	// What these two inputs mean depends on the tenants that are listed.
	tenantsInput, canaryInput string // as they were given, with the blanks at their ends
	// soleTenantMode is the mode's name if it works on exactly one tenant.
	soleTenantMode string
	searcher       fleet.Searcher // nil: the source does not say where it looked
	retry          *mode.Retry    // nil: the run does not go on from another
}

// defaultMinTenants is that of action.yml. On GitHub it cannot be told from a value that is given, so that allow-empty
// wins over it: who gives that expects to find none.
const defaultMinTenants = 1

func readChoice(in *input.Reader) choice {
	c := choice{
		keys:         fleet.KeyBy(in.Choice("tenant-key", string(fleet.KeyByName), string(fleet.KeyByID))),
		shard:        input.Parse(in, "shard", fleet.ParseShard),
		waves:        input.Parse(in, "waves", fleet.ParseWaves),
		tenantsInput: in.Text("tenants"), canaryInput: in.Text("canary"),
	}
	if c.shard.Count == 1 {
		c.shard = fleet.Shard{} // the whole fleet
	}
	if canary := strings.TrimSpace(c.canaryInput); percentage.MatchString(canary) {
		waves := canary + ", 100%"
		if _, err := fleet.ParseWaves(waves); err != nil {
			waves = "10%, 100%"
		}
		in.Mistake("canary", "%q is a percentage, which waves takes; give waves: %s, or a count such as canary: 3", canary,
			waves)
	}
	return c
}

var percentage = regexp.MustCompile(`^[0-9.]+ *%$`)

// readBounds reads how few tenants may be found and chosen, of a mode that does not choose by itself.
func (c *choice) readBounds(in *input.Reader) {
	c.minTenants, c.allowEmpty = in.Int("min-tenants", 0, 1_000_000), in.Bool("allow-empty")
}

// chosen is the tenants that a run works on.
type chosen struct {
	mode.Found
	idle     []string // entries of the input tenants that match no tenant
	warnings []string // everything else about the inputs that the user should know
	notices  []string
}

// discover lists the tenants and chooses among them. If the source could not read every tenant, incomplete says so, and
// the choice is valid as far as it goes.
func (r *run) discover(ctx context.Context, s settings) (c chosen, incomplete *fleet.IncompleteError, err error) {
	all, err := s.source.Tenants(ctx)
	if err != nil && !errors.As(err, &incomplete) {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return chosen{}, nil, fmt.Errorf("list tenants: %w", err)
	}
	var announced string
	if s.work.Choose != nil {
		announced = "found " + words.Count(len(all), "tenant", "tenants")
		var picked []fleet.Tenant
		if picked, err = s.work.Choose(all, incomplete == nil); err == nil {
			c.Found, err = s.choice.named(all, picked, incomplete)
		}
	} else {
		c, err = s.choice.choose(all, incomplete)
		announced = announcement(len(all), c.Found, s.choice.shard, s.options.Concurrency)
	}
	r.record.Warnings = append(r.record.Warnings, c.warnings...)
	for _, text := range c.notices {
		r.notice(text)
	}
	for i, entry := range c.idle {
		const compared = 5 // each with every name
		text := matchesNone(entry, len(all))
		if i < compared {
			text += orRather(entry, all)
		}
		r.record.Warnings = append(r.record.Warnings, text)
	}
	if err != nil {
		if incomplete != nil {
			err = errors.Join(err, incomplete) // it may be why
		}
		return chosen{}, nil, err
	}
	r.console.Line(announced)
	report.Announce(r.console, &r.record)
	return c, incomplete, nil
}

// choose applies the inputs to the listed tenants, whose keys it sets. incomplete is nil if the listing lacks none. The
// warnings are valid with an error too.
func (c choice) choose(all []fleet.Tenant, incomplete *fleet.IncompleteError) (result chosen, err error) {
	enough := len(all) >= c.minTenants
	if mayBeNone := c.allowEmpty && c.minTenants == defaultMinTenants; !enough && !mayBeNone {
		return result, c.tooFew(len(all))
	}
	selection, canary, err := c.resolve(all)
	if err != nil {
		return result, err
	}
	for _, doubt := range selection.Doubts {
		result.warnings = append(result.warnings, "tenants: "+doubt)
	}
	for _, doubt := range canary.Doubts {
		result.warnings = append(result.warnings, "canary: "+doubt)
	}
	if err := fleet.AssignKeys(all, incomplete.Unread(), c.keys, selection.Matches); err != nil {
		return result, err
	}
	selected, err := c.selected(selection, all, incomplete, &result)
	if err != nil {
		return result, err
	}
	_, idle := canary.Select(selected)
	for _, entry := range idle {
		result.warnings = append(result.warnings,
			fmt.Sprintf("canary: the pattern %q matches none of the %d selected tenants", entry, len(selected)))
	}
	inShard := c.shard.Select(selected)
	if _, canaries := canary.Order(inShard); canary.Asked() && canaries == 0 && len(inShard) > 0 {
		return result, c.unguarded(canary, selected, len(inShard))
	}
	left, notices, warnings := c.retry.Left(inShard, all, c.shard)
	result.notices, result.warnings = append(result.notices, notices...), append(result.warnings, warnings...)
	canariesFirst, canaries := canary.Order(left) // a canary that an earlier run is done with has proved what it can
	if incomplete != nil {
		result.warnings = append(result.warnings, c.consequences())
	}
	ordered, waves := c.waves.Plan(canariesFirst, canaries)
	if beyond := len(ordered) - len(waves.Within(ordered)); beyond > 0 {
		result.warnings = append(result.warnings, c.beyond(beyond, len(ordered)))
	}
	result.Found = mode.Found{
		Tenants: ordered, Waves: waves, All: all, Incomplete: incomplete != nil,
		Whole: enough && incomplete == nil && selection.Everything() && c.shard.Count <= 1 && c.retry == nil,
	}
	return result, nil
}

// tooFew says that fewer tenants were found than min-tenants expects, and where they were looked for.
func (c choice) tooFew(n int) error {
	text := fmt.Sprintf("found %s, fewer than min-tenants: %d", words.Count(n, "tenant", "tenants"), c.minTenants)
	remedy := "lower min-tenants if so few are right"
	if c.searcher != nil {
		looked, check := c.searcher.Searched()
		text += "; " + looked
		remedy = check + "; " + remedy
	}
	return fleet.WithRemedy(errors.New(text), remedy)
}

// resolve decides what the inputs that name tenants mean among those that are listed. Its error holds the mistakes of
// both.
func (c choice) resolve(all []fleet.Tenant) (fleet.Selection, fleet.Canary, error) {
	var mistakes []string
	selection, err := fleet.Resolve(c.tenantsInput, all)
	if err != nil {
		mistakes = append(mistakes, "tenants: "+err.Error())
	}
	canary, err := fleet.ResolveCanary(c.canaryInput, all)
	if err != nil {
		mistakes = append(mistakes, "canary: "+err.Error())
	}
	if len(mistakes) > 0 {
		return fleet.Selection{}, fleet.Canary{}, &input.Error{Mistakes: mistakes}
	}
	return selection, canary, nil
}

// selected returns the selected tenants in the order of their keys, and adds the idle entries to the result.
func (c choice) selected(
	selection fleet.Selection, all []fleet.Tenant, incomplete *fleet.IncompleteError, result *chosen,
) ([]fleet.Tenant, error) {
	given := strings.TrimSpace(c.tenantsInput)
	selected, unmatched := selection.Select(all)
	unread := incomplete.Unread()
	idle := slices.DeleteFunc(slices.Clone(unmatched), func(entry string) bool {
		return slices.Contains(unread, entry)
	})
	if len(idle) > 0 && c.soleTenantMode != "" {
		return nil, fleet.WithRemedy(
			fmt.Errorf("%s, and %s works on exactly one tenant", matchesNone(idle[0], len(all)), c.soleTenantMode),
			"give the tenant's name as it is (letter case counts) and nothing else, or its id"+orRather(idle[0], all))
	}
	if len(selected) == 0 && !c.allowEmpty {
		err := fmt.Errorf("tenants: %q selects none of the %d tenants found", given, len(all))
		if len(idle) < len(unmatched) {
			return nil, err // the tenant exists and could not be read; the error about that has the remedy
		}
		remedy := "correct the patterns (they match names and ids, and letter case counts)"
		if rather := orRather(slices.Concat(idle, []string{given})[0], all); rather != "" {
			remedy += rather
		} else if strings.ContainsAny(given, "*?[") { // globs, or another run's list, may rightly match nobody
			remedy += "; if there may be none, set allow-empty: true"
		}
		return nil, fleet.WithRemedy(err, remedy)
	}
	result.idle = idle
	if c.soleTenantMode != "" && incomplete != nil && len(selected) == 1 && given != selected[0].ID {
		return nil, fleet.WithRemedy(
			fmt.Errorf("tenants: not every tenant could be listed, so %q may select others too", given),
			"run again later, or give the tenant's id; that of the one that was found is "+selected[0].ID)
	}
	slices.SortFunc(selected, func(a, b fleet.Tenant) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
	})
	return selected, nil
}

// matchesNone says that an entry of the input tenants matches nothing.
func matchesNone(entry string, all int) string {
	return fmt.Sprintf("tenants: the pattern %q matches none of the %d tenants found", entry, all)
}

// orRather names the tenant that an entry without a match most likely means, if there is one.
func orRather(entry string, all []fleet.Tenant) string {
	var names []string
	for _, t := range all {
		names = append(names, t.Name)
	}
	if near := words.Nearest(strings.TrimPrefix(entry, "!"), names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// unguarded refuses a run whose tenants would start without a canary although the input asks for one: it names none of
// the selected tenants, or none of those in this shard.
func (c choice) unguarded(canary fleet.Canary, selected []fleet.Tenant, inShard int) error {
	given := strings.TrimSpace(c.canaryInput)
	if _, n := canary.Order(selected); n == 0 {
		return fleet.WithRemedy(
			fmt.Errorf("canary: %q is none of the %d selected tenants", given, len(selected)),
			"name a selected tenant, or give a count such as canary: 3")
	}
	return fleet.WithRemedy(
		fmt.Errorf("canary: %q is none of the %d tenants of shard %s, which would start unguarded",
			given, inShard, c.shard),
		"give a count, such as canary: 1, which every shard takes from its own tenants; or run the canaries in a job "+
			"of their own, with tenants in place of canary, and let the shards need that job")
}

// beyond says that the run leaves tenants out.
func (c choice) beyond(tenants, selected int) string {
	return fmt.Sprintf("waves (%s) leaves out %d of %s, which this run skips: end the list with 100%%, or have a later "+
		"job work on the rest", c.waves, tenants, words.Count(selected, "tenant", "tenants"))
}

// consequences says what follows from an incomplete listing.
func (c choice) consequences() string {
	text := "nothing is pruned, because not every tenant could be read"
	if c.keys == fleet.KeyByName {
		text += "; their names are unknown, and so is whether one of them has the key of another tenant, " +
			"which tenant-key: id rules out"
	}
	return text
}

// announcement says what the run is about to do.
func announcement(all int, found mode.Found, shard fleet.Shard, concurrency int) string {
	text := "found " + words.Count(all, "tenant", "tenants")
	chosen := len(found.Tenants)
	if chosen != all {
		text += fmt.Sprintf(", selected %d", chosen)
	}
	if shard := shard.String(); shard != "" {
		text += " in shard " + shard
	}
	if canaries := found.Waves.Canaries(); canaries > 0 {
		text += fmt.Sprintf(", %d of them first as canaries", canaries)
	}
	if waves := found.Waves; len(waves) > 0 {
		const shown = 10
		text += fmt.Sprintf(", in %s of %s", words.Count(len(waves), "wave", "waves"),
			words.ListFunc(waves, shown, func(w fleet.Wave) string { return strconv.Itoa(w.Size) }))
	}
	if beyond := chosen - len(found.Waves.Within(found.Tenants)); beyond > 0 {
		text += fmt.Sprintf(", and %d beyond the last", beyond)
	}
	return fmt.Sprintf("%s; %d at once", text, max(1, min(concurrency, chosen)))
}
