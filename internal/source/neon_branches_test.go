package source

import (
	"errors"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// What undoing takes: a branch that is only kept, and a restore that keeps what was there under a name.
func TestNeonRestoresABranch(t *testing.T) {
	t.Parallel()
	_, p, n, tenant := creator(t, neontest.Options{}, neontest.Spec{Name: "acme"}, nil)
	run(t, p.URL, "create table t as select 'before' as v")
	point, url, err := n.CreateBranch(t.Context(), tenant, fleet.BranchSpec{Name: "undo/1", NoCompute: true})
	if err != nil || url.Reveal() != "" {
		t.Fatalf("%v, %v", url, err)
	}
	run(t, p.URL, "update t set v = 'after' returning v")
	own, err := n.OwnBranch(t.Context(), tenant)
	if err != nil || own.ID != p.BranchID || !own.Default {
		t.Fatalf("%+v, %v", own, err)
	}
	if err := n.RestoreBranch(t.Context(), tenant, own.ID, point.ID, time.Time{}, "undone/1"); err != nil {
		t.Fatal(err)
	}
	if got := run(t, p.URL, "select v from t"); got != "before" {
		t.Errorf("restored to %q", got)
	}
	if err := n.Settle(t.Context(), tenant); err != nil {
		t.Errorf("nothing is in progress, and waiting for it fails: %v", err)
	}
	var exists *fleet.ExistingBranch
	err = n.RestoreBranch(t.Context(), tenant, own.ID, own.ID, time.Now(), "undone/1")
	if !errors.As(err, &exists) || exists.Name != "undone/1" {
		t.Errorf("a name that is taken: %v", err)
	}
	kept, err := n.Branches(t.Context(), tenant, "undone/")
	if err != nil || len(kept) != 1 || kept[0].Name != "undone/1" {
		t.Errorf("%+v, %v", kept, err)
	}
	history, err := n.History(t.Context(), tenant)
	if err != nil || history != 24*time.Hour {
		t.Errorf("%s, %v", history, err)
	}
}
