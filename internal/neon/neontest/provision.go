package neontest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
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
}

func (spec *Spec) special() bool {
	return spec.Suspended || spec.Archived || spec.Disabled || spec.QuotaExceeded || len(spec.AllowedIPs) > 0 ||
		spec.BlockPublic
}

// Project is a project that was added.
type Project struct {
	ID, Name, OrgID      string
	BranchID, EndpointID string
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
	return Project{
		ID: p.id, Name: p.name, OrgID: p.org, BranchID: b.id, EndpointID: p.endpoints[0].id, Database: d.name, Role: r.name,
		URL: s.pg.TenantURL(r.real, r.password, d.real),
	}
}

// provision makes a project with its role and database on the real server, but does not add it.
func (s *Server) provision(ctx context.Context, spec Spec) (*project, error) {
	now := time.Now()
	p := &project{
		id: spec.ID, name: spec.Name, org: spec.OrgID, region: spec.Region, pgVersion: spec.PgVersion, historySeconds: 86400,
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
	b.roles, b.databases, p.branches = []*role{r}, []*database{d}, []*branch{b}
	e := newEndpoint(b)
	e.disabled, e.suspended = spec.Disabled, spec.Suspended || spec.Archived || spec.QuotaExceeded
	p.endpoints = []*endpoint{e}
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

// copyDatabase copies a database that may be in use. PostgreSQL copies a database's files only if it has no
// connections, so a busy one is dumped and loaded.
func (s *Server) copyDatabase(ctx context.Context, name, owner, source string, schemaOnly bool) error {
	if !schemaOnly {
		err := s.pg.CreateDatabase(ctx, name, owner, source)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "55006" { // object_in_use
			return err
		}
	}
	if err := s.pg.CreateDatabase(ctx, name, owner, ""); err != nil {
		return err
	}
	dump := s.client(ctx, "pg_dump", source)
	if schemaOnly {
		dump.Args = append(dump.Args, "--schema-only")
	}
	load := s.client(ctx, "psql", name, "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1",
		"--output=/dev/null")
	var complaints strings.Builder
	load.Stderr = &complaints
	pipe, err := dump.StdoutPipe()
	if err != nil {
		return fmt.Errorf("copy a database: %w", err)
	}
	load.Stdin = pipe
	if err := dump.Start(); err != nil {
		return fmt.Errorf("copy a database: %w", err)
	}
	loaded := load.Run()
	if err := errors.Join(loaded, dump.Wait()); err != nil {
		return fmt.Errorf("copy a database: %w: %s", err, complaints.String())
	}
	return nil
}

// client returns a command for one of PostgreSQL's programs, which its environment connects as the superuser.
func (s *Server) client(ctx context.Context, name, database string, args ...string) *exec.Cmd {
	u, err := url.Parse(s.pg.URL(database))
	if err != nil {
		panic(err) // pgtest escapes what it puts into its URLs
	}
	password, _ := u.User.Password()
	cmd := exec.CommandContext(ctx, filepath.Join(s.pg.BinDir, name), args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "PGHOST=" + u.Hostname(), "PGPORT=" + u.Port(),
		"PGUSER=" + u.User.Username(),
		"PGPASSWORD=" + password, "PGDATABASE=" + database,
	}
	return cmd
}

// drop drops databases on the real server, and ends their connections.
func (s *Server) drop(ctx context.Context, databases ...string) error {
	var errs []error
	for _, name := range databases {
		errs = append(errs, s.pg.Exec(ctx, "postgres", "DROP DATABASE IF EXISTS "+pgtest.Identifier(name)+" WITH (FORCE)"))
	}
	return errors.Join(errs...)
}

// disconnect ends the sessions on a branch's databases.
func (s *Server) disconnect(ctx context.Context, databases ...string) error {
	var list []string
	for _, name := range databases {
		list = append(list, pgtest.Literal(name))
	}
	if len(list) == 0 {
		return nil
	}
	return s.pg.Exec(ctx, "postgres",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ("+strings.Join(list, ", ")+")")
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
