package source

import (
	"context"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Orphans names the databases on the catalog's server that belong to the role which the catalog is read as, as those do
// that this action made, and that no row names. Where no tenant lives in such a database, none is one. The table of
// versions plays no part: to look for it would cost a connection to each.
func (c *Catalog) Orphans(ctx context.Context, _ string) ([]string, error) {
	named := map[string]bool{c.target.Database(): true}
	here := false
	c.mu.Lock()
	for _, r := range c.rows {
		here = here || r.Database != ""
		named[r.Database] = true
		if t, err := postgres.ParseTarget(r.URL.Reveal(), true); err == nil && t.Server() == c.target.Server() {
			named[t.Database()] = true
		}
	}
	c.mu.Unlock()
	if !here {
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
	var orphans []string
	for _, name := range owned {
		if !named[name] {
			orphans = append(orphans, "database "+name)
		}
	}
	return orphans, nil
}
