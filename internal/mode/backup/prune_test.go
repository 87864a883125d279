package backup

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/report"
)

func TestPrunedSection(t *testing.T) {
	result := func(keys ...string) fleet.Result {
		var d Detail
		for _, key := range keys {
			d.Pruned = append(d.Pruned, Pruned{Key: key, Reason: "older than 7 days"})
		}
		return fleet.Result{Outcome: fleet.Outcome{Detail: d}}
	}
	if s := prunedSection("To prune: ", []fleet.Result{{}, result()}); s != nil {
		t.Errorf("of nothing: %v", s)
	}
	got := prunedSection("To prune: ", []fleet.Result{result("acme/1"), {}, result("globex/1")})
	want := []report.Section{{Title: "To prune: 2 backups",
		Lines: []string{"acme/1: older than 7 days", "globex/1: older than 7 days"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var keys []string
	for i := range 23 {
		keys = append(keys, fmt.Sprint("acme/", i))
	}
	got = prunedSection("Pruned: ", []fleet.Result{result(keys...)})
	if lines := got[0].Lines; got[0].Title != "Pruned: 23 backups" || len(lines) != 21 || lines[20] != "and 3 more" {
		t.Errorf("%+v", got)
	}
}
