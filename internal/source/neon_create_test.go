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

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

const (
	postBranch  = "POST /projects/{project_id}/branches"
	postProject = "POST /projects"
	quick       = 100 * time.Millisecond // an operation's time
)

// creator is a simulator with one project, and a source that knows it.
func creator(t *testing.T, o neontest.Options, spec neontest.Spec, inputs map[string]string) (*neontest.Server, neontest.Project, *Neon, fleet.Tenant) {
	t.Helper()
	if o.OperationTime == 0 {
		o.OperationTime = quick
	}
	sim, projects := simulate(t, o, spec)
	n := simulated(t, sim, inputs)
	tenants, err := n.Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sim, projects[0], n, tenants[0]
}

func run(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var text string
	if err := conn.QueryRow(t.Context(), sql).Scan(&text); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Error(err)
	}
	return text
}

// branchNames lists a project's branches but its first one, as a fresh client sees them.
func branchNames(t *testing.T, sim *neontest.Server, projectID string) []string {
	t.Helper()
	branches, err := observer(sim).Branches(t.Context(), projectID, "")
	if err != nil {
		t.Error(err)
	}
	var names []string
	for _, b := range branches {
		if b.Name != "main" {
			names = append(names, b.Name)
		}
	}
	return names
}

// projectNames lists the projects but the first one.
func projectNames(t *testing.T, sim *neontest.Server, first string) []string {
	t.Helper()
	projects, _, err := observer(sim).Projects(t.Context(), "")
	if err != nil {
		t.Error(err)
	}
	var names []string
	for _, p := range projects {
		if p.ID != first {
			names = append(names, p.Name)
		}
	}
	return names
}

func observer(sim *neontest.Server) *neon.Client {
	return neon.New(neon.Options{BaseURL: sim.URL(), Key: neontest.OrgKey})
}

func TestNeonCreateBranch(t *testing.T) {
	t.Parallel()
	sim, p, n, tenant := creator(t, neontest.Options{OperationTime: 500 * time.Millisecond}, neontest.Spec{Name: "acme"}, nil)
	run(t, p.URL, "create table t as select 'parent' as v")
	began := time.Now()
	id, url, err := n.CreateBranch(t.Context(), tenant, "rehearse/1", time.Now().Add(time.Hour))
	if err != nil || time.Since(began) < 500*time.Millisecond {
		t.Fatalf("%v after %s", err, time.Since(began))
	}
	run(t, url.Reveal(), "update t set v = 'child' returning v")
	if got := run(t, p.URL, "select v from t"); got != "parent" {
		t.Errorf("the parent has %q", got)
	}
	var exists *neon.ExistsError
	if _, _, err := n.CreateBranch(t.Context(), tenant, "rehearse/1", time.Time{}); !errors.As(err, &exists) || exists.ID != id || fleet.Remedy(err) == "" {
		t.Errorf("a second one of the name: %v", err)
	}
	// Of a branch that neon-branch names, and at once after another change, which Neon refuses with 423 until that is done.
	other := simulated(t, sim, map[string]string{"neon-branch": "rehearse/1"})
	second, url, err := other.CreateBranch(t.Context(), tenant, "rehearse/2", time.Time{})
	if err != nil || run(t, url.Reveal(), "select v from t") != "child" {
		t.Fatalf("%v", err)
	}
	for _, id := range []string{second, id, id} { // a parent after its child, and one twice
		if err := n.DeleteBranch(t.Context(), tenant, id); err != nil {
			t.Error(err)
		}
	}
	if names := branchNames(t, sim, p.ID); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	for life := 3 * time.Second; ; life *= 2 { // on a busy machine a branch may be gone before it is made
		_, _, err := n.CreateBranch(t.Context(), tenant, "for "+life.String(), time.Now().Add(life))
		if err == nil {
			break
		}
		if life > time.Minute {
			t.Fatal(err)
		}
	}
	if err := n.DeleteBranch(t.Context(), tenant, p.BranchID); err == nil || !strings.Contains(err.Error(), "default branch") {
		t.Errorf("deleting the default branch: %v", err)
	}
	for end := time.Now().Add(3 * time.Minute); len(branchNames(t, sim, p.ID)) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a branch does not expire")
		}
	}
}

