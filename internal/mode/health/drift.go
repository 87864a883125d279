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
	result  int // index of its result; -1: the reference, which is none of the run's tenants
	tenant  fleet.Tenant
	hash    string
	version string // highest one that is recorded
	peers   string // tenants with the same are compared with each other
}

// peersOf tells which tenants' schemas have to be equal: those with the same migrations left to apply, on the same
// major version of PostgreSQL. A tenant that is behind has another schema as a matter of course, and is told of
// as pending. Servers of two majors may print one view in two ways.
func peersOf(d Detail, compared bool) string {
	applied := strings.Join(d.Pending, "\n")
	if !compared {
		applied = d.Version
	}
	return strconv.Itoa(d.PostgresMajor) + "\n" + applied
}

// schemaGroup is tenants with one schema.
type schemaGroup struct {
	hash    string
	members []observation // by key
}

// comparisonSet is tenants that have to be equal: those that are the norm, and groups that differ from it, the largest first.
type comparisonSet struct {
	norm   schemaGroup
	others []schemaGroup
}

// size is how many tenants of the run are in it.
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

// compareSchemas compares. The norm of a comparisonSet is the reference's group where the reference is in it, else the largest
// one; of several as large, the one with the highest version, then the one whose first tenant comes first.
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

// compareGroups puts the norm first.
func compareGroups(a, b schemaGroup, referenceID string) int {
	has := func(g schemaGroup) int {
		if referenceID != "" && slices.ContainsFunc(g.members, func(s observation) bool { return s.tenant.ID == referenceID }) {
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
		cmp.Compare(a.members[0].tenant.Key, b.members[0].tenant.Key), cmp.Compare(a.members[0].tenant.ID, b.members[0].tenant.ID))
}

// size is how many tenants of the run are in the comparisonSet.
func (c comparisonSet) size() int {
	n := c.norm.size()
	for _, g := range c.others {
		n += g.size()
	}
	return n
}

// extensionLines says which extensions are there in several versions, and on how many tenants each.
func extensionLines(results []fleet.Result) []string {
	versions := map[string]map[string]int{}
	for _, r := range results {
		d, ok := r.Outcome.Detail.(Detail)
		if !ok {
			continue
		}
		for _, one := range d.extensions {
			i := strings.LastIndexByte(one, ' ') // a version has no blank, a name may
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
