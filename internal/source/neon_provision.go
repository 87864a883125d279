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
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// creation is how new projects are created. It is zero except in the mode that creates them.
type creation struct {
	region    string
	pgVersion int
	settings  neon.ProjectSettings
	given     []string // the names of the settings
}

// newestOffered leaves it to Neon which majors there are: a new one comes to some regions first.
const newestOffered = 99

// region is the form of Neon's regions: a cloud, a place and perhaps a number.
var region = regexp.MustCompile(`^(aws|azure)-[a-z0-9]+(-[a-z0-9]+)*$`)

// regionLike is the region that somebody most likely means who writes it otherwise, as AWS does for example.
func regionLike(text string) string {
	text = strings.ToLower(text)
	switch {
	case region.MatchString(text):
		return text
	case region.MatchString("aws-"+text) && strings.Count(text, "-") == 2:
		return "aws-" + text
	}
	return "aws-eu-central-1"
}

// readCreation reads the inputs about new projects.
func (n *Neon) readCreation(in *input.Reader) {
	n.creation = creation{
		region:    in.String("neon-region"),
		pgVersion: in.Int("neon-pg-version", postgres.OldestMajor, newestOffered),
	}
	if !region.MatchString(n.creation.region) {
		in.Mistake("neon-region", "%q is not a Neon region, which begins with aws- or azure- and is in lower case; write "+
			"for example neon-region: %s", n.creation.region, regionLike(n.creation.region))
	}
	read := parseSettings(in.Text("neon-settings"))
	for _, mistake := range read.mistakes {
		in.Mistake("neon-settings", "%s", mistake)
	}
	n.creation.settings, n.creation.given = read.settings, read.given
}

// CheckName implements [fleet.Provisioner] with what Neon accepts as a project's name and a log can show.
func (n *Neon) CheckName(name string) error {
	const most = 256
	switch {
	case !utf8.ValidString(name):
		return errors.New("is not valid UTF-8")
	case utf8.RuneCountInString(name) > most:
		return fmt.Errorf("has %d characters, and Neon allows %d", utf8.RuneCountInString(name), most)
	case strings.TrimSpace(name) != name || name == "":
		return errors.New("is empty, or begins or ends with a space")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("contains a line break or another control character")
	case fleet.IsRestored(name):
		return errors.New("ends as the name of a project that mode restore made, which is no tenant")
	}
	return nil
}

// CheckExisting implements [fleet.Provisioner]. Whatever an existing project holds, it is a tenant already, because
// Neon's own list of projects is that of tenants.
func (n *Neon) CheckExisting(context.Context, string, []string, *slog.Logger) (bool, error) {
	return false, nil
}

