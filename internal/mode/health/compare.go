package health

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// observation is one tenant's schema, for comparison.
type observation struct {
	result  int // index of its result; -1 for a reference that is none of the run's tenants
	tenant  fleet.Tenant
	hash    string
	version string // the highest recorded one
	peers   string // see peersOf
}

// observations are the schemas of all tenants that could be checked. compared is false if there are no migration files
// to compare with.
func observations(results []fleet.Result, compared bool) (all []observation) {
	for i, r := range results {
		if d, ok := r.Outcome.Detail.(Detail); ok && d.Fingerprint != "" {
			all = append(all, observe(i, r.Tenant, d, compared))
		}
	}
	return all
}

func observe(result int, t fleet.Tenant, d Detail, compared bool) observation {
	return observation{result, t, d.Fingerprint, d.Version, peersOf(d, compared)}
}

// peersOf returns a key that is the same for all tenants whose schemas must be equal: those with the same pending
// migrations, on the same major version of PostgreSQL. A tenant that is behind is expected to have another schema, and
// is reported as pending. Two majors may print the same view differently.
func peersOf(d Detail, compared bool) string {
	applied := strings.Join(d.Pending, "\n")
	if !compared {
		applied = d.Version
	}
	return strconv.Itoa(d.PostgresMajor) + "\n" + applied
}

// schemaGroup is the tenants that have the same schema.
type schemaGroup struct {
	hash    string
	members []observation // in the order of their keys
}

// comparisonSet is tenants whose schemas must be equal: the group that is the norm, and the groups that differ from it,
// largest first.
type comparisonSet struct {
	norm   schemaGroup
	others []schemaGroup
}

// size is how many of the run's tenants are in the group.
func (g schemaGroup) size() int {
	n := 0
	for _, s := range g.members {
		if s.result >= 0 {
			n++
		}
	}
	return n
}

func (g schemaGroup) names() []string {
	var names []string
	for _, s := range g.members {
		if s.result >= 0 {
			names = append(names, s.tenant.Name)
		}
	}
	return names
}

// compareSchemas forms the comparison sets, largest first. The norm of a set is the reference's group if the reference
// is in it, otherwise the largest; of several equally large ones, the one with the highest version, then the one whose
// first tenant comes first.
func compareSchemas(all []observation, referenceID string) []comparisonSet {
	slices.SortFunc(all, func(a, b observation) int {
		return cmp.Or(cmp.Compare(a.tenant.Key, b.tenant.Key), cmp.Compare(a.tenant.ID, b.tenant.ID))
	})
	byPeers := map[string]map[string]*schemaGroup{}
	var order []string
	for _, s := range all {
		groups := byPeers[s.peers]
		if groups == nil {
			groups = map[string]*schemaGroup{}
			byPeers[s.peers] = groups
			order = append(order, s.peers)
		}
		if groups[s.hash] == nil {
			groups[s.hash] = &schemaGroup{hash: s.hash}
		}
		groups[s.hash].members = append(groups[s.hash].members, s)
	}
	var sets []comparisonSet
	for _, peers := range order {
		var groups []schemaGroup
		for _, g := range byPeers[peers] {
			groups = append(groups, *g)
		}
		slices.SortFunc(groups, func(a, b schemaGroup) int { return compareGroups(a, b, referenceID) })
		sets = append(sets, comparisonSet{groups[0], groups[1:]})
	}
	slices.SortStableFunc(sets, func(a, b comparisonSet) int { return cmp.Compare(b.size(), a.size()) })
	return sets
}

// compareGroups orders groups so that the norm comes first.
func compareGroups(a, b schemaGroup, referenceID string) int {
	has := func(g schemaGroup) int {
		if referenceID != "" && slices.ContainsFunc(g.members,
			func(s observation) bool { return s.tenant.ID == referenceID }) {
			return 0
		}
		return 1
	}
	newest := func(g schemaGroup) string {
		best := ""
		for _, s := range g.members {
			if v := strings.TrimLeft(s.version, "0"); len(v) > len(best) || len(v) == len(best) && v > best {
				best = v
			}
		}
		return best
	}
	x, y := newest(a), newest(b)
	return cmp.Or(has(a)-has(b), len(b.members)-len(a.members), cmp.Compare(len(y), len(x)), cmp.Compare(y, x),
		cmp.Compare(a.members[0].tenant.Key, b.members[0].tenant.Key),
		cmp.Compare(a.members[0].tenant.ID, b.members[0].tenant.ID))
}

// size is how many of the run's tenants are in the set.
func (c comparisonSet) size() int {
	n := c.norm.size()
	for _, g := range c.others {
		n += g.size()
	}
	return n
}

// extensionLines names the extensions that are installed in several versions, and on how many tenants each version is.
func extensionLines(results []fleet.Result) []string {
	versions := map[string]map[string]int{}
	for _, r := range results {
		d, ok := r.Outcome.Detail.(Detail)
		if !ok {
			continue
		}
		for _, one := range d.extensions {
			i := strings.LastIndexByte(one, ' ') // a name may contain spaces, a version does not
			if i < 0 {
				continue
			}
			if versions[one[:i]] == nil {
				versions[one[:i]] = map[string]int{}
			}
			versions[one[:i]][one[i+1:]]++
		}
	}
	var lines []string
	for name, counts := range versions {
		if len(counts) < 2 {
			continue
		}
		var parts []string
		for version, n := range counts {
			parts = append(parts, fmt.Sprintf("%s on %s", version, words.Count(n, "tenant", "tenants")))
		}
		slices.Sort(parts)
		lines = append(lines, fmt.Sprintf("extension %s: %s", name, words.List(parts, 5)))
	}
	slices.Sort(lines)
	return lines
}
