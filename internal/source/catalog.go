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

// Catalog is the source whose tenants are rows of a catalog database. A row says where its tenant lives: at a
// connection string, in a database of the catalog's own server, or in a Neon project.
type Catalog struct {
	target postgres.Target // the catalog's database
	query  string          // the user's own; empty: the catalog's tables are asked
	// versions is the table of applied migrations in a tenant. It is set only for the mode that creates tenants, which
	// also takes a catalog without tables for an empty one.
	versions postgres.Ledger
	neon     *Neon // resolves projects; nil without a key

	mu   sync.Mutex
	rows map[string]catalog.Row // by id
}

var (
	_ fleet.Source       = (*Catalog)(nil)
	_ fleet.Diagnoser    = (*Catalog)(nil)
	_ fleet.Provisioner  = (*Catalog)(nil)
	_ fleet.Creator      = (*Catalog)(nil)
	_ fleet.ProjectMaker = (*Catalog)(nil)
	_ fleet.Brancher     = (*Catalog)(nil)
	_ fleet.Activity     = (*Catalog)(nil)
	_ fleet.Orphans      = (*Catalog)(nil)
	_ fleet.Locator      = (*Catalog)(nil)
	_ fleet.Searcher     = (*Catalog)(nil)
)

func newCatalog(in *input.Reader, o Options) fleet.Source {
	c := &Catalog{query: catalogQuery(in), rows: map[string]catalog.Row{}}
	c.target = readDatabaseURL(in, fleet.TrustedSecret(in.Secret("database-url")), o)
	if in.String("neon-api-key") != "" {
		c.neon, _ = newNeon(in, Options{OnWait: o.OnWait, OnSlow: o.OnSlow}).(*Neon)
	}
	if o.Creating {
		c.readCreation(in)
		c.versions = o.Ledger.AtHome()
	}
	return c
}

// catalogQuery reads the query, without the semicolon that people end statements with.
func catalogQuery(in *input.Reader) string {
	text := in.String("catalog-query")
	query := strings.TrimRight(text, "; \t\r\n")
	if text != "" && query == "" {
		in.Mistake("catalog-query", "%q is not a statement; write a query such as select name, database from school",
			text)
	}
	return query
}

