package source

import (
	"context"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// Orphans implements [fleet.Orphans] with the databases on the catalog's server that no row names and that belong to
// the role that the catalog is read as, as those do that this action creates. There are none if no tenant lives in such
// a database. The table of versions plays no part: looking for it would cost a connection per database.
func (c *Catalog) Orphans(ctx context.Context, _ string) ([]string, error) {
	var rows []catalog.Row
	c.mu.Lock()
	for _, r := range c.rows {
		rows = append(rows, r)
	}
	c.mu.Unlock()
	named, byName := namedDatabases(c.target, rows)
	if !byName {
		return nil, nil
	}
	o := c.options
	o.ReadOnly = true
	conn, err := postgres.Connect(ctx, c.target, o)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	owned, err := postgres.OwnedDatabases(ctx, conn)
	if err != nil {
		return nil, err
	}
	return orphans("database ", owned, named), nil
}

// namedDatabases returns the databases on the catalog's server that its rows name, by name or by connection string, and
// the catalog's own. byName is true if a row names one by its name.
func namedDatabases(own postgres.Target, rows []catalog.Row) (named map[string]bool, byName bool) {
	named = map[string]bool{own.Database(): true}
	for _, r := range rows {
		byName = byName || r.Database != ""
		named[r.Database] = true
		if t, err := postgres.ParseTarget(r.URL.Reveal(), true); err == nil && t.Server() == own.Server() {
			named[t.Database()] = true
		}
	}
	return named, byName
}

// orphans returns those that nobody names, each with its kind before it.
func orphans(kind string, found []string, named map[string]bool) (orphans []string) {
	for _, name := range found {
		if !named[name] {
			orphans = append(orphans, kind+name)
		}
	}
	return orphans
}
