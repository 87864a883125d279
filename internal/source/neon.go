package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/hosts"
	"github.com/org/neon-tenants-action/internal/httpx"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/words"
)

// Neon is the source whose tenants are Neon projects.
type Neon struct {
	client         *neon.Client
	transport      *httpx.Client
	orgID          string // empty: the one that the key sees
	branch         string // a branch's name; empty: each project's default branch
	database, role string // in every project
	creation       creation
	diagnosed      atomic.Int64 // tenants whose diagnosis took calls
	notice         func(string)

	mu       sync.Mutex
	projects map[string]*neon.Project // as they were listed, by id
	listedAt time.Time                // when the last list began; zero: there was none
	copies   int                      // projects that were listed, and left out because mode restore made them
}

var (
	_ fleet.Source       = (*Neon)(nil)
	_ fleet.Diagnoser    = (*Neon)(nil)
	_ fleet.Provisioner  = (*Neon)(nil)
	_ fleet.ProjectMaker = (*Neon)(nil)
	_ fleet.Brancher     = (*Neon)(nil)
	_ fleet.Activity     = (*Neon)(nil)
	_ fleet.Pooler       = (*Neon)(nil)
	_ fleet.Locator      = (*Neon)(nil)
	_ fleet.Searcher     = (*Neon)(nil)
)

func newNeon(in *input.Reader, o Options) fleet.Source {
	n := &Neon{
		orgID:    in.String("neon-org-id"),
		branch:   in.String("neon-branch"),
		database: in.Required("database-name"),
		role:     in.Required("role-name"),
		notice:   o.notice,
		projects: map[string]*neon.Project{},
	}
	key := in.Secret("neon-api-key")
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		in.Mistake("neon-api-key", "contains a space, a line break or another character that no key has; "+
			"store the secret again with nothing but the key")
	}
	var base string
	if u := in.URL("neon-api-url"); u != nil {
		base = u.String()
		if hosts.Exposed(u) {
			in.Mistake("neon-api-url", "the API key would be sent unencrypted to %s; write https:// "+
				"(http:// is for this machine and private networks)", u.Host)
		}
	}
	options := neon.Limits(in.Int("neon-requests-per-minute", 1, mostPerMinute))
	options.UserAgent = httpx.UserAgent
	options.OnWait, options.OnSlow = o.OnWait, o.OnSlow
	n.transport = httpx.New(options)
	n.client = neon.New(neon.Options{BaseURL: base, Key: key, HTTP: n.transport.HTTP()})
	if o.Creating {
		n.readCreation(in)
	}
	return n
}

// mostPerMinute is far above what Neon allows anybody today; an account may have been given more than 700.
const mostPerMinute = 60_000

// Place implements [fleet.Locator].
func (n *Neon) Place(t fleet.Tenant) fleet.Place {
	return n.place(t.ID)
}

func (n *Neon) place(projectID string) fleet.Place {
	return fleet.Place{NeonProjectID: projectID, NeonBranch: n.branch, Database: n.database, Role: n.role}
}

// Tenants implements [fleet.Source] with every project of the organization, except those that a restore made: beside
// its original, a copy would be migrated, backed up and given a secret as one more tenant.
func (n *Neon) Tenants(ctx context.Context) ([]fleet.Tenant, error) {
	projects, missing, err := n.list(ctx)
	if several := (*neon.OrgError)(nil); errors.As(err, &several) {
		if len(several.Organizations) == 0 {
			return nil, fleet.WithRemedy(err, "set neon-api-key to a key of the organization that owns the projects")
		}
		return nil, fleet.WithRemedy(err, "set neon-org-id to one of these ids, or neon-api-key to a key of that "+
			"organization")
	}
	if err != nil {
		return nil, keyRemedy(err)
	}
	tenants := make([]fleet.Tenant, 0, len(projects))
	var copies []string
	for i := range projects {
		p := &projects[i]
		if fleet.IsRestored(p.Name) {
			copies = append(copies, fmt.Sprintf("%q (%s)", p.Name, p.ID))
			continue
		}
		tenants = append(tenants, fleet.Tenant{Name: p.Name, ID: p.ID})
	}
	n.mu.Lock()
	n.copies = len(copies)
	n.mu.Unlock()
	if len(copies) > 0 {
		const shown = 3
		n.notice(fmt.Sprintf("%s out that mode restore made: %s; such a project is no tenant until it is renamed in Neon's "+
			"console", words.Count(len(copies), "project is left", "projects are left"), words.List(copies, shown)))
	}
	if len(missing) > 0 {
		return tenants, &fleet.IncompleteError{Missing: missing,
			Fix: "ask Neon's support about the projects of these ids"}
	}
	return tenants, nil
}