// Tenants implements [fleet.Source] with one connection and one query.
func (c *Catalog) Tenants(ctx context.Context) ([]fleet.Tenant, error) {
	rows, err := catalog.List(ctx, c.target, c.query)
	if c.query == "" && c.versions != (postgres.Ledger{}) && postgres.HasCode(err, "42P01") {
		return nil, nil // its tables are created when the first tenant is registered
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

// Searched implements [fleet.Searcher].
func (c *Catalog) Searched() (looked, remedy string) {
	if c.query != "" {
		return "every row that catalog-query returns from " + c.target.String() + " counts",
			"check the conditions of catalog-query, and that database-url names the right database"
	}
	return "every active tenant in the catalog's own tables in " + c.target.String() + " counts",
		"add tenants with mode create-tenant, write a catalog-query, or check that database-url names the right database"
}

// ReadsFrom reports whether the tenants are listed in that database.
func (c *Catalog) ReadsFrom(t postgres.Target) bool {
	return c.target.Server() == t.Server() && c.target.Database() == t.Database()
}

// row returns the tenant's row; zero if none is listed.
func (c *Catalog) row(t fleet.Tenant) catalog.Row {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows[t.ID]
}

// URL implements [fleet.Source]. Only a Neon project costs a call.
func (c *Catalog) URL(ctx context.Context, t fleet.Tenant) (fleet.Secret, error) {
	r := c.row(t)
	home, err := homeOf(r)
	switch {
	case err != nil:
		return fleet.Secret{}, err
	case home == atProject:
		n, project, err := c.project(t)
		if err != nil {
			return fleet.Secret{}, err
		}
		return n.URL(ctx, project)
	case home == atDatabase:
		target, err := c.databaseTarget(r.Database)
		if err != nil {
			return fleet.Secret{}, err
		}
		return fleet.TrustedSecret(target.Reveal()), nil // the input's, but for the database
	}
	return r.URL, nil
}

// home is the column of a catalog row that says where its tenant lives.
type home string

const (
	atURL      home = "url"
	atDatabase home = "database" // of the catalog's own server
	atProject  home = "neon_project_id"
)

// homeOf returns where a row's tenant lives. A row that sets none of the columns, or several, is an error.
func homeOf(r catalog.Row) (home, error) {
	var set []string
	for _, p := range []struct {
		column home
		value  string
	}{{atURL, r.URL.Reveal()}, {atDatabase, r.Database}, {atProject, r.NeonProjectID}} {
		if p.value != "" {
			set = append(set, string(p.column))
		}
	}
	switch len(set) {
	case 0:
		return "", fleet.WithRemedy(
			errors.New(
				"its catalog row does not say where to connect: url, database and neon_project_id are all empty"),
			"fill one of them, or leave such rows out of the query")
	case 1:
		return home(set[0]), nil
	}
	return "", fleet.WithRemedy(
		fmt.Errorf("its catalog row sets %s, but only one of them may be set", strings.Join(set, " and ")),
		"have the query return one of them for each tenant, and NULL for the others")
}

// databaseTarget is a tenant's database on the catalog's own server.
func (c *Catalog) databaseTarget(name string) (postgres.Target, error) {
	if err := c.checkDatabase(name); err != nil {
		return postgres.Target{}, err
	}
	return c.target.At(name)
}

// checkDatabase refuses names that no tenant's database on the catalog's server can have. Errors:
// [*postgres.DatabaseNameError].
func (c *Catalog) checkDatabase(name string) error {
	if name == c.target.Database() {
		return &postgres.DatabaseNameError{Name: name, Problem: "is that of the catalog's own database"}
	}
	return postgres.CheckDatabaseName(name)
}

// project returns the Neon source, and the tenant as that source knows it, if the tenant's row names a project.
func (c *Catalog) project(t fleet.Tenant) (*Neon, fleet.Tenant, error) {
	r := c.row(t)
	if r.NeonProjectID == "" {
		return nil, t, fleet.WithRemedy(errors.New("its catalog row names no Neon project"),
			"this works only for tenants with a neon_project_id")
	}
	if c.neon == nil {
		return nil, t, fleet.WithRemedy(
			fmt.Errorf("its catalog row names the Neon project %s, but neon-api-key is empty", r.NeonProjectID),
			"set neon-api-key to a key of the organization that owns the project")
	}
	return c.neon, fleet.Tenant{Name: t.Name, ID: r.NeonProjectID, Key: t.Key}, nil
}

// Diagnose implements [fleet.Diagnoser].
func (c *Catalog) Diagnose(ctx context.Context, t fleet.Tenant, err error) error {
	if n, project, none := c.project(t); none == nil {
		return n.Diagnose(ctx, project, err)
	}
	if r := c.row(t); r.Database != "" && postgres.MissingDatabase(err) {
		return fleet.WithRemedy(err, "create the databases that the catalog lists with mode migrate and "+
			"create-missing: true, or correct the name in the catalog")
	}
	return err
}

// CreateProject is [Neon.CreateProject] for a tenant whose row names a project.
func (c *Catalog) CreateProject(
	ctx context.Context, like fleet.Tenant, name string,
) (id string, url fleet.Secret, err error) {
	n, project, err := c.project(like)
	if err != nil {
		return "", fleet.Secret{}, err
	}
	return n.CreateProject(ctx, project, name)
}

// DeleteProject is [Neon.DeleteProject].
func (c *Catalog) DeleteProject(ctx context.Context, like fleet.Tenant, id string) error {
	n, project, err := c.project(like)
	if err != nil {
		return err
	}
	return n.DeleteProject(ctx, project, id)
}

// LastActive implements [fleet.Activity]. It is known only of tenants whose row names a Neon project.
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

// Computes implements [fleet.Activity] with one list of the projects, if the key for it is given.
func (c *Catalog) Computes(ctx context.Context) (fleet.Computes, error) {
	none := func(fleet.Tenant) (fleet.Compute, bool) { return fleet.Compute{}, false }
	if c.neon == nil {
		return fleet.Computes{Of: none, At: time.Now()}, nil
	}
	listed, err := c.neon.Computes(ctx)
	if err != nil {
		return fleet.Computes{}, err
	}
	ofProject := listed.Of
	listed.Of = func(t fleet.Tenant) (fleet.Compute, bool) {
		id := c.row(t).NeonProjectID
		if id == "" {
			return fleet.Compute{}, false
		}
		return ofProject(fleet.Tenant{ID: id})
	}
	return listed, nil
}

// Place implements [fleet.Locator]. Of a tenant at a connection string nothing is known.
func (c *Catalog) Place(t fleet.Tenant) fleet.Place {
	r := c.row(t)
	switch at, _ := homeOf(r); {
	case at == atDatabase && c.checkDatabase(r.Database) == nil:
		return fleet.Place{Server: c.target.Server(), Database: r.Database}
	case at == atProject:
		if c.neon != nil {
			return c.neon.place(r.NeonProjectID)
		}
		return fleet.Place{NeonProjectID: r.NeonProjectID}
	}
	return fleet.Place{}
}
