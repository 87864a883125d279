package source

import (
	"context"
	"errors"
	"net/http"
	"strings"
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

// creator returns a simulator with one project, and a source that has listed it.
func creator(
	t *testing.T, o neontest.Options, spec neontest.Spec, inputs map[string]string,
) (*neontest.Server, neontest.Project, *Neon, fleet.Tenant) {
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

// branchNames lists a project's branches except its first one, as another client sees them.
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

// projectNames lists the projects except the first one.
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
	sim, p, n, tenant := creator(t, neontest.Options{OperationTime: 500 * time.Millisecond},
		neontest.Spec{Name: "acme"}, nil)
	run(t, p.URL, "create table t as select 'parent' as v")
	began := time.Now()
	first, url, err := n.CreateBranch(t.Context(), tenant, fleet.BranchSpec{Name: "rehearse/1"})
	if err != nil || time.Since(began) < 500*time.Millisecond {
		t.Fatalf("%v after %s", err, time.Since(began))
	}
	run(t, url.Reveal(), "update t set v = 'child' returning v")
	if got := run(t, p.URL, "select v from t"); got != "parent" {
		t.Errorf("the parent has %q", got)
	}
	again, err := n.BranchURL(t.Context(), tenant, first.ID, false)
	if err != nil || run(t, again.Reveal(), "select v from t") != "child" {
		t.Errorf("its connection string: %v", err)
	}
	var exists *fleet.ExistingBranch
	_, _, err = n.CreateBranch(t.Context(), tenant, fleet.BranchSpec{Name: "rehearse/1"})
	if !errors.As(err, &exists) || exists.ID != first.ID || fleet.Remedy(err) == "" {
		t.Errorf("a second one of the name: %v", err)
	}
	// From the branch that neon-branch names, and right after another change: Neon answers 423 until that is done.
	other := simulated(t, sim, map[string]string{"neon-branch": "rehearse/1"})
	second, url, err := other.CreateBranch(t.Context(), tenant, fleet.BranchSpec{Name: "rehearse/2"})
	if err != nil || run(t, url.Reveal(), "select v from t") != "child" {
		t.Fatalf("%v", err)
	}
	if own, err := other.OwnBranch(t.Context(), tenant); err != nil || own.ID != first.ID || own.Default {
		t.Errorf("the tenant's own branch: %+v, %v", own, err)
	}
	for _, id := range []string{second.ID, first.ID, first.ID} { // a parent after its child, and one twice
		if err := n.DeleteBranch(t.Context(), tenant, id); err != nil {
			t.Error(err)
		}
	}
	if names := branchNames(t, sim, p.ID); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	expiring := fleet.BranchSpec{Name: "brief", ExpiresAt: time.Now().Add(time.Hour)}
	if _, _, err := n.CreateBranch(t.Context(), tenant, expiring); err != nil {
		t.Fatal(err)
	}
	if err := n.DeleteBranch(t.Context(), tenant, p.BranchID); err == nil ||
		!strings.Contains(err.Error(), "default branch") {
		t.Errorf("deleting the default branch: %v", err)
	}
	if names := branchNames(t, sim, p.ID); len(names) != 1 {
		t.Errorf("there are %v", names)
	}
	if err := sim.Advance(t.Context(), 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	if names := branchNames(t, sim, p.ID); len(names) > 0 {
		t.Errorf("not expired: %v", names)
	}
}

func TestNeonCreateProject(t *testing.T) {
	t.Parallel()
	inputs := map[string]string{"database-name": "app", "role-name": "me"}
	sim, p, n, tenant := creator(t, neontest.Options{}, neontest.Spec{Name: "acme", Region: "aws-eu-central-1",
		PgVersion: 16, Database: "app", Role: "me"}, inputs)
	for _, like := range []fleet.Tenant{tenant, {}} {
		name := "restored like " + like.Name
		id, url, err := n.CreateProject(t.Context(), like, name)
		if err != nil {
			t.Fatal(err)
		}
		run(t, url.Reveal(), "create table t as select 1::text")
		created, err := observer(sim).Project(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if like.ID != "" && (created.RegionID != "aws-eu-central-1" || created.PgVersion != 16) ||
			created.Name != name ||
			created.OrgID != neontest.DefaultOrg {
			t.Errorf("created %+v", created)
		}
		if again, err := n.URL(t.Context(), fleet.Tenant{ID: id}); err != nil ||
			run(t, again.Reveal(), "select * from t") != "1" {
			t.Errorf("by its id: %v", err)
		}
		var exists *neon.ExistsError
		if _, _, err := n.CreateProject(t.Context(), like, name); !errors.As(err, &exists) || exists.ID != id {
			t.Errorf("a second one of the name: %v", err)
		}
	}
	// A source that has listed nothing asks Neon.
	id, _, err := simulated(t, sim, inputs).CreateProject(t.Context(), tenant, "unlisted")
	if created, _ := observer(sim).Project(t.Context(), id); err != nil || created.PgVersion != 16 {
		t.Errorf("%+v, %v", created, err)
	}
	if _, _, err := n.CreateProject(t.Context(), fleet.Tenant{ID: "none"}, "x"); !neon.IsStatus(err,
		http.StatusNotFound) || fleet.Remedy(err) == "" {
		t.Errorf("like one that is not there: %v", err)
	}
	scoped := simulated(t, sim, map[string]string{"neon-api-key": sim.ProjectKeyFor(p.ID)})
	if _, _, err := scoped.CreateProject(t.Context(), tenant, "x"); err == nil ||
		!strings.Contains(fleet.Remedy(err), "a key of one project cannot create") {
		t.Errorf("with a project's key: %v, remedy %q", err, fleet.Remedy(err))
	}
	if names := projectNames(t, sim, p.ID); len(names) != 3 {
		t.Errorf("projects: %v", names)
	}
}

// A tenant of that name would be left out of every run.
func TestNoTenantIsNamedAsARestoresCopy(t *testing.T) {
	n := &Neon{}
	name := fleet.RestoredName("Payroll Inc", time.Now(), time.Now())
	if err := n.CheckName(name); err == nil || !strings.Contains(err.Error(), "mode restore made") {
		t.Errorf("%s: %v", name, err)
	}
}
