package neon_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// simulate serves a project whose table t has the row parent, and returns a client.
func simulate(t *testing.T, o neontest.Options) (*neontest.Server, neontest.Project, *neon.Client) {
	t.Helper()
	s, err := neontest.New(pgtest.Shared(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p, err := s.AddProject(t.Context(), neontest.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	pgtest.Do(t, p.URL, "create table t (v text); insert into t values ('parent')")
	return s, p, neon.New(neon.Options{BaseURL: s.URL(), Key: neontest.OrgKey})
}

func rows(t *testing.T, url string) string {
	t.Helper()
	return pgtest.Ask(t, url, "select coalesce(string_agg(v, ',' order by v), '') from t")[0]
}

func create(t *testing.T, c *neon.Client, p neontest.Project, spec neon.BranchSpec) *neon.NewBranch {
	t.Helper()
	spec.Database, spec.Role = p.Database, p.Role
	b, err := c.CreateBranch(t.Context(), p.ID, spec)
	if err == nil {
		err = c.WaitOperations(t.Context(), p.ID, b.Operations)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A branch that is made, waited for, connected to and deleted takes three calls.
func TestABranchFromBirthToDeath(t *testing.T) {
	s, p, c := simulate(t, neontest.Options{})
	b := create(t, c, p, neon.BranchSpec{Name: "rehearse/1", ExpiresAt: s.Now().Add(time.Hour)})
	pgtest.Do(t, b.URI, "insert into t values ('child')")
	pgtest.Do(t, p.URL, "insert into t values ('more')")
	if child, parent := rows(t, b.URI), rows(t, p.URL); child != "child,parent" || parent != "more,parent" {
		t.Errorf("the branch has %s, its parent %s", child, parent)
	}
	if b.ParentID != p.BranchID || b.ExpiresAt.IsZero() {
		t.Errorf("made %+v", b.Branch)
	}
	if err := c.DeleteBranch(t.Context(), p.ID, b.ID); err != nil {
		t.Fatal(err)
	}
	if n := s.Calls().Total; n != 3 {
		t.Errorf("%d calls: %v", n, s.Calls().ByRoute)
	}
	if left, err := c.Branches(t.Context(), p.ID, b.Name); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestResetAndExpiry(t *testing.T) {
	s, p, c := simulate(t, neontest.Options{OperationTime: -1})
	b := create(t, c, p, neon.BranchSpec{Name: "preview/pr-7"})
	pgtest.Do(t, b.URI, "insert into t values ('child')")
	pgtest.Do(t, p.URL, "insert into t values ('more')")
	if err := c.RestoreBranch(t.Context(), p.ID, b.ID, neon.Restore{SourceID: p.BranchID}); err != nil {
		t.Fatal(err)
	}
	if got := rows(t, b.URI); got != "more,parent" {
		t.Errorf("after the reset: %s", got)
	}
	at := s.Now().Add(time.Hour)
	for _, expiry := range []time.Time{at, {}, at} {
		if err := c.ExpireBranch(t.Context(), p.ID, b.ID, expiry); err != nil {
			t.Fatal(err)
		}
		got, err := c.Branches(t.Context(), p.ID, b.Name)
		if err != nil || len(got) != 1 || !got[0].ExpiresAt.Equal(expiry.Truncate(time.Second)) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if err := s.Advance(t.Context(), 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	if left, err := c.Branches(t.Context(), p.ID, "preview/"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Undo: a root branch goes back to a branch that was made before the change, which then belongs to what is preserved.
func TestUndoByABranch(t *testing.T) {
	_, p, c := simulate(t, neontest.Options{OperationTime: -1})
	point := create(t, c, p, neon.BranchSpec{Name: "undo/1", NoCompute: true})
	if point.URI != "" {
		t.Errorf("a branch without a compute has the string %s", point.URI)
	}
	pgtest.Do(t, p.URL, "update t set v = 'migrated'")
	undo := neon.Restore{SourceID: point.ID, PreserveAs: "undone/1"}
	if err := c.RestoreBranch(t.Context(), p.ID, p.BranchID, undo); err != nil {
		t.Fatal(err)
	}
	if got := rows(t, p.URL); got != "parent" {
		t.Errorf("after undo: %s", got)
	}
	var exists *neon.ExistsError
	if err := c.RestoreBranch(t.Context(), p.ID, p.BranchID, undo); !errors.As(err, &exists) {
		t.Errorf("the same again: %v", err)
	}
	moved, err := c.Branches(t.Context(), p.ID, point.Name)
	if err != nil || len(moved) != 1 || moved[0].ParentID != exists.ID {
		t.Errorf("the point belongs to %+v, %v", moved, err)
	}
}

func TestRestoreToATime(t *testing.T) {
	s, p, c := simulate(t, neontest.Options{OperationTime: -1})
	kept, err := s.Keep(t.Context(), p.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	s.Age(p.ID, time.Hour)
	kept.At = kept.At.Add(-time.Hour)
	pgtest.Do(t, p.URL, "update t set v = 'later'")
	beside := create(t, c, p, neon.BranchSpec{Name: "beside", ParentTime: kept.At})
	if got := rows(t, beside.URI); got != "parent" {
		t.Errorf("at that time it had %s", got)
	}
	back := neon.Restore{SourceID: p.BranchID, At: kept.At, PreserveAs: "before"}
	if err := c.RestoreBranch(t.Context(), p.ID, p.BranchID, back); err != nil || rows(t, p.URL) != "parent" {
		t.Errorf("replaced by %s, %v", rows(t, p.URL), err)
	}
	project, err := c.Project(t.Context(), p.ID)
	if err != nil || project.HistorySeconds != 24*3600 {
		t.Fatalf("%+v, %v", project, err)
	}
	back.At = s.Now().Add(-time.Duration(project.HistorySeconds+60) * time.Second)
	back.PreserveAs = "again"
	if err := c.RestoreBranch(t.Context(), p.ID, p.BranchID, back); !neon.IsStatus(err, http.StatusBadRequest) {
		t.Errorf("beyond the history: %v", err)
	}
}

func TestLimitsHaveACode(t *testing.T) {
	_, p, c := simulate(t, neontest.Options{Plan: neontest.Plan{Branches: 1}})
	_, err := c.CreateBranch(t.Context(), p.ID, neon.BranchSpec{Name: "x", NoCompute: true})
	var e *neon.Error
	if !errors.As(err, &e) || e.Status != 422 || e.Code != "BRANCHES_LIMIT_EXCEEDED" ||
		e.Message != "branches limit exceeded" {
		t.Errorf("%v", err)
	}
}
