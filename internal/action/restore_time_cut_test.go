package action

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestARestoreToATimeIsCompletedWhereverItWasCut(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	for _, where := range []struct {
		at   int
		done bool
	}{{0, false}, {0, true}, {1, false}} {
		f, at := newPast(t, named("a")...)
		ctx, cancel := context.WithCancelCause(t.Context())
		c := &restoreCut{sim: f.Server, at: where.at, done: where.done, cancel: cancel}
		front := httptest.NewServer(c)
		first := f.run(t, ctx, toTime("a", at, "confirm=a", "neon-api-url="+front.URL+neontest.BasePath)...)
		front.Close()
		cancel(errors.New("ended"))
		if !c.begun || first.err == nil {
			t.Errorf("%+v: begun %t, ended with %v", where, c.begun, first.err)
		}
		o := f.run(t, t.Context(), toTime("a", at, "confirm=a")...)
		if got := o.report.Totals; got.Succeeded+got.Unchanged != 1 || query(t, f.projects[0], inT) != "a" {
			t.Errorf("%+v: %+v\n%s", where, got, o.log)
		}
		if kept := f.branches(t, f.projects[0], "before-restore-to/"); len(kept) != 1 {
			t.Errorf("%+v: kept %+v", where, kept)
		}
	}
}

// What Neon accepted and could not complete is no restore, although the branch that was to keep the old state is there.
func TestARestoreToATimeThatNeonFailed(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f, at := newPast(t, named("a")...)
	p := f.projects[0]
	catalog := "catalog-url=" + pgtest.Database(t)
	f.write(t, "20250301000000_late.sql", "create table late (i int);")
	f.run(t, t.Context(), catalog).counts(t, 1, 0, 0, 0)
	f.FailRestore(p.ID)
	o := f.run(t, t.Context(), toTime("a", at, "confirm=a", catalog)...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "ended as failed", "run again with restore-to-time: "+at)
	kept := f.branches(t, p, "before-restore-to/")
	if len(kept) != 1 || query(t, p, inT) != "b" {
		t.Fatalf("kept %+v", kept)
	}
	for range 2 {
		o = f.run(t, t.Context(), toTime("a", at, "confirm=a", catalog)...)
		o.counts(t, 0, 0, 1, 0)
		o.says(t, "a restore to "+at[:19], " was begun on ", "and Neon does not say that it succeeded",
			"rename the branch "+kept[0].Name+" ("+kept[0].ID+")")
	}
	if got := column(t, strings.TrimPrefix(catalog, "catalog-url="), "select schema_version from project")[0]; got !=
		"20250301000000" {
		t.Errorf("the catalog has %s", got)
	}
	if !f.RenameBranch(p.ID, kept[0].ID, "kept") {
		t.Fatal("it has no such branch")
	}
	f.run(t, t.Context(), toTime("a", at, "confirm=a", catalog)...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), toTime("a", at, "confirm=a", catalog)...).counts(t, 0, 1, 0, 0)
	if query(t, p, inT) != "a" {
		t.Error("it was not restored")
	}
}

// The answer that a restore has begun can be lost too: what Neon could not complete is no restore then either.
func TestARestoreToATimeThatNeonFailedAndWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	f, at := newPast(t, named("a")...)
	f.FailRestore(f.projects[0].ID)
	f.Fail(neontest.Fault{Route: "POST /projects/{project_id}/branches/{branch_id}/restore", Lose: true, Times: 1})
	o := f.run(t, t.Context(), toTime("a", at, "confirm=a")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "Neon has begun it, and does not say that it succeeded", "run again with restore-to-time: "+at)
	if got := query(t, f.projects[0], inT); got != "b" {
		t.Errorf("it has %s", got)
	}
}

// A restore that was made stays made when the history no longer reaches to its time.
func TestARestoreIsRepeatedAfterItsMomentHasLeftTheHistory(t *testing.T) {
	t.Parallel()
	f, at := newPast(t, neontest.Spec{Name: "a", HistorySeconds: 3600})
	f.run(t, t.Context(), toTime("a", at, "confirm=a")...).counts(t, 1, 0, 0, 0)
	api := f.rewriting(t, `"history_retention_seconds":3600`, `"history_retention_seconds":0`)
	f.run(t, t.Context(), toTime("a", at, "confirm=a", api)...).counts(t, 0, 1, 0, 0)
	o := f.run(t, t.Context(), toTime("a", at, api)...)
	o.says(t, " is before Neon's history of the project")
}

// A run that ends while it waits for a migration to end restores nothing.
func TestARestoreToATimeIsCancelledWhileItWaitsForTheLock(t *testing.T) {
	t.Parallel()
	f, at := newPast(t, named("a")...)
	end := f.hang(t)
	o := f.run(t, t.Context(), toTime("a", at, "confirm=a", "lock-timeout=1m", "tenant-timeout=2s")...)
	end()
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "wait for the migration lock: ")
	if names := f.branchNames(t, f.projects[0]); len(names) > 0 {
		t.Errorf("it has %v", names)
	}
}