// Create implements [fleet.Provisioner]. Neon allows several projects of one name, so it looks for one before it
// creates one, and again afterwards: if two runs created one at the same time, the later run deletes its own.
func (n *Neon) Create(
	ctx context.Context, name string, _ []string, log *slog.Logger,
) (t fleet.Tenant, created bool, err error) {
	if err := n.CheckName(name); err != nil {
		return fleet.Tenant{}, false, fmt.Errorf("project name %q %w", name, err)
	}
	var project *neon.NewProject
	for {
		p, found, lookErr := n.onlyProject(ctx, name)
		if lookErr != nil {
			return fleet.Tenant{}, false, lookErr
		}
		if found {
			t, err = n.adopt(ctx, p, log)
			return t, false, err
		}
		project, err = n.client.CreateProject(ctx, neon.ProjectSpec{
			Name: name, OrgID: n.orgID, Database: n.database, Role: n.role,
			Region: n.creation.region, PgVersion: n.creation.pgVersion, Settings: n.creation.settings,
		})
		if !errors.As(err, new(*neon.ExistsError)) { // created in between; the next look finds it
			break
		}
	}
	if unknown := (*neon.UnknownOutcomeError)(nil); errors.As(err, &unknown) && len(unknown.Candidates) == 0 {
		return fleet.Tenant{}, false, fleet.WithRemedy(err,
			"run again with the same name: if the project was created after all, it is used then")
	}
	if err != nil {
		return fleet.Tenant{}, false, settingsRemedy(err, n.creation.given)
	}
	t = fleet.Tenant{Name: name, ID: project.ID}
	log.Info("created the project", "id", project.ID, "region", project.RegionID, "postgres", project.PgVersion,
		"settings", words.List(n.creation.given, 0))
	if err := n.client.WaitOperations(ctx, project.ID, project.Operations); err != nil {
		return t, true, fmt.Errorf("project %q (%s) was created, but may not have started yet: %w", name, project.ID,
			err)
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

// How long to wait until other runs have deleted their projects of the same name, and how often to look.
const (
	settleTimeout  = 30 * time.Second
	settleInterval = 500 * time.Millisecond
)

// settlement is what to do about the projects that have the name of a tenant to create.
type settlement int

const (
	settled      settlement = iota // there is one project at most
	deleteOwn                      // another run's project was first
	waitForOther                   // another run is about to delete its project
)

// oldestFirst orders projects of one name by Neon's clock, which every run reads alike. own is the one that this run
// created, which a listing may not have yet; nil if it created none.
func oldestFirst(named []neon.Project, own *neon.NewProject) []neon.Project {
	named = slices.Clone(named)
	if own != nil && !slices.ContainsFunc(named, func(p neon.Project) bool { return p.ID == own.ID }) {
		named = append(named, own.Project)
	}
	slices.SortFunc(named, func(a, b neon.Project) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return named
}

// decide returns what to do about the projects of one name: the oldest is kept. own is never deleted if it was only
// found by its name, because then it may not be this run's.
func decide(oldestFirst []neon.Project, own *neon.NewProject) settlement {
	switch {
	case len(oldestFirst) <= 1:
		return settled
	case own != nil && oldestFirst[0].ID != own.ID && !own.Found:
		return deleteOwn
	}
	return waitForOther
}

// onlyProject returns the project of the name; found is false if there is none. If there are several, other runs may
// have created them at the same time, and it waits until all but one are deleted.
func (n *Neon) onlyProject(ctx context.Context, name string) (p neon.Project, found bool, err error) {
	named, _, err := n.untilSettled(ctx, name, nil)
	if err != nil || len(named) == 0 {
		return neon.Project{}, false, err
	}
	return named[0], true, nil
}

// settle returns the project that is kept if another run may have created one of the same name at the same time. Each
// run sees the other's, because a project takes longer to start than a listing to show it; the later run deletes its
// own, which is still empty.
func (n *Neon) settle(ctx context.Context, own *neon.NewProject, log *slog.Logger) (neon.Project, error) {
	named, what, err := n.untilSettled(ctx, own.Name, own)
	switch {
	case err != nil:
		return neon.Project{}, err
	case what == settled:
		return own.Project, nil
	}
	log.Info("another run created a project of the name first; deleting this run's", "id", own.ID, "kept", named[0].ID)
	if err := n.client.DeleteProject(ctx, own.ID); err != nil {
		return neon.Project{}, withRemains(changeRemedy(err), fmt.Sprintf("project %q (%s)", own.Name, own.ID),
			errors.New("two runs created one of the name at the same time"))
	}
	return named[0], nil
}

// untilSettled lists the projects of the name, oldest first, until there is nothing to wait for.
func (n *Neon) untilSettled(
	ctx context.Context, name string, own *neon.NewProject,
) (named []neon.Project, what settlement, err error) {
	for deadline := time.Now().Add(settleTimeout); ; {
		listed, err := n.projectsNamed(ctx, name)
		if err != nil {
			return nil, 0, err
		}
		named = oldestFirst(listed, own)
		if what = decide(named, own); what != waitForOther {
			return named, what, nil
		}
		if time.Now().After(deadline) {
			return nil, 0, several(name, named)
		}
		select {
		case <-time.After(settleInterval):
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("wait for another run that created project %q too: %w", name, context.Cause(ctx))
		}
	}
}

// several is the error of projects of one name, of which none can be taken for the tenant on a guess.
func several(name string, projects []neon.Project) error {
	ids := quoted(projects, func(p neon.Project) string { return p.ID })
	return fleet.WithRemedy(fmt.Errorf("there are %d projects named %q: %s", len(projects), name, ids),
		"rename or delete all but one of them in Neon's console, and run again")
}

// projectsNamed lists the organization's projects of exactly that name.
func (n *Neon) projectsNamed(ctx context.Context, name string) ([]neon.Project, error) {
	projects, err := n.client.ProjectsNamed(ctx, n.orgID, name)
	return projects, keyRemedy(err)
}

// adopt takes an existing project, which may not have started yet, for the tenant.
func (n *Neon) adopt(ctx context.Context, p neon.Project, log *slog.Logger) (fleet.Tenant, error) {
	log.Info("the project exists already", "id", p.ID)
	if len(n.creation.given) > 0 {
		n.notice(fmt.Sprintf("neon-settings is for new projects: %q (%s) exists, and keeps the settings that it has; change "+
			"them in Neon's console", p.Name, p.ID))
	}
	if err := n.client.WaitProject(ctx, p.ID); err != nil {
		return fleet.Tenant{}, fmt.Errorf("wait for the existing project %q (%s): %w", p.Name, p.ID, keyRemedy(err))
	}
	return n.remember(p), nil
}

// remember adds a project to those that are listed.
func (n *Neon) remember(p neon.Project) fleet.Tenant {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.projects[p.ID] = &p
	return fleet.Tenant{Name: p.Name, ID: p.ID}
}

// Register implements [fleet.Provisioner]: Neon lists its projects by itself.
func (n *Neon) Register(context.Context, fleet.Tenant) error { return nil }

// CheckDrop implements [fleet.Provisioner]. Somebody who names a branch may not mean the whole project, which would go.
func (n *Neon) CheckDrop(t fleet.Tenant) error {
	if n.branch == "" {
		return nil
	}
	return fleet.WithRemedy(
		fmt.Errorf("neon-branch names %q, but project %s would be deleted with all its branches", n.branch, t.ID),
		"leave neon-branch out; the backup is then one of the default branch")
}

// CheckDependents implements [fleet.Provisioner]: nothing outside a project depends on it.
func (n *Neon) CheckDependents(context.Context, fleet.Tenant) error { return nil }

// Beside implements [fleet.Provisioner] with the other databases of the project's default branch.
func (n *Neon) Beside(ctx context.Context, t fleet.Tenant) ([]string, error) {
	branch, err := n.defaultBranch(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	databases, err := n.client.Databases(ctx, t.ID, branch.ID)
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

// Drop implements [fleet.Provisioner]. It deletes the whole project.
func (n *Neon) Drop(ctx context.Context, t fleet.Tenant, log *slog.Logger) error {
	err := n.client.DeleteProject(ctx, t.ID)
	if neon.IsStatus(err, http.StatusNotFound) { // the key has just listed it
		log.Info("the project has been deleted already", "id", t.ID)
		return nil
	}
	return changeRemedy(err)
}

// Gone implements [fleet.Provisioner]: a project that is listed is there, whatever a database-name leads to.
func (n *Neon) Gone(context.Context, fleet.Tenant) (bool, error) { return false, nil }

// Recovery implements [fleet.Provisioner].
func (n *Neon) Recovery(t fleet.Tenant) string {
	return fmt.Sprintf("Neon can recover project %s for 7 days (POST /projects/%s/recover)", t.ID, t.ID)
}
