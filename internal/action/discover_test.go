package action

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
)

// choiceOf is the choice of these inputs, whose entries are separated by blanks; everything that is not given has
// action.yml's default.
func choiceOf(t *testing.T, tenants, canary, shard string) choice {
	t.Helper()
	lines := func(text string) string { return strings.Join(strings.Fields(text), "\n") }
	c := choice{keys: fleet.KeyByName, minTenants: 1, tenantsInput: lines(tenants), canaryInput: lines(canary)}
	if shard != "" {
		var err error
		if c.shard, err = fleet.ParseShard(shard); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// restoring is a choice of exactly one tenant.
func restoring(c choice) choice {
	c.soleTenantMode = "restore"
	return c
}

// unread is a listing that lacks a tenant of which only the id is known; nil if complete is true.
func unread(complete bool) *fleet.IncompleteError {
	if complete {
		return nil
	}
	return &fleet.IncompleteError{Missing: []string{"id-unread"}}
}

// tenantsNamed are listed tenants, whose ids are their names in lower case behind "id-".
func tenantsNamed(names ...string) (tenants []fleet.Tenant) {
	for _, name := range names {
		tenants = append(tenants, fleet.Tenant{Name: name, ID: "id-" + strings.ToLower(name)})
	}
	return tenants
}

func namesOf(tenants []fleet.Tenant) string {
	var names []string
	for _, t := range tenants {
		names = append(names, t.Name)
	}
	return strings.Join(names, " ")
}

func TestChoose(t *testing.T) {
	all := []string{"Globex", "Acme", "Initech", "test-1"}
	for name, c := range map[string]struct {
		choice     choice
		incomplete bool
		want       string // names, in order
		canaries   int
		idle       string
		whole      bool
		warnings   []string // what they begin with
	}{
		"all, by their keys": {choice: choiceOf(t, "*", "", ""), want: "Acme Globex Initech test-1", whole: true},
		"incomplete": {choice: choiceOf(t, "*", "", ""), incomplete: true,
			want: "Acme Globex Initech test-1", warnings: []string{"nothing is pruned, because not every tenant"}},
		"a tenant that could not be read": {choice: choiceOf(t, "Acme id-unread nobody", "", ""), incomplete: true,
			want: "Acme", idle: "nobody", warnings: []string{"nothing is pruned, because not every tenant"}},
		"exactly one, by its id": {choice: restoring(choiceOf(t, "id-acme", "", "")), incomplete: true,
			want: "Acme", warnings: []string{"nothing is pruned, because not every tenant"}},
		"a canary that is not selected": {choice: choiceOf(t, "Acme Globex", "Globex Initech", ""),
			want: "Globex Acme", canaries: 1,
			warnings: []string{`canary: the pattern "Initech" matches none of the 2 selected tenants`}},
		"selected": {choice: choiceOf(t, "* !test-*", "", ""), want: "Acme Globex Initech"},
		"by id":    {choice: choiceOf(t, "id-acme", "", ""), want: "Acme"},
		"patterns without a match": {choice: choiceOf(t, "Acme nobody none", "", ""), want: "Acme",
			idle: "nobody none"},
		"canaries by name": {choice: choiceOf(t, "*", "Initech", ""), want: "Initech Acme Globex test-1",
			canaries: 1, whole: true},
		"canaries by count": {choice: choiceOf(t, "*", "2", ""), want: "Acme Globex Initech test-1", canaries: 2,
			whole: true},
		"the only shard": {choice: choiceOf(t, "*", "", "1/1"), want: "Acme Globex Initech test-1",
			whole: true},
	} {
		got, err := c.choice.choose(tenantsNamed(all...), unread(!c.incomplete))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if names := namesOf(got.Tenants); names != c.want || got.Waves.Canaries() != c.canaries ||
			strings.Join(got.idle, " ") != c.idle || got.Whole != c.whole || got.Incomplete != c.incomplete {
			t.Errorf("%s: got %q, %d canaries, idle %q, whole %t, incomplete %t",
				name, names, got.Waves.Canaries(), got.idle, got.Whole, got.Incomplete)
		}
		if !slices.EqualFunc(got.warnings, c.warnings, strings.HasPrefix) {
			t.Errorf("%s: warnings %q, want %q", name, got.warnings, c.warnings)
		}
		if len(got.All) != len(all) || got.All[0].Key != "globex" {
			t.Errorf("%s: of all tenants there are %+v", name, got.All)
		}
	}
}

func TestChooseShards(t *testing.T) {
	all := tenantsNamed("a", "b", "c", "d", "e", "f", "g", "h")
	seen := map[string]int{}
	for _, shard := range []string{"1/3", "2/3", "3/3"} {
		got, err := choiceOf(t, "*", "", shard).choose(all, nil)
		if err != nil || got.Whole || len(got.All) != len(all) {
			t.Errorf("%s: %+v, %v", shard, got, err)
		}
		for _, one := range got.Tenants {
			seen[one.Name]++
		}
	}
	for _, one := range all {
		if seen[one.Name] != 1 {
			t.Errorf("%s is in %d shards", one.Name, seen[one.Name])
		}
	}
}

func TestChooseRefuses(t *testing.T) {
	few := choiceOf(t, "*", "", "")
	few.minTenants = 3
	empty := choiceOf(t, "nobody", "", "")
	for name, c := range map[string]struct {
		choice     choice
		all        []string
		want       string
		incomplete bool
	}{
		"fewer than expected": {choice: few, all: []string{"Acme", "Globex"},
			want: "found 2 tenants, fewer than min-tenants: 3"},
		"one where more should be": {choice: few, all: []string{"Acme"},
			want: "found 1 tenant, fewer than min-tenants: 3"},
		"none at all": {choice: choiceOf(t, "*", "", ""), want: "found 0 tenants, fewer than min-tenants: 1"},
		"nothing selected": {choice: empty, all: []string{"Acme"},
			want: `tenants: "nobody" selects none of the 1 tenants found`},
		"no canary selected": {choice: choiceOf(t, "Acme", "Globex", ""), all: []string{"Acme", "Globex"},
			want: `canary: "Globex" is none of the 1 selected tenants`},
		"two of one key": {choice: choiceOf(t, "*", "", ""), all: []string{"Acme", "acme!"},
			want: "tenants cannot be told apart by their names"},
		"one is not selected": {choice: choiceOf(t, "Acme", "", ""), all: []string{"Acme", "acme!"},
			want: "tenants cannot be told apart by their names"},
		"a pattern without a match, of exactly one": {choice: restoring(choiceOf(t, "Acme nobody", "", "")),
			all:  []string{"Acme"},
			want: `"nobody" matches none of the 1 tenants found, and restore works on exactly one tenant`},
		"perhaps not the only one": {choice: restoring(choiceOf(t, "Acme", "", "")), all: []string{"Acme"},
			incomplete: true, want: `tenants: not every tenant could be listed, so "Acme" may select others too`},
	} {
		if _, err := c.choice.choose(tenantsNamed(c.all...), unread(!c.incomplete)); err == nil ||
			!strings.Contains(err.Error(), c.want) || fleet.Remedy(err) == "" {
			t.Errorf("%s: got %v (%s)", name, err, fleet.Remedy(err))
		}
	}
	empty.allowEmpty = true
	if got, err := empty.choose(tenantsNamed("Acme"), nil); err != nil || len(got.Tenants) != 0 || len(got.All) != 1 {
		t.Errorf("allow-empty: %+v, %v", got, err)
	}
	// Tenants that nobody selects may share a key.
	if got, err := choiceOf(t, "Globex", "", "").choose(tenantsNamed("Acme", "acme!", "Globex"), nil); err != nil ||
		namesOf(got.Tenants) != "Globex" {
		t.Errorf("keys of others: %+v, %v", got, err)
	}
}

// Canaries guard each shard by itself: one that has tenants and none of the canaries does not start.
func TestChooseCanariesOfAShard(t *testing.T) {
	all := tenantsNamed("a", "b", "c", "d", "e", "f", "g", "h")
	guarded := 0
	for _, shard := range []string{"1/3", "2/3", "3/3"} {
		got, err := choiceOf(t, "*", "a", shard).choose(all, nil)
		switch {
		case err == nil && got.Waves.Canaries() == 1 && got.Tenants[0].Name == "a":
			guarded++
		case err == nil || !strings.Contains(err.Error(), "of shard "+shard+", which would start unguarded") ||
			!strings.Contains(fleet.Remedy(err), "give a count"):
			t.Errorf("%s: %d canaries of %q, %v", shard, got.Waves.Canaries(), namesOf(got.Tenants), err)
		}
		if got, err := choiceOf(t, "*", "1", shard).choose(all, nil); err != nil || got.Waves.Canaries() != 1 {
			t.Errorf("%s: a count gives %d canaries, %v", shard, got.Waves.Canaries(), err)
		}
		one := choiceOf(t, "a", "a", shard)
		one.allowEmpty = true
		if got, err := one.choose(all, nil); err != nil || got.Waves.Canaries() != len(got.Tenants) {
			t.Errorf("%s: of one tenant, %d canaries of %q, %v", shard, got.Waves.Canaries(), namesOf(got.Tenants), err)
		}
	}
	if guarded != 1 {
		t.Errorf("%d shards have the canary", guarded)
	}
}

// Only the error about a listing that lacks tenants knows what to do about them.
func TestChooseATenantThatCouldNotBeRead(t *testing.T) {
	_, err := choiceOf(t, "id-unread", "", "").choose(tenantsNamed("Acme"), unread(false))
	if err == nil || !strings.Contains(err.Error(), "selects none of the 1 tenants found") || fleet.Remedy(err) != "" {
		t.Errorf("got %v (%s)", err, fleet.Remedy(err))
	}
	byID := choiceOf(t, "*", "", "")
	byID.keys = fleet.KeyByID
	_, err = byID.choose([]fleet.Tenant{{Name: "Acme", ID: "id-unread"}}, unread(false))
	if err == nil || !strings.Contains(err.Error(), "id-unread, which could not be read, have the same key") {
		t.Errorf("keys: %v", err)
	}
	if got, err := byID.choose(tenantsNamed("Acme"), unread(false)); err != nil ||
		!slices.Equal(got.warnings, []string{"nothing is pruned, because not every tenant could be read"}) {
		t.Errorf("by id: %q, %v", got.warnings, err)
	}
}

// A user learns of the mistakes of both inputs at once.
func TestChooseNamesEveryMistake(t *testing.T) {
	_, err := choiceOf(t, "[a", "[b", "").choose(tenantsNamed("Acme"), nil)
	var mistakes *input.Error
	if !errors.As(err, &mistakes) || len(mistakes.Mistakes) != 2 ||
		!strings.HasPrefix(mistakes.Mistakes[0], `tenants: the pattern "[a" has`) ||
		!strings.HasPrefix(mistakes.Mistakes[1], `canary: the pattern "[b" has`) {
		t.Errorf("got %v", err)
	}
}

// A mode that picks its tenants itself may pick one that does not exist yet.
func TestNamed(t *testing.T) {
	byID := choice{keys: fleet.KeyByID}
	byName := choice{keys: fleet.KeyByName}
	acme := fleet.Tenant{Name: "Acme", ID: "id-acme"}
	for name, c := range map[string]struct {
		choice     choice
		picked     fleet.Tenant
		want       fleet.Tenant
		err        string
		incomplete bool
	}{
		"listed": {choice: byName, picked: acme,
			want: fleet.Tenant{Name: "Acme", ID: "id-acme", Key: "acme"}},
		"listed, by id": {choice: byID, picked: acme,
			want: fleet.Tenant{Name: "Acme", ID: "id-acme", Key: "id-acme"}},
		"new": {choice: byName, picked: fleet.Tenant{Name: "Initech"},
			want: fleet.Tenant{Name: "Initech", Key: "initech"}},
		"new, by an id to come": {choice: byID, picked: fleet.Tenant{Name: "Initech"},
			want: fleet.Tenant{Name: "Initech"}},
		"new, and its key is not": {choice: byName, picked: fleet.Tenant{Name: "acme!"},
			err: `tenant-name: a tenant "Acme" exists, whose key would be the same as that of "acme!": acme`},
		"new, and its key is another's id": {choice: byName, picked: fleet.Tenant{Name: "Id Acme"},
			want: fleet.Tenant{Name: "Id Acme", Key: "id-acme"}},
		"listed, of an incomplete listing": {choice: byName, picked: acme, incomplete: true,
			want: fleet.Tenant{Name: "Acme", ID: "id-acme", Key: "acme"}},
		"new, or perhaps not": {choice: byID, picked: fleet.Tenant{Name: "Initech"}, incomplete: true,
			err: `not every tenant could be listed, so there may be one named "Initech"`},
	} {
		found, err := c.choice.named(tenantsNamed("Acme", "Globex"), []fleet.Tenant{c.picked}, unread(!c.incomplete))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(fleet.Remedy(err), "tenant-key") {
				t.Errorf("%s: got %v (%s)", name, err, fleet.Remedy(err))
			}
			continue
		}
		if diff := cmp.Diff([]fleet.Tenant{c.want}, found.Tenants); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		if len(found.All) != 2 || found.All[1].Key == "" || found.Whole || found.Incomplete != c.incomplete {
			t.Errorf("%s: of all tenants there are %+v", name, found.All)
		}
	}
}

func TestAnnouncement(t *testing.T) {
	found := func(tenants int, waves ...fleet.Wave) mode.Found {
		return mode.Found{Tenants: make([]fleet.Tenant, tenants), Waves: waves}
	}
	for want, c := range map[string]struct {
		all         int
		found       mode.Found
		shard       fleet.Shard
		concurrency int
	}{
		"found 5 tenants; 5 at once":              {all: 5, found: found(5), concurrency: 32},
		"found 1 tenant; 1 at once":               {all: 1, found: found(1), concurrency: 32},
		"found 50 tenants, selected 3; 2 at once": {all: 50, found: found(3), concurrency: 2},
		"found 5 tenants, selected 0; 1 at once":  {all: 5, found: found(0), concurrency: 32},
		"found 50 tenants, selected 20 in shard 2/3, 2 of them first as canaries, in 2 waves of 2, 18; 8 at once": {
			all: 50, found: found(20, fleet.Wave{Size: 2, Canary: true}, fleet.Wave{Size: 18}),
			shard: fleet.Shard{Index: 2, Count: 3}, concurrency: 8,
		},
		"found 50 tenants, in 2 waves of 1, 4, and 45 beyond the last; 32 at once": {
			all: 50, found: found(50, fleet.Wave{Size: 1}, fleet.Wave{Size: 4}), concurrency: 32,
		},
	} {
		if got := announcement(c.all, c.found, c.shard, c.concurrency); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// An entry that matches nobody names the tenant that it most likely means. Only where nobody may rightly match is
// allow-empty a remedy.
func TestChooseNamesTheTenantThatIsMeant(t *testing.T) {
	all := []fleet.Tenant{{Name: "ACME Corp", ID: "id-acme"}, {Name: "Globex", ID: "id-globex"}}
	for tenants, want := range map[string]string{
		"acme corp":      `letter case counts); did you mean "ACME Corp"?`,
		"Globx":          `letter case counts); did you mean "Globex"?`,
		"nobody":         "letter case counts)",
		"trial-*":        "letter case counts); if there may be none, set allow-empty: true",
		`["nobody"]`:     "letter case counts); if there may be none, set allow-empty: true",
		"[]":             "letter case counts); if there may be none, set allow-empty: true",
		"Globex\n!Glob*": "letter case counts); if there may be none, set allow-empty: true",
	} {
		_, err := choice{keys: fleet.KeyByName, minTenants: 1, tenantsInput: tenants}.choose(slices.Clone(all), nil)
		if got := fleet.Remedy(err); !strings.HasSuffix(got, want) {
			t.Errorf("%q: %v: %s", tenants, err, got)
		}
	}
}

// Who gives allow-empty expects that there may be no tenants at all. What such a listing lacks is not pruned.
func TestChooseAmongNoTenants(t *testing.T) {
	for name, c := range map[string]struct {
		allowEmpty bool
		minTenants int
		want       string // of the error
		whole      bool
	}{
		"by default":          {false, 1, "found 0 tenants, fewer than min-tenants: 1", false},
		"allow-empty":         {true, 1, "", false},
		"and none is enough":  {true, 0, "", true},
		"and more are needed": {true, 2, "found 0 tenants, fewer than min-tenants: 2", false},
		"none is enough":      {false, 0, `tenants: "*" selects none of the 0 tenants found`, false},
	} {
		choice := choiceOf(t, "*", "", "")
		choice.allowEmpty, choice.minTenants = c.allowEmpty, c.minTenants
		got, err := choice.choose(nil, nil)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != c.want || got.Whole != c.whole || len(got.Tenants) > 0 {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
}
