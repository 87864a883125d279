package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/remedies"
)

const (
	// discardGrace is how long after the run's end a half-created resource may still be deleted: half a second less
	// than a cancelled job is given, so that the error that names what is left can still be reported.
	discardGrace = 4500 * time.Millisecond
	// discardBudget is how long deleting it may take while the run goes on.
	discardBudget = 30 * time.Second
	// Neon refuses to delete what it is still creating. One attempt takes up to discardTry, including retries of its
	// own with growing pauses; the next begins discardPause later.
	discardTry   = 1500 * time.Millisecond
	discardPause = 200 * time.Millisecond
)

// CreateProject implements [fleet.ProjectMaker]. The project has the database and the role of the source's inputs, for
// which url is the direct connection string; if like has no id, Neon chooses region and version. A project that cannot
// be completed, or whose run ends, is deleted again. Errors: [*neon.ExistsError] if a project of that name exists.
func (n *Neon) CreateProject(
	ctx context.Context, like fleet.Tenant, name string,
) (id string, url fleet.Secret, err error) {
	late, stop := grace.Context(ctx, discardGrace)
	defer stop()
	spec := neon.ProjectSpec{Name: name, OrgID: n.orgID, Database: n.database, Role: n.role}
	if like.ID != "" {
		p, err := n.project(ctx, like.ID)
		if err != nil {
			return "", fleet.Secret{}, err
		}
		spec.Region, spec.PgVersion = p.RegionID, p.PgVersion
		if p.OrgID != "" {
			spec.OrgID = p.OrgID
		}
	}
	created, err := n.client.CreateProject(ctx, spec)
	if err != nil {
		return "", fleet.Secret{}, changeRemedy(err)
	}
	url, err = n.await(ctx, fleet.Tenant{Name: name, ID: created.ID}, "", created.URI, created.Operations)
	switch what := fmt.Sprintf("project %q (%s)", name, created.ID); {
	case err != nil && created.Found:
		// It was found by its name, and a project is too much to delete on a guess.
		err = withRemains(err, what, errors.New("the answer to creating it was lost, so it may not be this run's"))
	case err != nil:
		err = discard(late, err, what, func(ctx context.Context) error {
			return n.client.DeleteProject(ctx, created.ID)
		})
	}
	if err != nil {
		return "", fleet.Secret{}, fmt.Errorf("create project %q: %w", name, err)
	}
	n.remember(created.Project)
	return created.ID, url, nil
}

// DeleteProject implements [fleet.ProjectMaker].
func (n *Neon) DeleteProject(ctx context.Context, _ fleet.Tenant, id string) error {
	return changeRemedy(n.client.DeleteProject(ctx, id))
}

// LastActive implements [fleet.Activity] with the latest activity of any of the project's computes, as of the listing.
func (n *Neon) LastActive(ctx context.Context, t fleet.Tenant) (at time.Time, known bool, err error) {
	p, err := n.project(ctx, t.ID)
	return p.ComputeLastActiveAt, !p.ComputeLastActiveAt.IsZero(), err
}

// Computes implements [fleet.Activity]. What counts is the list of the projects, which is made if there is none yet.
func (n *Neon) Computes(ctx context.Context) (fleet.Computes, error) {
	n.mu.Lock()
	at := n.listedAt
	n.mu.Unlock()
	if at.IsZero() {
		at = time.Now()
		if _, _, err := n.list(ctx); err != nil {
			return fleet.Computes{}, keyRemedy(err)
		}
	}
	of := func(t fleet.Tenant) (fleet.Compute, bool) {
		p, ok := n.listed(t.ID)
		return fleet.Compute{
			LastActive: p.ComputeLastActiveAt, ChangedAt: p.UpdatedAt, SuspendAfter: p.SuspendAfter(), MinUnits: p.MinUnits(),
		}, ok
	}
	ahead, known := n.client.Ahead()
	return fleet.Computes{Of: of, At: at, Ahead: ahead, AheadKnown: known}, nil
}

