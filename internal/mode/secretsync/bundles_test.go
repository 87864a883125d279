package secretsync

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/secrets"
)

const bundle1, bundle2, bundle3 = "NEON_TENANTS_BUNDLE_1", "NEON_TENANTS_BUNDLE_2", "NEON_TENANTS_BUNDLE_3"

// large makes the connection string of a tenant so long that two fit into a bundle and three don't.
func large(key string) string { return "postgresql://" + key + "/" + strings.Repeat("x", 20_000) }

// largest makes it so long that no other fits beside it.
func largest(key string) string { return "postgresql://" + key + "/" + strings.Repeat("x", 48_000) }

// bundle is what the jobs resolve, or what a bundle holds, by key.
type bundle map[string]string

// small are short connection strings for tenants.
func small(keys ...string) bundle {
	b := bundle{}
	for _, key := range keys {
		b[key] = "postgresql://" + key
	}
	return b
}

// with returns a copy in which a tenant has this connection string.
func (b bundle) with(key, value string) bundle {
	b = maps.Clone(b)
	b[key] = value
	return b
}

// packedBefore is what a sync remembers that wrote these bundles.
func packedBefore(bundles map[int]bundle) past {
	values := map[string]string{}
	for n, members := range bundles {
		values[secrets.BundleName(n)] = secrets.EncodeBundle(members)
	}
	p := wrote(values)
	for n, members := range bundles {
		for key, value := range members {
			p.state.Members[keyring.Name(key)] = secrets.Member{Value: keyring.Value(key, value), Bundle: n}
		}
	}
	return p
}

// forgetting is a past that had too many members to remember.
func (p past) forgetting() past {
	p.state.Members = nil
	return p
}

var actions = map[bundleAction]string{keepBundle: "keep", writeBundle: "write", deleteBundle: "delete"}

// text writes a step as the tables do: "1 write", "2 delete, gives".
func (s bundleStep) text() string {
	text := fmt.Sprintf("%d %s", s.bundle, actions[s.action])
	if s.gives {
		text += ", gives"
	}
	if s.loses {
		text += ", loses"
	}
	return text
}

func (b bundlePlan) texts() (texts []string) {
	for _, s := range b.steps {
		texts = append(texts, s.text())
	}
	return texts
}

