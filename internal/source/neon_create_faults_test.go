package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

func TestNeonCreatesThroughFaults(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup // not parallel subtests, which run one per core: these mostly wait
	defer group.Wait()
	const anyOperation = "GET /projects/{project_id}/operations*"
	for _, test := range []struct {
		name    string
		faults  []neontest.Fault
		says    string
		remedy  string
		created int
	}{
		{name: "locked and away", created: 1, faults: []neontest.Fault{
			{Route: "POST *", Status: http.StatusLocked, Times: 2}, {Route: "POST *", Status: 503, Times: 2},
			{Route: anyOperation, Status: 524, Times: 1}, {Route: anyOperation, Drop: true, Times: 1},
		}},
		{name: "dropped", faults: []neontest.Fault{{Route: "POST *", Drop: true}}, says: "it is not known whether",
			remedy: "look in Neon's console"},
		{name: "refused", faults: []neontest.Fault{{Route: "POST *", Status: 422, Message: "branches limit exceeded"}},
			says: "limit exceeded", remedy: "the plan's limit"},
		{name: "forbidden", faults: []neontest.Fault{{Route: "POST *", Status: 403}}, says: "403",
			remedy: "may not change this"},
		{name: "no string", faults: []neontest.Fault{{Route: anyOperation, Status: 403}}, says: "403"},
	} {
		sim, p, n, tenant := creator(t, neontest.Options{}, neontest.Spec{}, nil)
		check := func(err error, url fleet.Secret, names []string) {
			t.Helper()
			if len(names) != test.created {
				t.Errorf("%s: there are %v", test.name, names)
			}
			if test.says == "" {
				if err != nil || run(t, url.Reveal(), "select 'here'") != "here" {
					t.Errorf("%s: %v", test.name, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), test.says) ||
				!strings.Contains(fleet.Remedy(err), test.remedy) {
				t.Errorf("%s: error is %v, remedy %q; want %q, %q", test.name, err, fleet.Remedy(err), test.says,
					test.remedy)
			}
		}
		arm := func() {
			sim.ClearFaults()
			for _, f := range test.faults {
				sim.Fail(f)
			}
		}
		group.Go(func() {
			arm()
			_, url, err := n.CreateBranch(t.Context(), tenant, fleet.BranchSpec{Name: "x"})
			check(err, url, branchNames(t, sim, p.ID))
			if test.name == "dropped" {
				return // looking for it takes seconds, and is the same code
			}
			arm()
			_, url, err = n.CreateProject(t.Context(), tenant, "x")
			check(err, url, projectNames(t, sim, p.ID))
		})
	}
}

// tap serves a simulator and lets a test interfere with each call; calls are numbered from 1. after is called once the
// simulator has answered; if it returns false, the answer is lost.
type tap struct {
	sim    *neontest.Server
	before func(n int, r *http.Request)
	after  func(n int, r *http.Request) bool
	mu     sync.Mutex
	n      int
}

func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.n++
	n := p.n
	p.mu.Unlock()
	if p.before != nil {
		p.before(n, r)
	}
	answer := httptest.NewRecorder()
	p.sim.ServeHTTP(answer, r)
	if p.after != nil && !p.after(n, r) {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// tapped returns a source whose calls go through the tap.
func tapped(t *testing.T, p *tap) *Neon {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return neonSource(t, map[string]string{"neon-api-key": neontest.OrgKey,
		"neon-api-url": server.URL + neontest.BasePath})
}

func TestNeonFindsWhatItMadeWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	sim, p, _, tenant := creator(t, neontest.Options{}, neontest.Spec{}, nil)
	n := tapped(t, &tap{sim: sim, after: func(_ int, r *http.Request) bool { return r.Method != http.MethodPost }})
	branch, url, err := n.CreateBranch(t.Context(), tenant, fleet.BranchSpec{Name: "x"})
	if err != nil || run(t, url.Reveal(), "select 'here'") != "here" || branch.ID == "" {
		t.Errorf("%+v, %v", branch, err)
	}
	id, url, err := n.CreateProject(t.Context(), tenant, "x")
	if err != nil || run(t, url.Reveal(), "select 'here'") != "here" || id == "" {
		t.Errorf("%q, %v", id, err)
	}
	if calls := sim.Calls().ByRoute; calls[postBranch] != 1 || calls[postProject] != 1 {
		t.Errorf("calls %v", calls)
	}
	if b, q := branchNames(t, sim, p.ID), projectNames(t, sim, p.ID); len(b) != 1 || len(q) != 1 {
		t.Errorf("branches %v, projects %v", b, q)
	}
}

// The run ends at each call in turn, once before Neon acts on it and once after: nothing that was created is left. On a
// machine so busy that the time for deleting it runs out, the error names it.
func TestNeonLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	create := map[string]func(ctx context.Context, n *Neon, t fleet.Tenant) error{
		"branch": func(ctx context.Context, n *Neon, t fleet.Tenant) error {
			_, _, err := n.CreateBranch(ctx, t, fleet.BranchSpec{Name: "x"})
			return err
		},
		"project": func(ctx context.Context, n *Neon, t fleet.Tenant) error {
			_, _, err := n.CreateProject(ctx, t, "x")
			return err
		},
	}
	var group sync.WaitGroup // as above
	defer group.Wait()
	slots := make(chan struct{}, 4) // the stops are timed: no more at once than a busy machine serves
	for kind, create := range create {
		// A branch takes two calls: POST, operations; a project four: its like, list, POST, operations.
		for call := range map[string]int{"branch": 2, "project": 4}[kind] {
			for _, done := range []bool{false, true} {
				slots <- struct{}{}
				sim, p, _, tenant := creator(t, neontest.Options{}, neontest.Spec{}, nil)
				ctx, cancel := context.WithCancelCause(t.Context())
				var stopped atomic.Pointer[time.Time]
				stop := func(n int, now bool) {
					if at := time.Now(); now && n == call+1 {
						stopped.Store(&at)
						cancel(errors.New("by hand"))
					}
				}
				n := tapped(t, &tap{
					sim:    sim,
					before: func(n int, _ *http.Request) { stop(n, !done) },
					after:  func(n int, _ *http.Request) bool { stop(n, done); return true },
				})
				group.Go(func() {
					defer func() { <-slots }()
					defer cancel(nil)
					what := fmt.Sprintf("%s, call %d, done %t", kind, call+1, done)
					err := create(ctx, n, tenant)
					at := stopped.Load()
					if at == nil {
						t.Errorf("%s: there is no such call; %v", what, err)
						return
					}
					outOfTime := time.Since(*at) > 2*time.Second
					if err == nil {
						return // it was complete before the stop was noticed
					}
					b, q := branchNames(t, sim, p.ID), projectNames(t, sim, p.ID)
					if len(b)+len(q) > 0 && !(outOfTime && fleet.Remedy(err) != "") {
						t.Errorf("%s: branches %v, projects %v are left: %v", what, b, q, err)
					}
				})
			}
		}
	}
}

func TestNeonSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	defer group.Wait()
	slow, p, _, tenant := creator(t, neontest.Options{OperationTime: 20 * time.Second}, neontest.Spec{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	n := tapped(t, &tap{sim: slow, after: func(_ int, r *http.Request) bool {
		if r.Method == http.MethodPost { // it exists, and its operations have begun
			time.AfterFunc(time.Second, cancel)
		}
		return true
	}})
	group.Go(func() {
		defer cancel()
		began := time.Now()
		_, _, err := n.CreateBranch(ctx, tenant, fleet.BranchSpec{Name: "x"})
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("ended after %s", took)
		}
		names := branchNames(t, slow, p.ID)
		if !errors.Is(err, context.Canceled) || len(names) != 1 || !strings.Contains(err.Error(), `branch "x" (br-`) ||
			!strings.Contains(fleet.Remedy(err), "delete branch") {
			t.Errorf("%v, remedy %q, left %v", err, fleet.Remedy(err), names)
		}
	})
	// While the run goes on, deleting waits for the operations.
	sim, q, m, other := creator(t, neontest.Options{OperationTime: 2 * time.Second}, neontest.Spec{}, nil)
	sim.Fail(neontest.Fault{Route: "GET /projects/{project_id}/operations*", Status: http.StatusForbidden})
	if _, _, err := m.CreateBranch(t.Context(), other,
		fleet.BranchSpec{Name: "x"}); !neon.IsStatus(err, http.StatusForbidden) ||
		strings.Contains(err.Error(), "is left") {
		t.Errorf("%v", err)
	}
	if names := branchNames(t, sim, q.ID); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
}

func TestNeonLastActive(t *testing.T) {
	t.Parallel()
	_, n := serveNeon(t, map[string]any{
		"/projects": object{"projects": []object{
			{"id": "active", "compute_last_active_at": "2026-11-20T10:00:00.5Z"},
			{"id": "never", "compute_last_active_at": "0001-01-01T00:00:00Z"},
			{"id": "silent"}, {"id": "null", "compute_last_active_at": nil},
		}},
		"/projects/unlisted": object{"project": object{"id": "unlisted",
			"compute_last_active_at": "2026-11-20T10:00:00.5Z"}},
	}, nil)
	if _, err := n.Tenants(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 11, 20, 10, 0, 0, 5e8, time.UTC)
	for _, id := range []string{"active", "unlisted"} {
		if at, known, err := n.LastActive(t.Context(), fleet.Tenant{ID: id}); !known || err != nil || !at.Equal(want) {
			t.Errorf("%s: %s, %t, %v", id, at, known, err)
		}
	}
	for _, id := range []string{"never", "silent", "null"} {
		if at, known, err := n.LastActive(t.Context(), fleet.Tenant{ID: id}); known || err != nil {
			t.Errorf("%s: %s, %v", id, at, err)
		}
	}
	if _, known, err := n.LastActive(t.Context(), fleet.Tenant{ID: "unknown"}); known || err == nil {
		t.Errorf("a project that is not there: %t, %v", known, err)
	}
}