// listed returns a project as it was listed; ok is false if it was not.
func (n *Neon) listed(id string) (p neon.Project, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.projects[id]; p != nil {
		return *p, true
	}
	return neon.Project{}, false
}

// project returns a project as it was listed, or else as Neon has it now.
func (n *Neon) project(ctx context.Context, id string) (neon.Project, error) {
	if p, ok := n.listed(id); ok {
		return p, nil
	}
	p, err := n.client.Project(ctx, id)
	if err != nil {
		return neon.Project{}, keyRemedy(err)
	}
	return *p, nil
}

// await waits for the operations that create a project or branch, and returns its connection string. uri is that string
// if Neon has given it already.
func (n *Neon) await(
	ctx context.Context, t fleet.Tenant, branchID, uri string, operations []neon.Operation,
) (fleet.Secret, error) {
	err := n.client.WaitOperations(ctx, t.ID, operations)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fleet.Secret{}, err
	}
	if uri == "" {
		if uri, err = n.client.ConnectionURI(ctx, t.ID, branchID, n.database, n.role, false); err != nil {
			return fleet.Secret{}, n.explainURI(ctx, t, branchID, err)
		}
	}
	return completeURI(t.ID, uri)
}

// discard deletes a half-created resource and returns err, why it could not be completed. If deleting fails too, the
// error says what is left.
func discard(ctx context.Context, err error, what string, remove func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, discardBudget)
	defer cancel()
	for {
		try, end := context.WithTimeout(ctx, discardTry)
		refused := remove(try)
		end()
		if refused == nil {
			return err
		}
		if final(refused) {
			return withRemains(err, what, refused)
		}
		select {
		case <-time.After(discardPause):
		case <-ctx.Done():
			return withRemains(err, what, refused)
		}
	}
}

// final reports whether Neon will refuse a request again in the same way. While it is still creating something it
// answers 423 Locked to a request to delete it.
func final(err error) bool {
	var e *neon.Error
	return errors.As(err, &e) && e.Status >= 400 && e.Status < 500 &&
		e.Status != http.StatusLocked && e.Status != http.StatusTooManyRequests
}

// withRemains adds to an error that something half-created is left, and why it was not deleted.
func withRemains(err error, what string, why error) error {
	remedy := "delete " + what + " in Neon's console if nothing uses it"
	if first := remedies.Of(err); first != "" {
		remedy = first + "; and " + remedy
	}
	return fleet.WithRemedy(fmt.Errorf("%w; %s is left: %w", err, what, why), remedy)
}

// changeRemedy is [keyRemedy] for a call that changes something.
func changeRemedy(err error) error {
	var e *neon.Error
	if !errors.As(err, &e) || errors.As(err, new(*neon.UnknownOutcomeError)) || e.Method == http.MethodGet {
		return keyRemedy(err)
	}
	switch {
	case e.Code == "BRANCHES_LIMIT_EXCEEDED":
		return fleet.WithRemedy(err, "the project has as many branches as the plan allows: delete some (mode "+
			"delete-branches, or Neon's console), let new ones expire with branch-expires-in, or upgrade the plan")
	case e.Code == "PROJECTS_LIMIT_EXCEEDED":
		return fleet.WithRemedy(err, "the account has as many projects as the plan allows: delete those that are no longer "+
			"needed (mode drop-tenant, or Neon's console), or upgrade the plan")
	case e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests &&
		strings.Contains(strings.ToLower(e.Message), "limit"):
		return fleet.WithRemedy(err, "the plan's limit is reached: delete what is no longer needed in Neon's console "+
			"(branches, projects), or upgrade the plan")
	case e.Status == http.StatusForbidden:
		return fleet.WithRemedy(err, "the key in neon-api-key may not change this: use a key of the organization that "+
			"owns the projects, or a personal key of one of its admins (a key of one project cannot create or delete "+
			"projects)")
	}
	return keyRemedy(err)
}