// list lists the organization's projects and remembers them.
func (n *Neon) list(ctx context.Context) (projects []neon.Project, missing []string, err error) {
	began := time.Now()
	if projects, missing, err = n.client.Projects(ctx, n.orgID); err != nil {
		return nil, nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listedAt = began
	for i := range projects {
		n.projects[projects[i].ID] = &projects[i]
	}
	return projects, missing, nil
}

// Searched implements [fleet.Searcher].
func (n *Neon) Searched() (looked, remedy string) {
	where := "the organization of neon-api-key"
	if n.orgID != "" {
		where = "the organization " + n.orgID
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	looked = "every project of " + where + " counts"
	if n.copies > 0 {
		looked += fmt.Sprintf(", except %d that mode restore made", n.copies)
	}
	return looked, "check that neon-api-key and neon-org-id are those of the " +
		"organization that owns the projects"
}

// keyRemedy adds to an API error that concerns the key, the organization or the address which input to correct.
func keyRemedy(err error) error {
	var e *neon.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		return fleet.WithRemedy(err, "neon-api-key is wrong or was revoked: create a key in Neon's console "+
			"(organization settings, API keys), and store it in the secret that neon-api-key is set to")
	case e.Status == http.StatusForbidden, e.Status == http.StatusNotFound:
		return fleet.WithRemedy(err, "the key in neon-api-key may not see this: check neon-org-id, "+
			"or use a key of the organization that owns the projects; a 404 also comes from a wrong neon-api-url")
	case e.Status == http.StatusOK:
		return fleet.WithRemedy(err, "something other than the Neon API answered: "+
			"check neon-api-url, which ends in /api/v2, or leave it out")
	}
	return err
}

// URL implements [fleet.Source] with one call, and one more before it if neon-branch is set.
func (n *Neon) URL(ctx context.Context, t fleet.Tenant) (fleet.Secret, error) {
	return n.connectionString(ctx, t, false)
}

// PooledURL implements [fleet.Pooler].
func (n *Neon) PooledURL(ctx context.Context, t fleet.Tenant) (fleet.Secret, error) {
	return n.connectionString(ctx, t, true)
}

func (n *Neon) connectionString(ctx context.Context, t fleet.Tenant, pooled bool) (fleet.Secret, error) {
	branchID := ""
	if n.branch != "" {
		b, err := n.findBranch(ctx, t.ID)
		if err != nil {
			return fleet.Secret{}, err
		}
		branchID = b.ID
	}
	return n.BranchURL(ctx, t, branchID, pooled)
}

// completeURI returns the connection string that Neon gave for a project, or an error if it cannot be used.
func completeURI(projectID, uri string) (fleet.Secret, error) {
	if err := checkURI(uri); err != nil {
		return fleet.Secret{}, fmt.Errorf("the connection string that Neon returned for project %s %w", projectID, err)
	}
	return fleet.NewSecret(uri), nil
}

// checkURI returns an error, which quotes nothing, unless the text is a Postgres URL with a password. Errors:
// errNoPassword if only the password is missing.
func checkURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "postgresql" && u.Scheme != "postgres") || u.Host == "" {
		return errors.New("is not a Postgres URL")
	}
	if password, _ := u.User.Password(); password == "" {
		return fleet.WithRemedy(errNoPassword, noPasswords)
	}
	return nil
}

var errNoPassword = errors.New("has no password")

const noPasswords = "this project stores no passwords, so Neon cannot return a complete connection string: " +
	"keep it as a secret and use tenant-source: secrets, or exclude the tenant with tenants: '!…'"

// findBranch returns the branch of the project that neon-branch names.
func (n *Neon) findBranch(ctx context.Context, projectID string) (neon.Branch, error) {
	named := func(b neon.Branch) bool { return b.Name == n.branch }
	branches, err := n.client.Branches(ctx, projectID, n.branch)
	if err != nil {
		return neon.Branch{}, keyRemedy(err)
	}
	if i := slices.IndexFunc(branches, named); i >= 0 {
		return branches[i], nil
	}
	err = fmt.Errorf("project %s has no branch named %q", projectID, n.branch)
	remedy := "set neon-branch to a branch that every selected tenant has, or leave it out for each project's " +
		"default branch"
	if all, listErr := n.client.Branches(ctx, projectID, ""); listErr == nil {
		remedy += "; this one has " + quoted(all, func(b neon.Branch) string { return b.Name })
	}
	return neon.Branch{}, fleet.WithRemedy(err, remedy)
}

// ownBranch returns the branch that a project's connections go to.
func (n *Neon) ownBranch(ctx context.Context, projectID string) (neon.Branch, error) {
	if n.branch != "" {
		return n.findBranch(ctx, projectID)
	}
	return n.defaultBranch(ctx, projectID)
}

func (n *Neon) defaultBranch(ctx context.Context, projectID string) (neon.Branch, error) {
	all, err := n.client.Branches(ctx, projectID, "")
	if err != nil {
		return neon.Branch{}, keyRemedy(err)
	}
	if i := slices.IndexFunc(all, func(b neon.Branch) bool { return b.Default }); i >= 0 {
		return all[i], nil
	}
	return neon.Branch{}, fmt.Errorf("project %s has no default branch", projectID)
}

// quoted lists names for the reader of an error, the first ten.
func quoted[T any](items []T, name func(T) string) string {
	const shown = 10
	return words.ListFunc(items, shown, func(item T) string { return strconv.Quote(name(item)) })
}
