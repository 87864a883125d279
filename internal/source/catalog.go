package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// Catalog is the source where a tenant is a row of a catalog database, which says where it lives: at a connection string, in a
// database of the catalog's own server, or in a Neon project.
type Catalog struct {
	target  postgres.Target // the catalog's database
	query   string          // the user's own; empty: the catalog's tables are asked
	options postgres.Options
	// versions is the table of applied versions in a tenant; empty but for the mode that creates one, for which a catalog without
	// tables is an empty one.
	versions postgres.Table
	neon     *Neon // resolves projects; nil where no key was given

	mu   sync.Mutex
	rows map[string]catalog.Row // by id
}

var (
	_ fleet.Source       = (*Catalog)(nil)
	_ fleet.Diagnoser    = (*Catalog)(nil)
	_ fleet.Provisioner  = (*Catalog)(nil)
	_ fleet.Creator      = (*Catalog)(nil)
	_ fleet.ProjectMaker = (*Catalog)(nil)
	_ fleet.Activity     = (*Catalog)(nil)
	_ fleet.Orphans      = (*Catalog)(nil)
	_ fleet.Locator      = (*Catalog)(nil)
)

func newCatalog(in *input.Reader, o Options) fleet.Source {
	c := &Catalog{query: catalogQuery(in), rows: map[string]catalog.Row{}}
	c.target = readDatabaseURL(in, fleet.NewSecret(in.Secret("database-url")))
	if in.String("neon-api-key") != "" {
		c.neon, _ = newNeon(in, Options{OnWait: o.OnWait}).(*Neon)
	}
	if o.Creating {
		c.readCreation(in)
	}
	return c
}

// catalogQuery reads the query, without the semicolon that people end statements with.
func catalogQuery(in *input.Reader) string {
	text := in.String("catalog-query")
	query := strings.TrimRight(text, "; \t\r\n")
	if text != "" && query == "" {
		in.Mistake("catalog-query", "%q is no statement; write one select, such as select name, database from school", text)
	}
	return query
}

// Tenants implements fleet.Source: one connection, one query.
func (c *Catalog) Tenants(ctx context.Context) ([]fleet.Tenant, error) {
	rows, err := catalog.List(ctx, c.target, c.query, c.options)
	if c.query == "" && c.versions != (postgres.Table{}) && postgres.HasCode(err, "42P01") {
		return nil, nil // its tables are made where the first tenant is registered
	}
	if err != nil {
		return nil, err
	}
	tenants := make([]fleet.Tenant, len(rows))
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range rows {
		tenants[i] = fleet.Tenant{Name: r.Name, ID: r.ID}
		c.rows[r.ID] = r
	}
	return tenants, nil
}

// row is what the catalog said of a tenant; zero where it lists none of that id.
func (c *Catalog) row(t fleet.Tenant) catalog.Row {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows[t.ID]
}

// URL implements fleet.Source. Only a Neon project costs a call.
func (c *Catalog) URL(ctx context.Context, t fleet.Tenant) (fleet.Secret, error) {
	r := c.row(t)
	var places []string
	for _, p := range []struct{ column, value string }{{"url", r.URL.Reveal()}, {"database", r.Database}, {"neon_project_id", r.NeonProjectID}} {
		if p.value != "" {
			places = append(places, p.column)
		}
	}
	switch {
	case len(places) == 0:
		return fleet.Secret{}, fleet.WithRemedy(errors.New("its row in the catalog says nowhere to connect to: url, database and neon_project_id are all empty"),
			"fill one of them, or leave such rows out of the query")
	case len(places) > 1:
		return fleet.Secret{}, fleet.WithRemedy(fmt.Errorf("its row in the catalog says %s, and only one can be meant", strings.Join(places, " and ")),
			"let the query return one of them for each tenant and NULL for the others")
	case r.NeonProjectID != "":
		n, project, err := c.project(t)
		if err != nil {
			return fleet.Secret{}, err
		}
		return n.URL(ctx, project)
	case r.Database != "":
		target, err := c.databaseTarget(r.Database)
		if err != nil {
			return fleet.Secret{}, err
		}
		return fleet.NewSecret(target.Reveal()), nil
	}
	return r.URL, nil
}

