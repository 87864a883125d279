package action

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// choiceOf is the choice of these inputs; everything that is not given has action.yml's default.
func choiceOf(t *testing.T, tenants, canary, shard string) choice {
	t.Helper()
	c := choice{keys: fleet.KeyByName, minTenants: 1, tenantsInput: tenants, canaryInput: canary}
	var err error
	if c.selection, err = fleet.ParseSelection(strings.Fields(tenants)); err != nil {
		t.Fatal(err)
	}
	if canary != "" {
		if c.canary, err = fleet.ParseCanary(strings.Fields(canary)); err != nil {
			t.Fatal(err)
		}
	}
	if shard != "" {
		if c.shard, err = fleet.ParseShard(shard); err != nil {
			t.Fatal(err)
		}
	}
	return c
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
	}{
		"all, by their keys": {choice: choiceOf(t, "*", "", ""), want: "Acme Globex Initech test-1", whole: true},
		"incomplete": {choice: choiceOf(t, "*", "", ""), incomplete: true,
			want: "Acme Globex Initech test-1"},
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
		got, err := c.choice.choose(tenantsNamed(all...), !c.incomplete)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if names := namesOf(got.Tenants); names != c.want || got.canaries != c.canaries ||
			strings.Join(got.idle, " ") != c.idle || got.Whole != c.whole {
			t.Errorf("%s: got %q, %d canaries, idle %q, whole %t", name, names, got.canaries, got.idle, got.Whole)
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
		got, err := choiceOf(t, "*", "", shard).choose(all, true)
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
		choice choice
		all    []string
		want   string
	}{
		"fewer than expected":      {few, []string{"Acme", "Globex"}, "found 2 tenants, fewer than min-tenants: 3"},
		"one where more should be": {few, []string{"Acme"}, "found 1 tenant, fewer than min-tenants: 3"},
		"none at all":              {choiceOf(t, "*", "", ""), nil, "found 0 tenants, fewer than min-tenants: 1"},
		"nothing selected":         {empty, []string{"Acme"}, `tenants: "nobody" selects none of the 1 tenants found`},
		"no canary selected": {choiceOf(t, "Acme", "Globex", ""), []string{"Acme", "Globex"},
			`canary: "Globex" is none of the 1 selected tenants`},
		"two of one key": {choiceOf(t, "*", "", ""), []string{"Acme", "acme!"},
			"tenants cannot be told apart by their names"},
		"one is not selected": {choiceOf(t, "Acme", "", ""), []string{"Acme", "acme!"},
			"tenants cannot be told apart by their names"},
	} {
		if _, err := c.choice.choose(tenantsNamed(c.all...), true); err == nil ||
			!strings.Contains(err.Error(), c.want) || fleet.Remedy(err) == "" {
			t.Errorf("%s: got %v (%s)", name, err, fleet.Remedy(err))
		}
	}
	empty.allowEmpty = true
	if got, err := empty.choose(tenantsNamed("Acme"), true); err != nil || len(got.Tenants) != 0 || len(got.All) != 1 {
		t.Errorf("allow-empty: %+v, %v", got, err)
	}
	// Tenants that nobody selects may share a key.
	if got, err := choiceOf(t, "Globex", "", "").choose(tenantsNamed("Acme", "acme!", "Globex"), true); err != nil ||
		namesOf(got.Tenants) != "Globex" {
		t.Errorf("keys of others: %+v, %v", got, err)
	}
}

// A mode that picks its tenants itself may pick one that does not exist yet.
func TestNamed(t *testing.T) {
	byID := choice{keys: fleet.KeyByID}
	byName := choice{keys: fleet.KeyByName}
	acme := fleet.Tenant{Name: "Acme", ID: "id-acme"}
	for name, c := range map[string]struct {
		choice choice
		picked fleet.Tenant
		want   fleet.Tenant
		err    string
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
			err: "tenants cannot be told apart"},
	} {
		found, err := c.choice.named(tenantsNamed("Acme", "Globex"), []fleet.Tenant{c.picked})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		if diff := cmp.Diff([]fleet.Tenant{c.want}, found.Tenants); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		if len(found.All) != 2 || found.All[1].Key == "" || found.Whole {
			t.Errorf("%s: of all tenants there are %+v", name, found.All)
		}
	}
}

func TestAnnouncement(t *testing.T) {
	for want, c := range map[string]struct {
		all, chosen, canaries int
		shard                 fleet.Shard
		concurrency           int
	}{
		"found 5 tenants; 5 at once":              {all: 5, chosen: 5, concurrency: 32},
		"found 1 tenant; 1 at once":               {all: 1, chosen: 1, concurrency: 32},
		"found 50 tenants, selected 3; 2 at once": {all: 50, chosen: 3, concurrency: 2},
		"found 5 tenants, selected 0; 1 at once":  {all: 5, concurrency: 32},
		"found 50 tenants, selected 20 in shard 2/3, 2 of them first as canaries; 8 at once": {
			all: 50, chosen: 20, canaries: 2, shard: fleet.Shard{Index: 2, Count: 3}, concurrency: 8,
		},
	} {
		if got := announcement(c.all, c.chosen, c.canaries, c.shard, c.concurrency); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
