package backup

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
)

var drillNow = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// chainFor is a chain of backups that goes back so many days, and was proven so many days ago; negative: never.
func chainFor(name string, days, proven int) backups.Chain {
	c := backups.Chain{Folder: name + "/", Since: drillNow.AddDate(0, 0, -days)}
	c.Newest.Key, c.Newest.Time = name+"/key", drillNow
	c.Newest.Manifest.Tenant = fleet.Tenant{Name: name, ID: "id-" + name}
	if proven >= 0 {
		c.Proof = &backups.RestoreProof{Key: c.Newest.Key, FinishedAt: drillNow.AddDate(0, 0, -proven)}
	}
	return c
}

func TestRanked(t *testing.T) {
	chains := map[string]backups.Chain{
		"fresh": chainFor("fresh", 9, 0), "old": chainFor("old", 2, 20), "older": chainFor("older", 1, 30),
		"new": chainFor("new", 1, -1), "never": chainFor("never", 7, -1), "also": chainFor("also", 7, -1),
		"old2": chainFor("old2", 2, 20),
	}
	var tenants []fleet.Tenant
	for _, id := range []string{"none", "fresh", "new", "old2", "older", "never", "old", "also"} {
		tenants = append(tenants, fleet.Tenant{ID: id})
	}
	var got []string
	for _, one := range ranked(tenants, chains) {
		got = append(got, one.ID)
	}
	if text := strings.Join(got, " "); text != "also never new older old old2 fresh none" {
		t.Errorf("the order is %s", text)
	}
}

func TestOutOfReach(t *testing.T) {
	sample, err := fleet.ParseSample("5%")
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		backups, each int
		maxAge        time.Duration
		want          string // empty: it is in reach
	}{
		{400, 20, 30 * day, ""}, {400, 20, 20 * day, ""}, {400, 20, 19 * day, "sample: 22 or more"},
		{3, 1, 3 * day, ""}, {3, 1, time.Hour, "sample: 3 or more"}, {0, 0, day, ""}, {31, 1, 30 * day, "sample: 2 or more"},
	} {
		got := outOfReach(c.backups, c.each, sample, c.maxAge)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%d of %d within %s: %q", c.each, c.backups, c.maxAge, got)
		}
	}
}

// One that fails gives its place to the next, as often as the sample is large.
func TestQuota(t *testing.T) {
	enter := func(q *quota, place int) bool {
		turn, err := q.enter(context.Background(), place)
		if err != nil {
			t.Fatal(err)
		}
		return turn
	}
	for name, c := range map[string]struct {
		sample int
		proven []bool // of the drills, in their order
		begun  int
	}{
		"all proven":     {2, []bool{true, true, true, true}, 2},
		"one fails":      {2, []bool{false, true, true, true}, 3},
		"all fail":       {2, []bool{false, false, false, false, false, false}, 4},
		"nothing to ask": {0, []bool{true}, 0},
	} {
		q, begun := newQuota(c.sample), 0
		for place, proven := range c.proven {
			if enter(q, place) {
				begun++
				q.leave(proven)
			}
		}
		if begun != c.begun {
			t.Errorf("%s: %d drills begun, want %d", name, begun, c.begun)
		}
	}
}

// The order holds whoever comes first; one that is not to be drilled passes its place on.
func TestQuotaKeepsTheOrder(t *testing.T) {
	q := newQuota(1)
	third := make(chan bool)
	go func() {
		turn, _ := q.enter(context.Background(), 2)
		third <- turn
	}()
	q.pass(0)
	if turn, err := q.enter(t.Context(), 1); !turn || err != nil {
		t.Errorf("the second: %v, %v", turn, err)
	}
	q.leave(true)
	if <-third {
		t.Error("the third was drilled, though the sample is one")
	}
}

// Whether the next one has its turn is known once those before it have ended.
func TestQuotaWaits(t *testing.T) {
	for _, proven := range []bool{true, false} {
		q := newQuota(1)
		if turn, err := q.enter(t.Context(), 0); !turn || err != nil {
			t.Fatal(turn, err)
		}
		next := make(chan bool)
		go func() {
			turn, _ := q.enter(context.Background(), 1)
			next <- turn
		}()
		q.leave(proven)
		if turn := <-next; turn == proven {
			t.Errorf("after a drill that ended with %v the next has its turn: %v", proven, turn)
		}
	}
	q := newQuota(1)
	_, _ = q.enter(t.Context(), 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if turn, err := q.enter(ctx, 1); turn || err == nil {
		t.Errorf("after a cancel: %v, %v", turn, err)
	}
}

// Every chain is a tenant of its own, whose name and id are nobody else's.
func TestJoin(t *testing.T) {
	listed := []fleet.Tenant{{Name: "Acme", ID: "id-acme"}, {Name: "Other", ID: "id-other"}}
	moved, older, namesake := chainFor("acme", 1, -1), chainFor("acme", 9, -1), chainFor("acme", 2, -1)
	older.Newest.Time, older.Folder = drillNow.AddDate(0, 0, -8), "acme-old/"
	namesake.Newest.Manifest.Tenant.ID = "id-2"
	all, known, byID := join(listed, []backups.Chain{older, moved, namesake, chainFor("gone", 3, 1)})
	keys := map[string]bool{}
	for _, one := range all {
		if key := fleet.Slug(one.Name); keys[key] || key == "" {
			t.Errorf("%s is there twice", key)
		} else {
			keys[key] = true
		}
	}
	if len(all) != 5 || len(byID) != 4 || len(known) != 2 || byID["id-acme"].Folder != "acme/" ||
		byID["id-acme (acme-old/)"].Folder != "acme-old/" || byID["id-gone"].Folder != "gone/" ||
		byID["id-2"].Folder != "acme/" {
		t.Errorf("tenants %v\nchains %v", all, byID)
	}
}

func TestPercentile(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3}, {[]float64{2, 1}, 2},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11}, 19},
	} {
		if got := percentile(c.values, 95); got != c.want {
			t.Errorf("of %v: %v", c.values, got)
		}
	}
}
