package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/neon"
)

// creation is what new projects are made with.
type creation struct {
	region    string
	pgVersion int
}

// region is the form of Neon's regions: a cloud, a place, a number or not.
var region = regexp.MustCompile(`^[a-z]+-[a-z0-9]+(-[a-z0-9]+)*$`)

// readCreation reads the inputs about new projects.
func (n *Neon) readCreation(in *input.Reader) {
	n.creation = creation{region: in.String("neon-region"), pgVersion: in.Int("neon-pg-version", 14, 99)}
	if !region.MatchString(n.creation.region) {
		in.Mistake("neon-region", "%q is no region of Neon's; write for example aws-eu-central-1", n.creation.region)
	}
}

// CheckName implements fleet.Provisioner: what Neon takes as a project's name, and what a log can show.
func (n *Neon) CheckName(name string) error {
	const most = 256
	switch {
	case !utf8.ValidString(name):
		return errors.New("is not valid UTF-8")
	case utf8.RuneCountInString(name) > most:
		return fmt.Errorf("has %d characters; Neon takes at most %d", utf8.RuneCountInString(name), most)
	case strings.TrimSpace(name) != name || name == "":
		return errors.New("is empty or begins or ends with a blank")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("has a line break or another control character in it")
	}
	return nil
}

// Create implements fleet.Provisioner. Neon lets names repeat, so a project of the name is looked for before one is
// made, and again after: of two runs that made one at the same time the later made deletes its own.
func (n *Neon) Create(ctx context.Context, name string, log *slog.Logger) (t fleet.Tenant, made bool, err error) {
	if err := n.CheckName(name); err != nil {
		return fleet.Tenant{}, false, fmt.Errorf("project name %q %w", name, err)
	}
	var project *neon.NewProject
	for {
		p, found, lookErr := n.settled(ctx, name)
		if lookErr != nil {
			return fleet.Tenant{}, false, lookErr
		}
		if found {
			t, err = n.adopt(ctx, p, log)
			return t, false, err
		}
		project, err = n.client.CreateProject(ctx, neon.ProjectSpec{
			Name: name, OrgID: n.orgID, Database: n.database, Role: n.role, Region: n.creation.region, PgVersion: n.creation.pgVersion,
		})
		if !errors.As(err, new(*neon.ExistsError)) { // made since, and found by the next look
			break
		}
	}
	if unknown := (*neon.UnknownOutcomeError)(nil); errors.As(err, &unknown) && len(unknown.Candidates) == 0 {
		return fleet.Tenant{}, false, fleet.WithRemedy(err, "run again with the same name: a project that was made all the same is then taken up")
	}
	if err != nil {
		return fleet.Tenant{}, false, changeRemedy(err)
	}
	t = fleet.Tenant{Name: name, ID: project.ID}
	log.Info("made the project", "id", project.ID, "region", project.RegionID, "postgres", project.PgVersion)
	if err := n.client.WaitOperations(ctx, project.ID, project.Operations); err != nil {
		return t, true, fmt.Errorf("project %q (%s) was made, and may not have started yet: %w", name, project.ID, err)
	}
	kept, err := n.settle(ctx, project, log)
	if err != nil {
		return t, true, err
	}
	if kept.ID != project.ID {
		t, err = n.adopt(ctx, kept, log)
		return t, false, err
	}
	return n.remember(kept), true, nil
}

// Settling who made a project first waits so long for another run to delete its own, and looks so often.
const (
	settleUntil = 30 * time.Second
	settleEvery = 500 * time.Millisecond
)

// settled returns the one project of the name; found is false where there is none. Of several, which runs may just have made at the same
// time, all but one soon go.
func (n *Neon) settled(ctx context.Context, name string) (p neon.Project, found bool, err error) {
	for until := time.Now().Add(settleUntil); ; {
		named, err := n.projectsNamed(ctx, name)
		switch {
		case err != nil:
			return neon.Project{}, false, err
		case len(named) == 0:
			return neon.Project{}, false, nil
		case len(named) == 1:
			return named[0], true, nil
		case time.Now().After(until):
			return neon.Project{}, false, several(name, named)
		}
		select {
		case <-time.After(settleEvery):
		case <-ctx.Done():
			return neon.Project{}, false, fmt.Errorf("wait for another run that made project %q too: %w", name, context.Cause(ctx))
		}
	}
}

