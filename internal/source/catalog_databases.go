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

// CreateMissing implements [fleet.Creator] for databases on the catalog's own server.
func (c *Catalog) CreateMissing(ctx context.Context, t fleet.Tenant, log *slog.Logger) (created bool, err error) {
	if err := c.CanCreate(t); err != nil {
		return false, err
	}
	return c.createDatabase(ctx, c.row(t).Database, log)
}

// CanCreate implements [fleet.Creator].
func (c *Catalog) CanCreate(t fleet.Tenant) error {
	r := c.row(t)
	if r.Database == "" {
		return fleet.WithRemedy(errors.New("its catalog row names no database, so there is none that create-missing "+
			"could create"),
			"create-missing creates databases on the catalog's own server, for rows that name one; "+
				"create this tenant's database where it belongs")
	}
	return c.checkDatabase(r.Database)
}

func (c *Catalog) createDatabase(ctx context.Context, name string, log *slog.Logger) (created bool, err error) {
	if err := c.checkDatabase(name); err != nil {
		return false, err
	}
	conn, err := c.connect(ctx, c.target, log)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if created, err = postgres.CreateDatabase(ctx, conn, name); created {
		log.Info("created the database", "name", name)
	}
	return created, err
}

// connect connects to the catalog's server for a change.
func (c *Catalog) connect(ctx context.Context, target postgres.Target, log *slog.Logger) (*postgres.Conn, error) {
	conn, err := postgres.Connect(ctx, target, postgres.Options{Log: log})
	return conn, remedies.Explain(err)
}

// refuseOwnQuery refuses to change the list of tenants if only the user knows its tables.
func (c *Catalog) refuseOwnQuery() error {
	if c.query == "" {
		return nil
	}
	return fleet.WithRemedy(errors.New("catalog-query is set, and only its author knows the tables behind it"),
		"to create a tenant, insert its row and run mode migrate with create-missing: true; "+
			"to drop one, delete its row and drop its database; or leave catalog-query out")
}

// readCreation reads the inputs about new tenants.
func (c *Catalog) readCreation(in *input.Reader) {
	if err := c.refuseOwnQuery(); err != nil {
		in.Mistake("catalog-query", "is set, and only its author knows the tables behind it; %s", fleet.Remedy(err))
	}
}

// CheckName implements [fleet.Provisioner]: a tenant's name is its database's.
func (c *Catalog) CheckName(name string) error {
	var wrong *postgres.DatabaseNameError
	if errors.As(c.checkDatabase(name), &wrong) {
		return errors.New(wrong.Problem)
	}
	return nil
}

// CheckDrop implements [fleet.Provisioner]. Only databases on the catalog's own server are dropped.
func (c *Catalog) CheckDrop(t fleet.Tenant) error {
	if err := c.refuseOwnQuery(); err != nil {
		return err
	}
	r := c.row(t)
	if r.Database == "" {
		return fleet.WithRemedy(fmt.Errorf("the catalog lists no database for %q", t.Name),
			"this source creates and drops only tenants that are databases on the catalog's server; "+
				"for a Neon project use tenant-source: neon")
	}
	return c.checkDatabase(r.Database)
}

// Create implements [fleet.Provisioner] with a database of that name on the catalog's server.
func (c *Catalog) Create(
	ctx context.Context, name string, versions []string, log *slog.Logger,
) (t fleet.Tenant, created bool, err error) {
	if err := c.refuseOwnQuery(); err != nil {
		return fleet.Tenant{}, false, err
	}
	if created, err = c.createDatabase(ctx, name, log); err != nil {
		return fleet.Tenant{}, false, err
	}
	t = fleet.Tenant{Name: name, ID: name}
	c.mu.Lock()
	_, listed := c.rows[name]
	c.mu.Unlock()
	if !created && !listed {
		if _, err := c.CheckExisting(ctx, name, versions, log); err != nil {
			return fleet.Tenant{}, false, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !listed {
		c.rows[name] = catalog.Row{Name: name, ID: name, Database: name}
	}
	return t, created, nil
}

// CheckExisting implements [fleet.Provisioner]; [existing.adopt] decides.
func (c *Catalog) CheckExisting(
	ctx context.Context, name string, versions []string, log *slog.Logger,
) (exists bool, err error) {
	found := existing{
		name: fmt.Sprintf("the server has a database %q", name), list: "the catalog",
		register: "insert its row into the catalog's table project and run mode migrate",
	}
	target, err := c.databaseTarget(name)
	if err != nil {
		return false, err
	}
	conn, err := postgres.Connect(ctx, target, postgres.Options{ReadOnly: true, Log: log})
	switch {
	case postgres.MissingDatabase(err):
		return false, nil
	case err == nil:
		defer conn.Close()
		found.holds, err = conn.ExistingDatabase(ctx, c.versions)
	}
	if err != nil {
		return true, remedies.Explain(fmt.Errorf("look into the existing database %q: %w", name, err))
	}
	return true, found.adopt(versions)
}

// Register implements [fleet.Provisioner]. The catalog's tables are created if they are missing.
func (c *Catalog) Register(ctx context.Context, t fleet.Tenant) error {
	return c.change(ctx, t, func(tables *catalog.Catalog, database string) error {
		return tables.Register(ctx, t.Name, database)
	})
}

// Drop implements [fleet.Provisioner]. The row goes last: a tenant whose drop was cut off is still listed, and is
// dropped by the next run.
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

// change calls do with the catalog's tables and the name of the tenant's database.
func (c *Catalog) change(
	ctx context.Context, t fleet.Tenant, do func(tables *catalog.Catalog, database string) error,
) error {
	if err := c.CheckDrop(t); err != nil {
		return err
	}
	tables, err := catalog.Open(ctx, c.target, postgres.Options{})
	if err != nil {
		return err
	}
	return do(tables, c.row(t).Database)
}

// CheckDependents implements [fleet.Provisioner]: nothing outside a database depends on what is in it. A subscription,
// or a replication slot in use, is a reason for the server itself to refuse.
func (c *Catalog) CheckDependents(context.Context, fleet.Tenant) error { return nil }

// Beside implements [fleet.Provisioner]: a backup of a database holds all of it.
func (c *Catalog) Beside(context.Context, fleet.Tenant) ([]string, error) { return nil, nil }

// Gone implements [fleet.Provisioner] by what the server lists: a pooler in front of it may not know the database.
func (c *Catalog) Gone(ctx context.Context, t fleet.Tenant) (bool, error) {
	conn, err := c.connect(ctx, c.target, nil)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	exists, err := postgres.DatabaseExists(ctx, conn, c.row(t).Database)
	return err == nil && !exists, err
}

// Recovery implements [fleet.Provisioner]: a dropped database is gone.
func (c *Catalog) Recovery(fleet.Tenant) string { return "" }
