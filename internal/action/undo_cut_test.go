package action

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// restoreCut serves the organisation's API and ends a run at a call, counted from the one that asks for a restore on.
type restoreCut struct {
	sim  *neontest.Server
	at   int  // 0: the restore's own
	done bool // the call is done, and its answer lost

	mu     sync.Mutex
	begun  bool
	n      int
	cancel context.CancelCauseFunc
}

func (c *restoreCut) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if c.begun {
		c.n++
	}
	c.begun = c.begun || r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/restore")
	now := c.begun && c.n == c.at
	c.mu.Unlock()
	if now && c.done {
		c.sim.ServeHTTP(httptest.NewRecorder(), r)
	}
	if now {
		c.cancel(errors.New("cut off"))
		panic(http.ErrAbortHandler)
	}
	c.sim.ServeHTTP(w, r)
}

// Wherever a run is cut off, at the call that restores or between it and the proof, the next one completes the undo:
// once, and with what was there before kept once.
func TestAnUndoIsCompletedWhereverItWasCut(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	for _, where := range []struct {
		at   int
		done bool
	}{{0, false}, {0, true}, {1, false}, {2, false}} {
		f := newChanged(t, "a")
		p := f.projects[0]
		query(t, p, "insert into late values (42)")
		ctx, cancel := context.WithCancelCause(t.Context())
		c := &restoreCut{sim: f.Server, at: where.at, done: where.done, cancel: cancel}
		front := httptest.NewServer(c)
		first := f.run(t, ctx, undo("neon-api-url="+front.URL+neontest.BasePath)...)
		front.Close()
		cancel(nil)
		if !c.begun || first.err == nil {
			t.Errorf("call %d, done %t: begun %t, ended with %v", c.at, c.done, c.begun, first.err)
		}
		o := f.run(t, t.Context(), undo()...)
		if got := o.report.Totals; got.Succeeded+got.Unchanged != 1 || query(t, p, hasLate) != "f" || query(t, p,
			highest) != "20250101090200" {
			t.Errorf("call %d, done %t: %+v\n%s", c.at, c.done, got, o.log)
		}
		f.run(t, t.Context(), undo()...).counts(t, 0, 1, 0, 0)
		if kept := f.branches(t, p, "undone/"); len(kept) != 1 || f.inBranch(t, p, "undone/7", "select i from late") != "42" {
			t.Errorf("call %d, done %t: kept %+v", c.at, c.done, kept)
		}
	}
}

// A cancel while Neon is at work ends the run in time and says how to go on.
func TestACancelledUndo(t *testing.T) {
	t.Parallel()
	f := newChanged(t, "a")
	ctx, cancel := context.WithCancelCause(t.Context())
	f.Fail(neontest.Fault{Route: "GET /projects/{project_id}/operations*", Delay: time.Minute})
	var cancelled time.Time
	go func() {
		for len(f.branches(t, f.projects[0], "undone/")) == 0 && t.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		cancelled = time.Now()
		cancel(errors.New("cancelled by interrupt"))
	}()
	o := f.run(t, ctx, undo()...)
	if took := time.Since(cancelled); took > 7*time.Second {
		t.Errorf("ended %s after the cancel", took)
	}
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "take it back to undo/7", "cancelled by interrupt", "run again, which completes what was begun")
	f.ClearFaults()
	f.run(t, t.Context(), undo()...).counts(t, 0, 1, 0, 0)
}

// What Neon refuses is said, and changes nothing; temporary refusals are waited out.
func TestARefusedUndo(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newChanged(t, "full", "busy")
	const restore = "POST /projects/{project_id}/branches/{branch_id}/restore"
	f.Fail(neontest.Fault{Route: restore, Project: f.projects[0].ID, Status: 422, Message: "root branches limit exceeded"})
	f.Fail(neontest.Fault{Route: restore, Project: f.projects[1].ID, Status: 423, Times: 2})
	o := f.run(t, t.Context(), undo()...)
	o.counts(t, 1, 0, 1, 0)
	o.says(t, "root branches limit exceeded", "the plan's limit is reached: delete what is no longer needed")
	if query(t, f.projects[0], hasLate) != "t" || query(t, f.projects[1], hasLate) != "f" {
		t.Error("the wrong one was undone")
	}
	f.ClearFaults()
	f.run(t, t.Context(), undo()...).counts(t, 1, 1, 0, 0)
}
