package source

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// adoptable refuses to take a database for a new tenant's that is there already and holds something which no run of ours that was cut
// off can have left: it is somebody else's, of the same name.
func (c *Catalog) adoptable(ctx context.Context, name string, log *slog.Logger) error {
	target, err := c.databaseTarget(name)
	if err != nil {
		return err
	}
	o := c.options
	o.ReadOnly, o.Log = true, log
	conn, err := postgres.Connect(ctx, target, o)
	if err != nil {
		return fmt.Errorf("look into database %q, which is there already: %w", name, err)
	}
	defer conn.Close()
	rows, err := conn.Query(ctx, "select from pg_catalog.pg_class where relkind = 'r' and relname = $1", c.versions.In("").String())
	if err != nil {
		return fmt.Errorf("look into database %q, which is there already: %w", name, err)
	}
	if len(rows.Values) > 0 {
		return nil // migrations have begun
	}
	objects, err := conn.Objects(ctx)
	if err != nil || len(objects) == 0 {
		return err
	}
	return fleet.WithRemedy(
		fmt.Errorf("the server has a database %q that the catalog does not list, and that holds something which no migration made: %s %s", name, objects[0].Type, objects[0].Name),
		"choose another name; where the database is that tenant's all the same, insert its row into the catalog's table project, and run mode migrate")
}
