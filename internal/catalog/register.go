package catalog

import (
	"context"
	"fmt"
)

// Register lists a database on the catalog's own server as a tenant. If it is listed already, nothing changes. If it
// was dropped, it is listed again, and what is recorded about its predecessor is cleared. So is its customer, because
// the database of that name may be another one's now.
func (c *Catalog) Register(ctx context.Context, name, database string) error {
	return c.change(ctx, "register "+database, `
insert into public.project as p (name, database, source_id, last_seen_at) values ($1, $2, $2, now())
on conflict (identity) do update set
	name = excluded.name, customer_id = null, dropped_at = null,
	first_seen_at = now(), last_seen_at = now(), schema_version = null,
	last_migration_at = null, last_migration_outcome = null, last_backup_at = null, last_backup_key = null,
	last_verified_restore_at = null, last_verified_restore_key = null,
	record = null, record_noted_at = null
where p.dropped_at is not null`, name, database)
}

// Unregister marks a database's tenant as dropped, which takes it off the list. Its row stays.
func (c *Catalog) Unregister(ctx context.Context, database string) error {
	return c.change(ctx, "unregister "+database,
		`update public.project set dropped_at = now() where database = $1 and dropped_at is null`, database)
}

// change runs one statement. Its error begins with what was to be done.
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
