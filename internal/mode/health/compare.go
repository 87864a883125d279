package health

import (
	"cmp"
	"fmt"
	"slices"
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
	peers   peers
	asleep  bool // and left so
}

// peers is the same for all tenants whose schemas must be equal: those with the same pending migrations, on the same
// major version of PostgreSQL. A tenant that is behind is expected to have another schema, and is reported as pending.
// Two majors may print the same view differently.
type peers struct {
	form    int // the fingerprints' version
	major   int
	applied string
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
	return observation{result, t, d.Fingerprint, d.Version, peersOf(d, compared), d.Asleep}
}

// peersOf returns a tenant's peers. Without migration files to compare with, its version says what is applied.
func peersOf(d Detail, compared bool) peers {
	p := peers{d.FingerprintVersion, d.PostgresMajor, strings.Join(d.Pending, "\n")}
	if !compared {
		p.applied = d.Version
	}
	return p
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
	chosen bool // the norm is the reference's
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
	byPeers := map[peers]map[string]*schemaGroup{}
	var order []peers
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
		sets = append(sets, comparisonSet{groups[0], groups[1:], groups[0].has(referenceID)})
	}
	slices.SortStableFunc(sets, func(a, b comparisonSet) int { return cmp.Compare(b.size(), a.size()) })
	return sets
}

// compareGroups orders groups so that the norm comes first.
func compareGroups(a, b schemaGroup, referenceID string) int {
	has := func(g schemaGroup) int {
		if g.has(referenceID) {
			return 0
		}
		return 1
	}
	x, y := a.newest(), b.newest()
	return cmp.Or(has(a)-has(b), len(b.members)-len(a.members), cmp.Compare(len(y), len(x)), cmp.Compare(y, x),
		cmp.Compare(a.members[0].tenant.Key, b.members[0].tenant.Key),
		cmp.Compare(a.members[0].tenant.ID, b.members[0].tenant.ID))
}

// has reports whether the tenant with that id is in the group.
func (g schemaGroup) has(id string) bool {
	return id != "" && slices.ContainsFunc(g.members, func(s observation) bool { return s.tenant.ID == id })
}

// newest is the group's highest version, without leading zeros.
func (g schemaGroup) newest() string {
	best := ""
	for _, s := range g.members {
		if v := strings.TrimLeft(s.version, "0"); len(v) > len(best) || len(v) == len(best) && v > best {
			best = v
		}
	}
	return best
}

// alone returns the name of the only tenant of a set, which was compared with nobody; "" if there are more.
func (c comparisonSet) alone() string {
	if len(c.others) > 0 || len(c.norm.members) != 1 || c.norm.size() == 0 {
		return ""
	}
	return c.norm.members[0].tenant.Name
}

// tie says which of several groups of the same size is the norm, and why; "" if one is the largest, or was chosen.
func (c comparisonSet) tie() string {
	largest := 1
	for _, g := range c.others {
		if len(g.members) == len(c.norm.members) {
			largest++
		}
	}
	if c.chosen || largest == 1 {
		return ""
	}
	why := "whose key comes first"
	if c.norm.newest() != c.others[0].newest() {
		why = "which has the highest version"
	}
	return fmt.Sprintf("%d groups of %s each are the largest: the norm is that of %s, %s; name a reference-tenant to "+
		"choose another", largest, words.Count(len(c.norm.members), "tenant", "tenants"),
		c.norm.members[0].tenant.Name, why)
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
		for _, one := range d.Extensions {
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