// databaseTarget is a tenant's database on the catalog's own server.
func (c *Catalog) databaseTarget(name string) (postgres.Target, error) {
	if err := c.checkDatabase(name); err != nil {
		return postgres.Target{}, err
	}
	return c.target.At(name)
}

// checkDatabase refuses names that cannot be a tenant's on the catalog's server.
func (c *Catalog) checkDatabase(name string) error {
	if name == c.target.Database() {
		return &postgres.DatabaseNameError{Name: name, Problem: "is that of the catalog's own database"}
	}
	return postgres.CheckDatabaseName(name)
}

// project is a tenant as the Neon source knows it, where its row names a project.
func (c *Catalog) project(t fleet.Tenant) (*Neon, fleet.Tenant, error) {
	r := c.row(t)
	if r.NeonProjectID == "" {
		return nil, t, fleet.WithRemedy(errors.New("its row in the catalog names no Neon project"), "only tenants with a neon_project_id can have this done")
	}
	if c.neon == nil {
		return nil, t, fleet.WithRemedy(fmt.Errorf("its row in the catalog names the Neon project %s, and neon-api-key is empty", r.NeonProjectID),
			"give neon-api-key, a key of the organization that owns the project")
	}
	return c.neon, fleet.Tenant{Name: t.Name, ID: r.NeonProjectID, Key: t.Key}, nil
}

// Diagnose finds out why a tenant could not be connected to; see [Neon.Diagnose].
func (c *Catalog) Diagnose(ctx context.Context, t fleet.Tenant, err error) error {
	if n, project, none := c.project(t); none == nil {
		return n.Diagnose(ctx, project, err)
	}
	if r := c.row(t); r.Database != "" && postgres.MissingDatabase(err) {
		return fleet.WithRemedy(err, "mode migrate makes the databases that the catalog lists with create-missing: true; or correct the name in the catalog")
	}
	return err
}

// CreateProject is [Neon.CreateProject] for a tenant whose row names a project.
func (c *Catalog) CreateProject(ctx context.Context, like fleet.Tenant, name string) (id string, url fleet.Secret, err error) {
	n, project, err := c.project(like)
	if err != nil {
		return "", fleet.Secret{}, err
	}
	return n.CreateProject(ctx, project, name)
}

// CreateBranch is [Neon.CreateBranch] for a tenant whose row names a project.
func (c *Catalog) CreateBranch(ctx context.Context, t fleet.Tenant, name string, expires time.Time) (id string, url fleet.Secret, err error) {
	n, project, err := c.project(t)
	if err != nil {
		return "", fleet.Secret{}, err
	}
	return n.CreateBranch(ctx, project, name, expires)
}

// LastActive implements fleet.Activity for tenants whose row names a Neon project. Of others nobody can tell.
func (c *Catalog) LastActive(ctx context.Context, t fleet.Tenant) (at time.Time, known bool, err error) {
	if c.row(t).NeonProjectID == "" {
		return time.Time{}, false, nil
	}
	n, project, err := c.project(t)
	if err != nil {
		return time.Time{}, false, err
	}
	return n.LastActive(ctx, project)
}

// Place implements fleet.Locator: a Neon project, a database of a server, or elsewhere.
func (c *Catalog) Place(t fleet.Tenant) fleet.Place {
	r := c.row(t)
	if r.Database != "" && r.NeonProjectID == "" && r.URL == (fleet.Secret{}) && c.checkDatabase(r.Database) == nil {
		return fleet.Place{Server: c.target.Server(), Database: r.Database}
	}
	if r.Database == "" && r.URL == (fleet.Secret{}) {
		return fleet.Place{NeonProjectID: r.NeonProjectID}
	}
	return fleet.Place{}
}