func TestPack(t *testing.T) {
	prune := settings{prune: true, maxPrune: 10}
	one := packedBefore(map[int]bundle{1: small("acme", "globex")})
	withGone := packedBefore(map[int]bundle{1: small("acme", "globex", "gone")})
	for what, c := range map[string]struct {
		in      settings
		past    past
		listed  map[string]time.Time // nil: what the last sync wrote
		part    bool                 // not all tenants are known
		values  bundle               // what the run's jobs resolved
		failed  []string             // tenants whose jobs failed
		outside []string             // tenants that are not in this run

		place  map[string]int
		locked []int
		steps  []string
		strays []string
		remedy string // of the locked bundle, or of the error
		fails  string
	}{
		"the first sync": {
			past: unknown(), values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write"},
		},
		"nothing changed": {
			past: one, values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 keep"},
		},
		"a new password rewrites one bundle": {
			past:   packedBefore(map[int]bundle{1: {"a": large("a"), "b": large("b")}, 2: {"c": large("c"), "d": large("d")}}),
			values: bundle{"a": large("a"), "b": large("b"), "c": large("c"), "d": large("e")},
			place:  map[string]int{"a": 1, "b": 1, "c": 2, "d": 2}, steps: []string{"1 keep", "2 write"},
		},
		"a new tenant": {
			past: one, values: small("acme", "globex", "new"),
			place: map[string]int{"acme": 1, "globex": 1, "new": 1}, steps: []string{"1 write"},
		},
		"edited since": {
			past: one, listed: listedAt(lastSync.Add(time.Second), bundle1), values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write"},
		},
		"deleted since": {
			past: one, listed: listedAt(lastSync), values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write"},
		},

		"a tenant failed": {
			past: one, values: small("acme").with("acme", "postgresql://new"), failed: []string{"globex"},
			place: map[string]int{"acme": 1}, locked: []int{1}, remedy: "fix the tenants that failed",
		},
		"a tenant failed, and another is new": {
			past: one, values: small("acme", "new"), failed: []string{"globex"},
			place: map[string]int{"acme": 1, "new": 2}, locked: []int{1}, steps: []string{"2 write"},
			remedy: "fix the tenants that failed",
		},
		"a tenant that failed is in no bundle yet": {
			past: one, values: small("acme", "globex"), failed: []string{"new"},
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 keep"},
		},
		"a tenant is not in this run": {
			past: one, part: true, values: small("acme"), outside: []string{"globex"},
			place: map[string]int{"acme": 1}, locked: []int{1}, remedy: "run again, over all tenants",
		},

		"a tenant is gone": {
			in: prune, past: withGone, values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write, loses"},
		},
		"a tenant is gone, and nobody asked for pruning": {
			in: settings{maxPrune: 10}, past: withGone, values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 keep, loses"},
		},
		"a tenant is gone, and another has a new password": {
			in: settings{maxPrune: 10}, past: withGone, values: small("acme", "globex").with("acme", "postgresql://new"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write, loses"},
		},
		"a tenant is gone, and another is new": {
			in: settings{maxPrune: 10}, past: withGone, values: small("acme", "globex", "new"),
			place: map[string]int{"acme": 1, "globex": 1, "new": 1}, steps: []string{"1 write, loses"},
		},
		"a tenant is gone, and another moves away": {
			in:     settings{maxPrune: 10},
			past:   packedBefore(map[int]bundle{1: {"a": large("a"), "b": large("b"), "gone": "postgresql://gone"}}),
			values: bundle{"a": large("a"), "b": largest("b")},
			place:  map[string]int{"a": 1, "b": 2}, steps: []string{"2 write", "1 write, gives, loses"},
		},
		"a tenant is gone, and so is its bundle": {
			in: settings{maxPrune: 10}, past: withGone, listed: listedAt(lastSync), values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write, loses"},
		},
		"more are gone than may be, and nobody asked for pruning": {
			past: withGone, values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, locked: []int{1}, remedy: "if more than max-prune (0) are, raise it",
		},
		"a tenant may be gone": {
			in: prune, past: withGone, part: true, values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, locked: []int{1}, remedy: "run over all tenants",
		},
		"a tenant may be gone, and another failed": {
			in: prune, past: withGone, part: true, values: small("acme"), failed: []string{"globex"},
			place: map[string]int{"acme": 1}, locked: []int{1}, remedy: "fix the tenants that failed",
		},
		"a tenant is gone, and another failed": {
			in: prune, past: packedBefore(map[int]bundle{1: small("acme", "gone"), 2: small("globex")}),
			values: small("acme").with("acme", "postgresql://new"), failed: []string{"globex"},
			place: map[string]int{"acme": 1}, locked: []int{1, 2}, remedy: "fix the tenants that failed",
		},
		"a tenant is gone, and its new name failed": {
			in: prune, past: withGone, values: small("acme", "globex"), failed: []string{"renamed"},
			place: map[string]int{"acme": 1, "globex": 1}, locked: []int{1}, remedy: "fix the tenants that failed",
		},
		"two tenants are gone from two bundles, and two are new": {
			in: prune, past: packedBefore(map[int]bundle{
				1: {"a": large("a"), "x": large("x")}, 2: {"b": large("b"), "y": large("y")},
			}),
			values: bundle{"a": large("a"), "b": large("b"), "c": large("c"), "d": large("d")},
			place:  map[string]int{"a": 1, "b": 2, "c": 3, "d": 3},
			steps:  []string{"3 write", "1 write, loses", "2 write, loses"},
		},
		"all tenants of a bundle are gone": {
			in: prune, past: packedBefore(map[int]bundle{1: small("acme"), 2: small("gone")}), values: small("acme"),
			place: map[string]int{"acme": 1}, steps: []string{"1 keep", "2 delete, loses"},
		},
		"all tenants of a bundle are gone, and nobody asked for pruning": {
			in: settings{maxPrune: 10}, past: packedBefore(map[int]bundle{1: small("acme"), 2: small("gone")}),
			values: small("acme"),
			place:  map[string]int{"acme": 1}, steps: []string{"1 keep", "2 keep, loses"},
		},
		"a bundle that does not hold what its members say": {
			in: settings{maxPrune: 10}, past: wroteNames(bundle1, bundle2).inBundles(map[string]int{"acme": 1, "gone": 2}),
			values: bundle{"acme": "v"},
			place:  map[string]int{"acme": 1}, steps: []string{"1 write", "2 keep, loses"},
		},

		"a tenant outgrows its bundle": {
			past:   packedBefore(map[int]bundle{1: {"a": large("a"), "b": large("b")}}),
			values: bundle{"a": large("a"), "b": largest("b")},
			place:  map[string]int{"a": 1, "b": 2}, steps: []string{"2 write", "1 write, gives"},
		},
		"fewer bundles are needed": {
			in: prune, past: packedBefore(map[int]bundle{1: small("acme"), 2: small("globex")}), values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write", "2 delete, gives"},
		},
		"fewer bundles are needed, and nobody asked for pruning": {
			past: packedBefore(map[int]bundle{1: small("acme"), 2: small("globex")}), values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write", "2 write, gives"},
		},
		"fewer bundles are needed, and one was deleted since": {
			in: prune, past: packedBefore(map[int]bundle{1: small("acme"), 2: small("globex")}),
			listed: listedAt(lastSync, bundle1),
			values: small("acme", "globex"),
			place:  map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write", "2 keep, gives"},
		},

		"the state is lost": {
			past: unknown(), listed: listedAt(lastSync, bundle1, bundle2, bundle3), values: small("acme"),
			place: map[string]int{"acme": 1}, steps: []string{"1 write"}, strays: []string{bundle2, bundle3},
		},
		"the state is lost, and a tenant failed": {
			past: unknown(), listed: listedAt(lastSync, bundle1), values: small("acme"), failed: []string{"globex"},
			fails:  "this run does not have the connection strings of 1 tenant, and it is not known which bundles hold them",
			remedy: "fix the tenants",
		},
		"the state is lost, a tenant failed, and there is no bundle": {
			past: unknown(), values: small("acme"), failed: []string{"globex"}, place: map[string]int{"acme": 1},
			steps: []string{"1 write"},
		},
		"there were too many tenants to remember": {
			past:   packedBefore(map[int]bundle{1: small("acme"), 2: small("globex")}).forgetting(),
			values: small("acme", "globex"),
			place:  map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 write", "2 write"},
		},
		"there were too many tenants to remember, and one failed": {
			past: one.forgetting(), values: small("acme"), failed: []string{"globex"},
			fails: "it is not known which bundles hold them",
		},
		"nothing is ever remembered": {
			listed: listedAt(lastSync, bundle1, bundle2), values: small("acme"),
			place: map[string]int{"acme": 1}, steps: []string{"1 write"}, strays: []string{bundle2},
		},
		"a bundle of somebody else": {
			past: one, listed: listedAt(lastSync, bundle1, bundle3), values: small("acme", "globex"),
			place: map[string]int{"acme": 1, "globex": 1}, steps: []string{"1 keep"}, strays: []string{bundle3},
		},
		"no room": {
			past: unknown(), listed: others(100), values: small("acme"),
			fails: "repository acme/app would have 101 secrets", remedy: "delete secrets that nobody needs",
		},
		"a connection string that fits into no bundle": {
			past: unknown(), values: small("acme").with("acme", strings.Repeat("x", secrets.Fill)),
			fails: "the connection string of acme",
		},
	} {
		t.Run(what, func(t *testing.T) {
			c.in.bundled, c.in.template = true, template(t)
			if c.listed == nil {
				c.listed = listedAt(lastSync)
				for _, name := range []string{bundle1, bundle2, bundle3} {
					if c.past.ours(name) {
						c.listed[name] = lastSync
					}
				}
			}
			tenants := append(slices.Sorted(maps.Keys(c.values)), c.failed...)
			p, err := newPlan(c.in, situation{
				scope: repository, listed: c.listed, past: c.past, tenants: tenants, all: append(tenants, c.outside...),
				whole: !c.part,
			})
			if err != nil {
				t.Fatal(err)
			}
			b, err := p.pack(c.values)
			if c.fails != "" {
				fails(t, err, c.fails, c.remedy)
				return
			}
			fails(t, err, "", "")
			equal(t, "place", b.place, c.place)
			equal(t, "locked", slices.Sorted(maps.Keys(b.locked)), c.locked)
			equal(t, "steps", b.texts(), c.steps)
			equal(t, "strays", b.strays, c.strays)
			for _, n := range c.locked {
				fails(t, b.locked[n], "is left as it is", c.remedy)
			}
		})
	}
}

// What a step writes is what its tenants have now, and nobody else's.
func TestValuesOfSteps(t *testing.T) {
	p, err := newPlan(settings{bundled: true, template: template(t), prune: true, maxPrune: 1}, situation{
		scope: repository, listed: listedAt(lastSync, bundle1), past: packedBefore(map[int]bundle{1: small("acme", "gone")}),
		tenants: []string{"acme"}, all: []string{"acme"}, whole: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.pack(small("acme"))
	if err != nil || len(b.steps) != 1 {
		t.Fatalf("%v, steps %v", err, b.texts())
	}
	equal(t, "name", b.steps[0].name, bundle1)
	equal(t, "value", b.steps[0].value, `{"acme":"postgresql://acme"}`)
}

func TestMemberOfABundle(t *testing.T) {
	one := packedBefore(map[int]bundle{1: small("acme")})
	for what, c := range map[string]struct {
		past   past
		listed map[string]time.Time
		value  string
		want   string
	}{
		"as the last sync left it": {one, listedAt(lastSync, bundle1), "postgresql://acme", unchanged},
		"a new password":           {one, listedAt(lastSync, bundle1), "postgresql://new", updated},
		"its bundle was edited":    {one, listedAt(lastSync.Add(time.Second), bundle1), "postgresql://acme", updated},
		"its bundle was deleted":   {one, nil, "postgresql://acme", created},
		"it is in none": {
			packedBefore(map[int]bundle{1: small("globex")}), listedAt(lastSync, bundle1), "postgresql://acme", created,
		},
		"the state is lost":          {unknown(), listedAt(lastSync, bundle1), "postgresql://acme", updated},
		"the first sync":             {unknown(), listedAt(lastSync, "OTHER"), "postgresql://acme", created},
		"too many to remember":       {one.forgetting(), listedAt(lastSync, bundle1), "postgresql://acme", updated},
		"nothing is ever remembered": {past{}, listedAt(lastSync, bundle1), "postgresql://acme", updated},
	} {
		p := &plan{situation: situation{past: c.past, listed: c.listed}, bundles: bundlesAmong(c.listed)}
		if got := p.member("acme", c.value); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}

func TestCheckBundles(t *testing.T) {
	one := packedBefore(map[int]bundle{1: small("acme")})
	for what, c := range map[string]struct {
		past   past
		whole  bool
		listed []string
		fails  bool
	}{
		"a part, of what is known":                      {one, false, []string{bundle1}, false},
		"a part, and somebody else's bundle":            {one, false, []string{bundle1, bundle2}, true},
		"a part, and there were too many to remember":   {one.forgetting(), false, []string{bundle1}, true},
		"a part, and the state is lost":                 {unknown(), false, []string{bundle1}, true},
		"a part, and there is no bundle":                {unknown(), false, []string{"OTHER"}, false},
		"all, and the state is lost":                    {unknown(), true, []string{bundle1}, false},
		"all, and there were too many to remember":      {one.forgetting(), true, []string{bundle1}, false},
		"a part, and nothing is ever remembered":        {past{}, false, []string{bundle2}, true},
		"a part, and a bundle that was deleted by hand": {one, false, nil, false},
	} {
		p := &plan{situation: situation{past: c.past, whole: c.whole}, bundles: bundlesAmong(listedAt(lastSync, c.listed...))}
		if err := p.checkBundles(); (err != nil) != c.fails {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What is known about members goes on to the next sync if no bundle is touched, and what is unknown stays so.
func TestMembersThatNobodyTouched(t *testing.T) {
	one := packedBefore(map[int]bundle{1: small("acme")})
	equal(t, "known", len(one.members()), 1)
	if one.forgetting().members() != nil {
		t.Error("members that are not known are said to be none")
	}
	if none := unknown().members(); none == nil || len(none) > 0 {
		t.Errorf("before the first sync: %v", none)
	}
}

// What is remembered of a bundle that was not written stays, and what was written replaces it.
func TestMembersToRemember(t *testing.T) {
	before := packedBefore(map[int]bundle{1: small("acme", "gone"), 2: small("globex", "lost")})
	const gone, lost = "gone", "lost"
	rewritten := journal{puts: map[string]put{bundle1: {}, bundle2: {}}}
	values := small("acme", "globex", "new").with("acme", "postgresql://new")
	for what, c := range map[string]struct {
		past    past
		locked  map[int]error
		failed  map[int]error
		done    journal
		old     []string // remembered as before
		now     []string // remembered as this run wrote them
		dropped int
	}{
		"all written": {past: before, done: rewritten, now: []string{"acme", "globex", "new"}, dropped: 2},
		"a bundle deleted": {past: before, done: journal{puts: rewritten.puts, deleted: []string{bundle2}},
			now: []string{"acme", "globex", "new"}, dropped: 2},
		"one kept as it is": {past: before, done: journal{puts: map[string]put{bundle1: {}}}, old: []string{lost},
			now: []string{"acme", "globex", "new"}, dropped: 1},
		"one locked": {past: before, locked: map[int]error{2: errors.New("locked")}, done: rewritten,
			old: []string{"globex", lost}, now: []string{"acme", "new"}, dropped: 1},
		"one failed": {past: before, failed: map[int]error{1: errors.New("failed")}, done: rewritten,
			old: []string{"acme", gone}, now: []string{"globex"}, dropped: 1},
		"the first sync":     {past: unknown(), done: rewritten, now: []string{"acme", "globex", "new"}},
		"none were known":    {past: before.forgetting(), done: rewritten, now: []string{"acme", "globex", "new"}},
		"nothing ever known": {done: rewritten},
	} {
		t.Run(what, func(t *testing.T) {
			p := &plan{situation: situation{past: c.past}}
			p.left.members = map[secrets.Print]bool{keyring.Name(gone): true, keyring.Name(lost): true}
			b := bundlePlan{values: values, place: map[string]int{"acme": 1, "globex": 2, "new": 1}, locked: c.locked}
			members, dropped := p.members(b, c.failed, c.done)
			want := map[secrets.Print]secrets.Member{}
			for _, key := range c.old {
				want[keyring.Name(key)] = c.past.state.Members[keyring.Name(key)]
			}
			for _, key := range c.now {
				want[keyring.Name(key)] = secrets.Member{Value: keyring.Value(key, values[key]), Bundle: b.place[key]}
			}
			if !maps.Equal(members, want) {
				t.Errorf("got %v, want %v", members, want)
			}
			equal(t, "dropped", dropped, c.dropped)
		})
	}
}
