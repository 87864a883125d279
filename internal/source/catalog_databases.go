package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// CreateMissing makes the database of a tenant that the catalog lists, and reports whether it was this call that made it. It
// makes no Neon project and nothing on another server: those are an error.
func (c *Catalog) CreateMissing(ctx context.Context, t fleet.Tenant, log *slog.Logger) (made bool, err error) {
	if err := c.CanCreate(t); err != nil {
		return false, err
	}
	return c.createDatabase(ctx, c.row(t).Database, log)
}

// CanCreate says why a tenant's database cannot be made by [Catalog.CreateMissing]; nil where it can.
func (c *Catalog) CanCreate(t fleet.Tenant) error {
	r := c.row(t)
	if r.Database == "" {
		return fleet.WithRemedy(errors.New("its row in the catalog has no database, so create-missing can make none"),
			"create-missing makes databases on the catalog's own server, for rows that name a database; make this one where it belongs")
	}
	return c.checkDatabase(r.Database)
}

func (c *Catalog) createDatabase(ctx context.Context, name string, log *slog.Logger) (made bool, err error) {
	if err := c.checkDatabase(name); err != nil {
		return false, err
	}
	conn, err := c.connect(ctx, c.target, log)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if made, err = postgres.CreateDatabase(ctx, conn, name); made {
		log.Info("made the database", "name", name)
	}
	return made, err
}

// connect opens a connection to a database of the catalog's server.
func (c *Catalog) connect(ctx context.Context, t postgres.Target, log *slog.Logger) (*postgres.Conn, error) {
	o := c.options
	o.Log = log
	conn, err := postgres.Connect(ctx, t, o)
	return conn, remedies.Explain(err)
}

// ownTables refuses to change the list of tenants where it is not ours.
func (c *Catalog) ownTables() error {
	if c.query == "" {
		return nil
	}
	return fleet.WithRemedy(errors.New("catalog-query is your own, and the action does not know the tables behind it"),
		"to create a tenant, insert its row and run mode migrate with create-missing: true; to drop one, delete its row and drop its database; or leave catalog-query out")
}

// readCreation refuses, among the inputs of a new tenant, a catalog that the action cannot add it to.
func (c *Catalog) readCreation(in *input.Reader) {
	if err := c.ownTables(); err != nil {
		in.Mistake("catalog-query", "it is your own, and the action does not know the tables behind it; %s", fleet.Remedy(err))
	}
	c.versions = input.Parse(in, "migrations-table", postgres.ParseTable)
}

// CheckName says whether a tenant may have that name: its database gets it. It makes no call.
func (c *Catalog) CheckName(name string) error {
	var wrong *postgres.DatabaseNameError
	if errors.As(c.checkDatabase(name), &wrong) {
		return errors.New(wrong.Problem)
	}
	return nil
}

// CheckDrop refuses tenants that have no database of their own on the catalog's server. It makes no call.
func (c *Catalog) CheckDrop(t fleet.Tenant) error {
	if err := c.ownTables(); err != nil {
		return err
	}
	r := c.row(t)
	if r.Database == "" {
		return fleet.WithRemedy(fmt.Errorf("the catalog lists no database for %q", t.Name),
			"only tenants that live in a database of the catalog's server are created and dropped by this source; for a Neon project use tenant-source: neon")
	}
	return c.checkDatabase(r.Database)
}

// Create makes a database of that name on the catalog's server, unless it is there. The catalog does not list it yet.
func (c *Catalog) Create(ctx context.Context, name string, log *slog.Logger) (t fleet.Tenant, made bool, err error) {
	if err := c.ownTables(); err != nil {
		return fleet.Tenant{}, false, err
	}
	if made, err = c.createDatabase(ctx, name, log); err != nil {
		return fleet.Tenant{}, false, err
	}
	t = fleet.Tenant{Name: name, ID: name}
	c.mu.Lock()
	_, listed := c.rows[name]
	c.mu.Unlock()
	if !made && !listed {
		if err := c.adoptable(ctx, name, log); err != nil {
			return fleet.Tenant{}, false, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !listed {
		c.rows[name] = catalog.Row{Name: name, ID: name, Database: name}
	}
	return t, made, nil
}

// Register lists a tenant's database in the catalog, whose tables are made where they are missing.
func (c *Catalog) Register(ctx context.Context, t fleet.Tenant) error {
	return c.change(ctx, t, func(tables *catalog.Catalog, database string) error { return tables.Register(ctx, t.Name, database) })
}

// Drop drops a tenant's database, then takes it off the catalog's list: cut off in between, it is still listed and is dropped
// again. What is gone already is no error.
func (c *Catalog) Drop(ctx context.Context, t fleet.Tenant, log *slog.Logger) error {
	return c.change(ctx, t, func(tables *catalog.Catalog, database string) error {
		conn, err := c.connect(ctx, c.target, log)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := postgres.DropDatabase(ctx, conn, database); err != nil {
			return err
		}
		return tables.Unregister(ctx, database)
	})
}

// change hands the catalog's tables and the name of the tenant's database to do.
func (c *Catalog) change(ctx context.Context, t fleet.Tenant, do func(tables *catalog.Catalog, database string) error) error {
	if err := c.CheckDrop(t); err != nil {
		return err
	}
	tables, err := catalog.Open(ctx, c.target, c.options)
	if err != nil {
		return err
	}
	return do(tables, c.row(t).Database)
}

// Beside implements fleet.Provisioner: a backup of a database holds all of it.
func (c *Catalog) Beside(context.Context, fleet.Tenant) ([]string, error) { return nil, nil }

// Recovery implements fleet.Provisioner: a dropped database is gone.
func (c *Catalog) Recovery(fleet.Tenant) string { return "" }
