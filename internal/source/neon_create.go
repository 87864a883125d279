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
)

const (
	// What was made in vain is deleted within this after the run's end: half a second less than a cancelled job is given,
	// so that the error that names what is left is still heard.
	discardUntil = 4500 * time.Millisecond
	// and within this where the run goes on
	discardBudget = 30 * time.Second
	// While Neon is still making something it refuses to delete it. So long is one try, which has retries of its own with
	// growing pauses, and the pause before the next.
	discardTry   = 1500 * time.Millisecond
	discardPause = 200 * time.Millisecond
)

// CreateProject makes a Neon project of that name and waits until it can be connected to. It is in the region, the organisation
// and of the Postgres version of like, where like has an id (else of Neon's choice), and has the database and the role
// of the source's inputs, for which url is the direct connection string. A project of the name that is there already is a
// [*neon.ExistsError]. Where it fails or ctx ends, the project that it made is deleted again.
func (n *Neon) CreateProject(ctx context.Context, like fleet.Tenant, name string) (id string, url fleet.Secret, err error) {
	late, stop := grace.Context(ctx, discardUntil)
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
	made, err := n.client.CreateProject(ctx, spec)
	if err != nil {
		return "", fleet.Secret{}, changeRemedy(err)
	}
	url, err = n.await(ctx, fleet.Tenant{Name: name, ID: made.ID}, "", made.URI, made.Operations)
	switch what := fmt.Sprintf("project %q (%s)", name, made.ID); {
	case err != nil && made.Found:
		// Neon did not say that this one is ours, and a project is too much to delete on a guess.
		err = left(err, what, errors.New("the answer that made it was lost, so it may be somebody else's"))
	case err != nil:
		err = discard(late, err, what, func(ctx context.Context) error { return n.client.DeleteProject(ctx, made.ID) })
	}
	if err != nil {
		return "", fleet.Secret{}, fmt.Errorf("create project %q: %w", name, err)
	}
	n.mu.Lock()
	n.projects[made.ID] = made.Project
	n.mu.Unlock()
	return made.ID, url, nil
}

// CreateBranch makes a branch of the tenant's branch (the project's default one, or that of neon-branch) with a compute of its
// own, and waits until it can be connected to. Neon deletes it at expires, unless that is zero. url is its direct connection
// string. A branch of the name that is there already is a [*neon.ExistsError]. Where it fails or ctx ends, the branch that
// it made is deleted again.
func (n *Neon) CreateBranch(ctx context.Context, t fleet.Tenant, name string, expires time.Time) (id string, url fleet.Secret, err error) {
	late, stop := grace.Context(ctx, discardUntil)
	defer stop()
	spec := neon.BranchSpec{Name: name, ExpiresAt: expires}
	if n.branch != "" {
		parent, err := n.findBranch(ctx, t.ID)
		if err != nil {
			return "", fleet.Secret{}, err
		}
		spec.ParentID = parent.ID
	}
	made, err := n.client.CreateBranch(ctx, t.ID, spec)
	if err != nil {
		return "", fleet.Secret{}, changeRemedy(err)
	}
	if url, err = n.await(ctx, t, made.ID, "", made.Operations); err != nil {
		what := fmt.Sprintf("branch %q (%s) of project %s", name, made.ID, t.ID)
		err = discard(late, err, what, func(ctx context.Context) error { return n.client.DeleteBranch(ctx, t.ID, made.ID) })
		return "", fleet.Secret{}, fmt.Errorf("create branch %q: %w", name, err)
	}
	return made.ID, url, nil
}

// DeleteBranch deletes a branch of the tenant's project by its id. One that is not there is no error.
func (n *Neon) DeleteBranch(ctx context.Context, t fleet.Tenant, id string) error {
	return changeRemedy(n.client.DeleteBranch(ctx, t.ID, id))
}

// LastActive implements fleet.Activity: the latest activity of any of the project's computes, as the listing had it, or as
// Neon has it now for a project that was not listed.
func (n *Neon) LastActive(ctx context.Context, t fleet.Tenant) (at time.Time, known bool, err error) {
	p, err := n.project(ctx, t.ID)
	return p.ComputeLastActiveAt, !p.ComputeLastActiveAt.IsZero(), err
}

// project returns a project as it was listed, or as Neon has it now where it was not.
func (n *Neon) project(ctx context.Context, id string) (neon.Project, error) {
	n.mu.Lock()
	listed, known := n.projects[id]
	n.mu.Unlock()
	if known {
		return listed, nil
	}
	p, err := n.client.Project(ctx, id)
	if err != nil {
		return neon.Project{}, keyRemedy(err)
	}
	return *p, nil
}

// await waits for operations and returns the connection string of what they make: uri, where Neon gave it already.
func (n *Neon) await(ctx context.Context, t fleet.Tenant, branchID, uri string, operations []neon.Operation) (fleet.Secret, error) {
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
	if err := checkURI(uri); err != nil {
		return fleet.Secret{}, fmt.Errorf("read the connection string of project %s: %w", t.ID, err)
	}
	return fleet.NewSecret(uri), nil
}

// discard deletes what was made in vain and returns why it was: err, and that it is still there where deleting failed too.
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
		var e *neon.Error
		final := errors.As(refused, &e) && e.Status >= 400 && e.Status < 500 && e.Status != http.StatusLocked && e.Status != http.StatusTooManyRequests
		if final {
			return left(err, what, refused)
		}
		select {
		case <-time.After(discardPause):
		case <-ctx.Done():
			return left(err, what, refused)
		}
	}
}

// left adds to why something was made in vain that it is still there, and why.
func left(err error, what string, why error) error {
	remedy := "delete " + what + " in Neon's console where nothing uses it"
	if first := fleet.Remedy(err); first != "" {
		remedy = first + "; and " + remedy
	}
	return fleet.WithRemedy(fmt.Errorf("%w; %s is left: %w", err, what, why), remedy)
}

// changeRemedy is keyRemedy for a call that changes something.
func changeRemedy(err error) error {
	var e *neon.Error
	if !errors.As(err, &e) || errors.As(err, new(*neon.UnknownOutcomeError)) || e.Method == http.MethodGet {
		return keyRemedy(err)
	}
	switch {
	case e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests && strings.Contains(strings.ToLower(e.Message), "limit"):
		return fleet.WithRemedy(err, "the plan's limit is reached: delete what is no longer needed in Neon's console (branches, projects), or raise the plan")
	case e.Status == http.StatusForbidden:
		return fleet.WithRemedy(err, "the key in neon-api-key may not change this: take a key of the organization that owns the projects, or a personal key "+
			"of one of its admins (a key of one project makes and deletes no projects)")
	}
	return keyRemedy(err)
}