// settle returns the project that stays where another run may have made one of the same name at the same time: the one
// that was made first, by Neon's clock. The other is deleted by the run that made it, while nothing is in it yet. The time that
// a project takes to start lies between its making and this look, so that each run sees what the other made.
func (n *Neon) settle(ctx context.Context, own *neon.NewProject, log *slog.Logger) (neon.Project, error) {
	until := time.Now().Add(settleUntil)
	for {
		named, err := n.projectsNamed(ctx, own.Name)
		if err != nil {
			return neon.Project{}, err
		}
		if !slices.ContainsFunc(named, func(p neon.Project) bool { return p.ID == own.ID }) {
			named = append(named, own.Project) // which a listing may lag behind
		}
		slices.SortFunc(named, func(a, b neon.Project) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
		switch first := named[0]; {
		case len(named) == 1:
			return own.Project, nil
		case first.ID != own.ID && !own.Found: // Neon's own answer said that it is ours
			log.Info("another run made a project of the name first; deleting this run's", "id", own.ID, "stays", first.ID)
			if err := n.client.DeleteProject(ctx, own.ID); err != nil {
				return neon.Project{}, left(changeRemedy(err), fmt.Sprintf("project %q (%s)", own.Name, own.ID), errors.New("it was made twice at once"))
			}
			return first, nil
		case time.Now().After(until):
			return neon.Project{}, several(own.Name, named)
		}
		select {
		case <-time.After(settleEvery):
		case <-ctx.Done():
			return neon.Project{}, fmt.Errorf("wait for another run that made project %q too: %w", own.Name, context.Cause(ctx))
		}
	}
}

// several refuses to guess which of the projects of one name is the tenant.
func several(name string, projects []neon.Project) error {
	return fleet.WithRemedy(fmt.Errorf("there are %d projects named %q: %s", len(projects), name, quoted(projects, func(p neon.Project) string { return p.ID })),
		"rename or delete the others in Neon's console, and run again")
}

// projectsNamed lists the organisation's projects of exactly that name.
func (n *Neon) projectsNamed(ctx context.Context, name string) ([]neon.Project, error) {
	projects, err := n.client.ProjectsNamed(ctx, n.orgID, name)
	return projects, keyRemedy(err)
}

// adopt takes a project that an earlier run made, which may not have started yet.
func (n *Neon) adopt(ctx context.Context, p neon.Project, log *slog.Logger) (fleet.Tenant, error) {
	log.Info("the project is there already", "id", p.ID)
	if err := n.client.WaitProject(ctx, p.ID); err != nil {
		return fleet.Tenant{}, fmt.Errorf("wait for project %q (%s), which is there already: %w", p.Name, p.ID, keyRemedy(err))
	}
	return n.remember(p), nil
}

func (n *Neon) remember(p neon.Project) fleet.Tenant {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.projects[p.ID] = p
	return fleet.Tenant{Name: p.Name, ID: p.ID}
}

// Register implements fleet.Provisioner: Neon itself lists its projects.
func (n *Neon) Register(context.Context, fleet.Tenant) error { return nil }

// CheckDrop implements fleet.Provisioner. A project goes as a whole, which somebody who names a branch may not mean.
func (n *Neon) CheckDrop(t fleet.Tenant) error {
	if n.branch == "" {
		return nil
	}
	return fleet.WithRemedy(fmt.Errorf("neon-branch names %q, and project %s would be deleted with all its branches", n.branch, t.ID),
		"leave neon-branch out, so that the backup is that of the default branch")
}

// Beside implements fleet.Provisioner: what is in the project's default branch beside the database that is backed up.
func (n *Neon) Beside(ctx context.Context, t fleet.Tenant) ([]string, error) {
	branches, err := n.client.Branches(ctx, t.ID, "")
	if err != nil {
		return nil, keyRemedy(err)
	}
	i := slices.IndexFunc(branches, func(b neon.Branch) bool { return b.Default })
	if i < 0 {
		return nil, fmt.Errorf("project %s has no default branch", t.ID)
	}
	databases, err := n.client.Databases(ctx, t.ID, branches[i].ID)
	if err != nil {
		return nil, keyRemedy(err)
	}
	var more []string
	for _, d := range databases {
		if d.Name != n.database {
			more = append(more, fmt.Sprintf("database %q", d.Name))
		}
	}
	return more, nil
}

// Drop implements fleet.Provisioner: it deletes the whole project, whichever branch neon-branch names.
func (n *Neon) Drop(ctx context.Context, t fleet.Tenant, log *slog.Logger) error {
	err := n.client.DeleteProject(ctx, t.ID)
	if neon.IsStatus(err, http.StatusNotFound) { // the key has just listed it
		log.Info("the project is gone already", "id", t.ID)
		return nil
	}
	return changeRemedy(err)
}

// Recovery implements fleet.Provisioner.
func (n *Neon) Recovery(t fleet.Tenant) string {
	return fmt.Sprintf("Neon can bring project %s back for 7 days (POST /projects/%s/recover)", t.ID, t.ID)
}