func TestNeonCreateProject(t *testing.T) {
	t.Parallel()
	inputs := map[string]string{"database-name": "app", "role-name": "me"}
	sim, p, n, tenant := creator(t, neontest.Options{}, neontest.Spec{Name: "acme", Region: "aws-eu-central-1", PgVersion: 16, Database: "app", Role: "me"}, inputs)
	for _, like := range []fleet.Tenant{tenant, {}} {
		name := "restored like " + like.Name
		id, url, err := n.CreateProject(t.Context(), like, name)
		if err != nil {
			t.Fatal(err)
		}
		run(t, url.Reveal(), "create table t as select 1::text")
		made, err := observer(sim).Project(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if like.ID != "" && (made.RegionID != "aws-eu-central-1" || made.PgVersion != 16) || made.Name != name || made.OrgID != neontest.DefaultOrg {
			t.Errorf("made %+v", made)
		}
		if again, err := n.URL(t.Context(), fleet.Tenant{ID: id}); err != nil || run(t, again.Reveal(), "select * from t") != "1" {
			t.Errorf("by its id: %v", err)
		}
		var exists *neon.ExistsError
		if _, _, err := n.CreateProject(t.Context(), like, name); !errors.As(err, &exists) || exists.ID != id {
			t.Errorf("a second one of the name: %v", err)
		}
	}
	// A source that has listed nothing asks.
	id, _, err := simulated(t, sim, inputs).CreateProject(t.Context(), tenant, "unlisted")
	if made, _ := observer(sim).Project(t.Context(), id); err != nil || made.PgVersion != 16 {
		t.Errorf("%+v, %v", made, err)
	}
	if _, _, err := n.CreateProject(t.Context(), fleet.Tenant{ID: "none"}, "x"); !neon.IsStatus(err, http.StatusNotFound) || fleet.Remedy(err) == "" {
		t.Errorf("like one that is not there: %v", err)
	}
	scoped := simulated(t, sim, map[string]string{"neon-api-key": sim.ProjectKeyFor(p.ID)})
	if _, _, err := scoped.CreateProject(t.Context(), tenant, "x"); err == nil || !strings.Contains(fleet.Remedy(err), "a key of one project makes") {
		t.Errorf("with a project's key: %v, remedy %q", err, fleet.Remedy(err))
	}
	if names := projectNames(t, sim, p.ID); len(names) != 3 {
		t.Errorf("projects: %v", names)
	}
}

func TestNeonCreatesThroughFaults(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup // not subtests, of which only as many as there are cores run at once: they mostly wait
	defer group.Wait()
	const anyOperation = "GET /projects/{project_id}/operations/{operation_id}"
	for _, test := range []struct {
		name   string
		faults []neontest.Fault
		says   string
		remedy string
		made   int
	}{
		{name: "locked and away", made: 1, faults: []neontest.Fault{
			{Route: "POST *", Status: http.StatusLocked, Times: 2}, {Route: "POST *", Status: 503, Times: 2},
			{Route: anyOperation, Status: 524, Times: 1}, {Route: anyOperation, Drop: true, Times: 1},
		}},
		{name: "dropped", faults: []neontest.Fault{{Route: "POST *", Drop: true}}, says: "it is not known whether", remedy: "look in Neon's console"},
		{name: "refused", faults: []neontest.Fault{{Route: "POST *", Status: 422, Message: "branches limit exceeded"}}, says: "limit exceeded", remedy: "the plan's limit"},
		{name: "forbidden", faults: []neontest.Fault{{Route: "POST *", Status: 403}}, says: "403", remedy: "may not change this"},
		{name: "no string", faults: []neontest.Fault{{Route: anyOperation, Status: 403}}, says: "403"},
	} {
		sim, p, n, tenant := creator(t, neontest.Options{}, neontest.Spec{}, nil)
		check := func(err error, url fleet.Secret, names []string) {
			t.Helper()
			if len(names) != test.made {
				t.Errorf("%s: there are %v", test.name, names)
			}
			if test.says == "" {
				if err != nil || run(t, url.Reveal(), "select 'here'") != "here" {
					t.Errorf("%s: %v", test.name, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(fleet.Remedy(err), test.remedy) {
				t.Errorf("%s: error is %v, remedy %q; want %q, %q", test.name, err, fleet.Remedy(err), test.says, test.remedy)
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
			_, url, err := n.CreateBranch(t.Context(), tenant, "x", time.Time{})
			check(err, url, branchNames(t, sim, p.ID))
			if test.name == "dropped" {
				return // looking for it in vain takes seconds, and is the same
			}
			arm()
			_, url, err = n.CreateProject(t.Context(), tenant, "x")
			check(err, url, projectNames(t, sim, p.ID))
		})
	}
}

// tap serves a simulator and lets a test step in at each call: the calls are numbered from 1 on. after is called when the
// simulator is done with a call and its answer is still here; where it returns false the answer is lost.
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

// tapped is a source whose calls go through the tap.
func tapped(t *testing.T, p *tap) *Neon {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return neonSource(t, map[string]string{"neon-api-key": neontest.OrgKey, "neon-api-url": server.URL + neontest.BasePath})
}

func TestNeonFindsWhatItMadeWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	sim, p, _, tenant := creator(t, neontest.Options{}, neontest.Spec{}, nil)
	n := tapped(t, &tap{sim: sim, after: func(_ int, r *http.Request) bool { return r.Method != http.MethodPost }})
	branch, url, err := n.CreateBranch(t.Context(), tenant, "x", time.Time{})
	if err != nil || run(t, url.Reveal(), "select 'here'") != "here" || branch == "" {
		t.Errorf("%q, %v", branch, err)
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

// The run ends at each call there is, when it arrives and when it has been done: nothing that was made stays.
func TestNeonLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	create := map[string]func(ctx context.Context, n *Neon, t fleet.Tenant) error{
		"branch": func(ctx context.Context, n *Neon, t fleet.Tenant) error {
			_, _, err := n.CreateBranch(ctx, t, "x", time.Time{})
			return err
		},
		"project": func(ctx context.Context, n *Neon, t fleet.Tenant) error {
			_, _, err := n.CreateProject(ctx, t, "x")
			return err
		},
	}
	var group sync.WaitGroup // as above
	defer group.Wait()
	slots := make(chan struct{}, 8)
	for kind, create := range create {
		for call := 1; call <= 5; call++ { // a branch: list, POST, two operations, URI; a project: its like, list, POST, two operations
			for _, done := range []bool{false, true} {
				slots <- struct{}{}
				sim, p, _, tenant := creator(t, neontest.Options{}, neontest.Spec{}, nil)
				ctx, cancel := context.WithCancelCause(t.Context())
				var stopped atomic.Pointer[time.Time]
				stop := func(n int, now bool) {
					if at := time.Now(); now && n == call {
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
					what := fmt.Sprintf("%s, call %d, done %t", kind, call, done)
					err := create(ctx, n, tenant)
					if at := stopped.Load(); at == nil {
						t.Errorf("%s: there is no such call; %v", what, err)
					} else if took := time.Since(*at); took > 6*time.Second {
						t.Errorf("%s: ended %s after the stop", what, took)
					}
					if err == nil {
						return // all was there before the stop was noticed, and is the caller's
					}
					if b, q := branchNames(t, sim, p.ID), projectNames(t, sim, p.ID); len(b)+len(q) > 0 {
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
		if r.Method == http.MethodPost { // it is made, and its operations have begun
			time.AfterFunc(time.Second, cancel)
		}
		return true
	}})
	group.Go(func() {
		defer cancel()
		began := time.Now()
		_, _, err := n.CreateBranch(ctx, tenant, "x", time.Time{})
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("ended after %s", took)
		}
		names := branchNames(t, slow, p.ID)
		if !errors.Is(err, context.Canceled) || len(names) != 1 || !strings.Contains(err.Error(), `branch "x" (br-`) || !strings.Contains(fleet.Remedy(err), "delete branch") {
			t.Errorf("%v, remedy %q, left %v", err, fleet.Remedy(err), names)
		}
	})
	// Where the run goes on, deleting waits for the operations.
	sim, q, m, other := creator(t, neontest.Options{OperationTime: 2 * time.Second}, neontest.Spec{}, nil)
	sim.Fail(neontest.Fault{Route: "GET /projects/{project_id}/operations/*", Status: http.StatusForbidden})
	if _, _, err := m.CreateBranch(t.Context(), other, "x", time.Time{}); !neon.IsStatus(err, http.StatusForbidden) || strings.Contains(err.Error(), "is left") {
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
			{"id": "active", "compute_last_active_at": "2026-11-20T10:00:00.5Z"}, {"id": "never", "compute_last_active_at": "0001-01-01T00:00:00Z"},
			{"id": "silent"}, {"id": "null", "compute_last_active_at": nil},
		}},
		"/projects/unlisted": object{"project": object{"id": "unlisted", "compute_last_active_at": "2026-11-20T10:00:00.5Z"}},
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
