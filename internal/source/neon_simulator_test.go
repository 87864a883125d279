package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// simulate serves Neon's API over the shared PostgreSQL server.
func simulate(t *testing.T, o neontest.Options, specs ...neontest.Spec) (*neontest.Server, []neontest.Project) {
	t.Helper()
	sim, err := neontest.New(pgtest.Shared(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	projects, err := sim.AddProjects(t.Context(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	return sim, projects
}

// alike returns n projects on one database.
func alike(t *testing.T, n int) []neontest.Spec {
	database := pgtest.Database(t)
	specs := make([]neontest.Spec, n)
	for i := range specs {
		specs[i] = neontest.Spec{Name: fmt.Sprintf("tenant %04d", i), SharedDatabase: database}
	}
	return specs
}

func simulated(t *testing.T, sim *neontest.Server, inputs map[string]string) *Neon {
	t.Helper()
	all := map[string]string{"neon-api-key": neontest.PersonalKey, "neon-api-url": sim.URL()}
	for name, value := range inputs {
		all[name] = value
	}
	return neonSource(t, all)
}

// resolve asks for every tenant's connection string with so many workers.
func resolve(t *testing.T, n *Neon, tenants []fleet.Tenant, workers int) {
	t.Helper()
	next := make(chan fleet.Tenant)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for tenant := range next {
				if url, err := n.URL(t.Context(), tenant); err != nil ||
					!strings.HasPrefix(url.Reveal(), "postgresql://") {
					t.Errorf("%s: %v", tenant.Name, err)
				}
			}
		})
	}
	for _, tenant := range tenants {
		next <- tenant
	}
	close(next)
	group.Wait()
}

const uriRoute = "GET /projects/{project_id}/connection_uri"

func TestNeonFindsAThousandAndStaysWithinTheLimits(t *testing.T) {
	t.Parallel()
	specs := alike(t, 1000)
	for _, o := range []neontest.Options{{}, {NoLastCursor: true}} {
		sim, _ := simulate(t, o, specs...)
		n := simulated(t, sim, nil)
		tenants, err := n.Tenants(t.Context())
		if err != nil || len(tenants) != 1000 {
			t.Fatalf("%d tenants, %v", len(tenants), err)
		}
		names := map[string]bool{}
		for _, tenant := range tenants {
			names[tenant.Name] = true
		}
		if len(names) != 1000 {
			t.Errorf("%d different tenants", len(names))
		}
		// One refused call without the organization, then the pages.
		if calls := sim.Calls(); calls.ByRoute["GET /projects"] > 5 ||
			calls.ByRoute["GET /users/me/organizations"] != 1 {
			t.Errorf("calls for the list: %v", calls.ByRoute)
		}
		if o.NoLastCursor {
			continue
		}
		resolve(t, n, tenants[:200], 32)
		calls := sim.Calls()
		if calls.Limited != 0 || calls.MostPerSecond[uriRoute] > 40 {
			t.Errorf("%d calls refused; at most %d in a second", calls.Limited, calls.MostPerSecond[uriRoute])
		}
		for _, tenant := range tenants[:200] {
			if routes := calls.ByProject[tenant.ID]; len(routes) != 1 || routes[uriRoute] != 1 {
				t.Errorf("%s took the calls %v, want one", tenant.Name, routes)
			}
		}
	}
}

func TestNeonGetsThroughEveryFault(t *testing.T) {
	t.Parallel()
	sim, _ := simulate(t, neontest.Options{}, alike(t, 30)...)
	for _, f := range []neontest.Fault{
		{Status: 503, Times: 3},
		{Status: http.StatusLocked, Times: 2, RetryAfter: "1"},
		{Status: 524, Times: 3},
		{Status: 500, Times: 1},
		{Drop: true, Times: 3},
		{Delay: 300 * time.Millisecond, Times: 10},
		{Status: http.StatusTooManyRequests, Times: 1, RetryAfter: "1"},
		{Status: http.StatusTooManyRequests, Times: 1, RetryAfter: time.Now().Add(2 * time.Second).UTC().Format(
			http.TimeFormat)},
		{Status: http.StatusTooManyRequests, Times: 2},
	} {
		f.Route = uriRoute
		sim.Fail(f)
	}
	sim.Fail(neontest.Fault{Route: "GET /projects", Status: 524, Times: 1})
	n := simulated(t, sim, nil)
	tenants, err := n.Tenants(t.Context())
	if err != nil || len(tenants) != 30 {
		t.Fatalf("%d tenants, %v", len(tenants), err)
	}
	resolve(t, n, tenants, 16)
}

func TestNeonReadsUnavailableProjectsOneByOne(t *testing.T) {
	t.Parallel()
	sim, projects := simulate(t, neontest.Options{}, alike(t, 30)...)
	late, never := projects[4].ID, projects[9].ID
	sim.Unavailable([]string{late, never}, 0)
	sim.Fail(neontest.Fault{Route: "GET /projects/{project_id}", Project: never, Status: http.StatusForbidden})
	n := simulated(t, sim, map[string]string{"neon-org-id": neontest.DefaultOrg})
	tenants, err := n.Tenants(t.Context())
	var incomplete *fleet.IncompleteError
	if !errors.As(err, &incomplete) || len(incomplete.Missing) != 1 || incomplete.Missing[0] != never ||
		len(tenants) != 29 {
		t.Errorf("%d tenants, %v; want 29 and %s missing", len(tenants), err, never)
	}
}

func TestNeonRefusalsSayWhichInput(t *testing.T) {
	t.Parallel()
	sim,
		_ := simulate(t,
		neontest.Options{Orgs: []neontest.Org{{ID: "org-a", Name: "Acme"}, {ID: "org-b", Name: "Beta"}}},
		alike(t, 1)...)
	for _, test := range []struct{ key, value, says, remedy string }{
		{"neon-api-key", "napi_wrong", "401", "neon-api-key is wrong"},
		{"neon-org-id", "", "org-a (Acme), org-b (Beta)", "set neon-org-id"},
	} {
		_, err := simulated(t, sim, map[string]string{test.key: test.value}).Tenants(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.says) ||
			!strings.Contains(fleet.Remedy(err), test.remedy) {
			t.Errorf("%s: %v, remedy %q", test.key, err, fleet.Remedy(err))
		}
	}
}

// Connects to projects in every state with the real driver, through the simulator's proxy.
func TestNeonDiagnosesRealConnections(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		spec          neontest.Spec
		inputs        map[string]string
		cause, remedy string // of resolving or connecting; empty: connects
	}{
		{spec: neontest.Spec{Name: "healthy"}},
		{spec: neontest.Spec{Name: "disabled", Disabled: true}, cause: disabled, remedy: "enable the compute"},
		{spec: neontest.Spec{Name: "quota", QuotaExceeded: true}, cause: quota, remedy: "raise"},
		{spec: neontest.Spec{Name: "allow list", AllowedIPs: []string{"10.1.2.3"}}, cause: allowList,
			remedy: "no fixed address"},
		{spec: neontest.Spec{Name: "blocked", BlockPublic: true}, cause: blocked, remedy: "self-hosted"},
		{spec: neontest.Spec{Name: "no passwords", NoStorePasswords: true}, cause: "connection string",
			remedy: noPasswords},
		{spec: neontest.Spec{Name: "database", Database: "app"}, cause: `no database "neondb"`, remedy: `"app"`},
		{spec: neontest.Spec{Name: "role", Role: "me"}, cause: `no role "neondb_owner"`, remedy: `"me"`},
		{spec: neontest.Spec{Name: "branch"}, inputs: map[string]string{"neon-branch": "staging"},
			cause: `no branch named "staging"`, remedy: `"main"`},
		{spec: neontest.Spec{Name: "branch main"}, inputs: map[string]string{"neon-branch": "main"}},
	} {
		t.Run(test.spec.Name, func(t *testing.T) {
			t.Parallel()
			sim, _ := simulate(t, neontest.Options{}, test.spec)
			n := simulated(t, sim, test.inputs)
			tenants, err := n.Tenants(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			url, err := n.URL(t.Context(), tenants[0])
			if err == nil {
				err = n.Diagnose(t.Context(), tenants[0], connect(t.Context(), url.Reveal()))
			}
			if test.cause == "" {
				if err != nil {
					t.Errorf("did not connect: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.cause) ||
				!strings.Contains(fleet.Remedy(err), test.remedy) {
				t.Errorf("error is %v, remedy %q; want %q, %q", err, fleet.Remedy(err), test.cause, test.remedy)
			}
		})
	}
}

func connect(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return conn.Close(ctx)
}
