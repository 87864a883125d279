package catalog

import (
	"context"
	"fmt"
)

// Register lists a database of the catalog's own server as a tenant. One that is listed stays as it is; one that was dropped is
// listed again, and what was recorded of its predecessor is forgotten.
func (c *Catalog) Register(ctx context.Context, name, database string) error {
	return c.change(ctx, "register "+database, `
insert into project as p (name, database, source_id, last_seen_at) values ($1, $2, $2, now())
on conflict (identity) do update set
	name = excluded.name, dropped_at = null, first_seen_at = now(), last_seen_at = now(), schema_version = null,
	last_migration_at = null, last_migration_outcome = null, last_backup_at = null, last_backup_key = null,
	last_verified_restore_at = null, last_verified_restore_key = null
where p.dropped_at is not null`, name, database)
}

// Unregister takes a database off the list of tenants. Its row stays, as dropped.
func (c *Catalog) Unregister(ctx context.Context, database string) error {
	return c.change(ctx, "unregister "+database, `update project set dropped_at = now() where database = $1 and dropped_at is null`, database)
}

func (c *Catalog) change(ctx context.Context, what, sql string, parameters ...string) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("%s in the catalog: %w", what, err)
	}
	defer conn.Close()
	if _, err := conn.Query(ctx, sql, parameters...); err != nil {
		return fmt.Errorf("%s in the catalog: %w", what, err)
	}
	return nil
}
