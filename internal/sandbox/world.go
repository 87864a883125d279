package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// customers are the sandbox's tenants. The first four are the ones of the blog post that this project grew from.
var customers = []string{"ACME Corp", "Payroll Inc", "Finance Co", "Talent Biz", "Initech", "Globex"}

// fleet is the repository on the sandbox's GitHub, with two environments and a pull request, in an organization of its
// own.
const (
	fleet       = "acme/fleet"
	pullRequest = 7
)

// world is all that the action talks to: PostgreSQL, Neon's API in front of it, a store for backups, GitHub's API for
// secrets and variables, and its issuer of identity tokens, which the store trusts.
type world struct {
	postgres *pgtest.Server
	neon     *neontest.Server
	github   *githubtest.Server
	issuer   *githubtest.Issuer
	store    store
	projects map[string]neontest.Project // by tenant's name
}

// startWorld starts them all and adds the tenants. One of them sleeps until it is connected to, as idle computes do.
func startWorld(ctx context.Context, port, tenants int) (w *world, err error) {
	w = &world{projects: map[string]neontest.Project{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	if w.postgres, err = pgtest.Start(ctx, pgtest.Options{}); err != nil {
		return w, err
	}
	if w.github, err = githubtest.Start(githubtest.Options{}); err != nil {
		return w, err
	}
	w.github.AddOrganization("acme")
	w.github.AddRepository(fleet)
	w.github.AddEnvironment(fleet, "production")
	w.github.AddEnvironment(fleet, "staging")
	w.github.AddPullRequest(fleet, pullRequest)
	if w.issuer, err = githubtest.StartIssuer(githubtest.IssuerOptions{}); err != nil {
		return w, err
	}
	s, err := startStore(ctx, w.issuer)
	if err != nil {
		return w, err // whose store is none, but need not be nil
	}
	w.store = s
	if w.neon, err = neontest.New(w.postgres, neontest.Options{Port: port}); err != nil {
		return w, err
	}
	if err = w.neon.Start(); err != nil {
		return w, err
	}
	specs := make([]neontest.Spec, tenants)
	for i := range specs {
		specs[i].Name = fmt.Sprintf("Customer %d", i+1)
		if i < len(customers) {
			specs[i].Name = customers[i]
		}
		specs[i].Suspended = specs[i].Name == "Talent Biz"
	}
	added, err := w.neon.AddProjects(ctx, specs...)
	if err != nil {
		return w, err
	}
	for _, p := range added {
		w.projects[p.Name] = p
	}
	return w, nil
}

func (w *world) stop() error {
	var err error
	if w.neon != nil {
		err = w.neon.Close()
	}
	if w.store != nil {
		err = errors.Join(err, w.store.stop())
	}
	if w.issuer != nil {
		err = errors.Join(err, w.issuer.Close())
	}
	if w.github != nil {
		err = errors.Join(err, w.github.Close())
	}
	if w.postgres != nil {
		err = errors.Join(err, w.postgres.Stop())
	}
	return err
}

// environment is what a client needs to know.
func (w *world) environment() [][2]string {
	return slices.Concat([][2]string{
		{"NEON_API_URL", w.neon.URL()},
		{"NEON_API_KEY", neontest.OrgKey},
		{"NEON_ORG_ID", neontest.DefaultOrg},
	}, w.store.environment(), [][2]string{
		{"ACTIONS_ID_TOKEN_REQUEST_URL", w.issuer.RequestURL},
		{"ACTIONS_ID_TOKEN_REQUEST_TOKEN", w.issuer.RequestToken},
		{"GITHUB_API_URL", w.github.URL},
		{"GITHUB_REPOSITORY", fleet},
		{"GITHUB_TOKEN", githubtest.DefaultToken},
		{"RESTORE_URL", w.postgres.URL("postgres")},
	})
}
