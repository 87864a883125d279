package neontest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// Spec is a project to add. The zero value is a healthy one in the first organization.
type Spec struct {
	Name      string // default: random words
	ID        string // default: random
	OrgID     string // default: the first organization
	Region    string // default: aws-us-east-1
	PgVersion int    // what Neon says it is; default: the real server's
	Database  string // Neon's name; default neondb
	Role      string // Neon's name; default neondb_owner
	// Template is a database on the real server that the project's own starts as a copy of. It must have no
	// connections.
	Template string
	// SharedDatabase is the URL, with role and password, of a database that this project shares with others, so that
	// thousands of projects cost nothing. Such a project cannot have a state of its own.
	SharedDatabase string

	Suspended        bool     // the first connection wakes it
	Archived         bool     // the same, but waking it takes three times as long
	Disabled         bool     // nothing wakes it
	QuotaExceeded    bool     // nothing wakes it
	AllowedIPs       []string // addresses, networks and ranges that may connect; empty: all
	BlockPublic      bool     // connections from the internet are refused
	NoStorePasswords bool     // Neon does not know the password
	NoCompute        bool     // the default branch has no compute, so nobody can connect

	// HistorySeconds is how long its branches' history is kept; default one day, or the plan's limit.
	HistorySeconds int
}

func (spec *Spec) special() bool {
	return spec.Suspended || spec.Archived || spec.Disabled || spec.QuotaExceeded || len(spec.AllowedIPs) > 0 ||
		spec.BlockPublic
}

// Project is a project that was added.
type Project struct {
	ID, Name, OrgID      string
	BranchID, EndpointID string // EndpointID is "" without a compute
	Database, Role       string // Neon's names
	// URL connects to the real server directly, whatever state the project is in.
	URL string
}

// AddProject adds a project. No operations are left to wait for, and no call is counted.
func (s *Server) AddProject(ctx context.Context, spec Spec) (Project, error) {
	p, err := s.provision(ctx, spec)
	if err != nil {
		return Project{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.register(p), nil
}

// AddProjects adds many projects, in the order of specs.
func (s *Server) AddProjects(ctx context.Context, specs ...Spec) ([]Project, error) {
	created := make([]*project, len(specs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, spec := range specs {
		group.Go(func() (err error) {
			created[i], err = s.provision(ctx, spec)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	added := make([]Project, len(created))
	for i, p := range created {
		added[i] = s.register(p)
	}
	return added, nil
}

// register makes a project known. Called with the lock held.
func (s *Server) register(p *project) Project {
	p.created = s.now()
	p.updated = p.created
	s.projects = append(s.projects, p)
	s.byID[p.id] = p
	b := p.branches[0]
	for _, d := range b.databases {
		d.id = s.nextID()
		s.byDatabase[d.real] = b
	}
	r, d := b.roles[0], b.databases[0]
	added := Project{
		ID: p.id, Name: p.name, OrgID: p.org, BranchID: b.id, Database: d.name, Role: r.name,
		URL: s.pg.TenantURL(r.real, r.password, d.real),
	}
	if e := b.endpoint(); e != nil {
		added.EndpointID = e.id
	}
	return added
}

// provision makes a project with its role and database on the real server, but does not add it.
func (s *Server) provision(ctx context.Context, spec Spec) (*project, error) {
	now := s.clock.now()
	p := &project{
		clock: &s.clock, id: spec.ID, name: spec.Name, org: spec.OrgID, region: spec.Region, pgVersion: spec.PgVersion,
		plan:             &s.options.Plan,
		historySeconds:   cmp.Or(spec.HistorySeconds, min(defaultHistory, s.options.Plan.HistorySeconds)),
		noStorePasswords: spec.NoStorePasswords, quotaExceeded: spec.QuotaExceeded, shared: spec.SharedDatabase != "",
		settings: settings{
			BlockPublicConnections: spec.BlockPublic, AllowedIPs: &allowedIPs{IPs: append([]string{}, spec.AllowedIPs...)},
		},
	}
	if p.shared && spec.special() {
		return nil, errors.New("a project on a shared database cannot have a state of its own, because the proxy " +
			"tells projects apart by their databases")
	}
	p.id, p.name = cmp.Or(p.id, newProjectID()), cmp.Or(p.name, words())
	p.org, p.region = cmp.Or(p.org, s.options.Orgs[0].ID), cmp.Or(p.region, regions[0])
	spec.Database, spec.Role = cmp.Or(spec.Database, "neondb"), cmp.Or(spec.Role, "neondb_owner")
	p.pgVersion = cmp.Or(p.pgVersion, s.pg.Version)
	b := &branch{
		project: p, id: newID("br"), name: "main", isDefault: true, archived: spec.Archived,
		created: now, updated: now, ready: now,
	}
	r := &role{name: spec.Role, real: realName(spec.Role), password: newPassword(), created: now}
	d := &database{name: spec.Database, real: realName(spec.Database), owner: r.name, created: now}
	b.contents, p.branches = contents{[]*role{r}, []*database{d}}, []*branch{b}
	e := newEndpoint(b)
	e.disabled, e.suspended = spec.Disabled, spec.Suspended || spec.Archived || spec.QuotaExceeded
	if !spec.NoCompute {
		p.endpoints = []*endpoint{e}
	}
	if p.shared {
		u, err := url.Parse(spec.SharedDatabase)
		if err != nil {
			return nil, errors.New("the shared database's URL can't be parsed")
		}
		r.real, d.real = u.User.Username(), strings.TrimPrefix(u.Path, "/")
		r.password, _ = u.User.Password()
		return p, nil
	}
	if err := s.makeRole(ctx, r); err != nil {
		return nil, fmt.Errorf("add the project %s: %w", p.name, err)
	}
	if err := s.pg.CreateDatabase(ctx, d.real, r.real, spec.Template); err != nil {
		return nil, fmt.Errorf("add the project %s: %w", p.name, err)
	}
	return p, nil
}

func (s *Server) makeRole(ctx context.Context, r *role) error {
	statement := "CREATE ROLE " + pgtest.Identifier(r.real) + " LOGIN CREATEDB PASSWORD " + pgtest.Literal(r.password)
	return s.pg.Exec(ctx, "postgres", statement)
}

func (b *branch) realDatabases() []string {
	if b.project.shared {
		return nil
	}
	var names []string
	for _, d := range b.databases {
		names = append(names, d.real)
	}
	return slices.Clip(names)
}
