package source

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// How many databases are looked into for orphans, and how many at once: each costs a connection.
const (
	mostCandidates   = 500
	candidatesAtOnce = 4
)

// Orphans implements [fleet.Orphans] with the databases on the catalog's server that record migrations, as a tenant's
// does, that no row names, and that belong to the role that the catalog is read as, as those do that this action
// creates. One that cannot be looked into is named as such.
func (c *Catalog) Orphans(ctx context.Context, versions string) ([]string, error) {
	candidates, err := c.candidates(ctx)
	if err != nil {
		return nil, err
	}
	looked := candidates[:min(len(candidates), mostCandidates)]
	texts := make([]string, len(looked))
	var all sync.WaitGroup
	slots := make(chan struct{}, candidatesAtOnce)
	for i, name := range looked {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			texts[i] = c.orphan(ctx, name, versions)
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	found := slices.DeleteFunc(texts, func(text string) bool { return text == "" })
	if more := len(candidates) - len(looked); more > 0 {
		found = append(found, words.Count(more, "further database", "further databases")+", not looked into")
	}
	return found, nil
}

// candidates are the databases that may be orphans, as far as the catalog's own database can tell.
func (c *Catalog) candidates(ctx context.Context) ([]string, error) {
	var rows []catalog.Row
	c.mu.Lock()
	for _, r := range c.rows {
		rows = append(rows, r)
	}
	c.mu.Unlock()
	conn, err := postgres.Connect(ctx, c.target, postgres.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	owned, err := postgres.OwnedDatabases(ctx, conn)
	if err != nil {
		return nil, err
	}
	named := namedDatabases(c.target, rows)
	return slices.DeleteFunc(owned, func(name string) bool { return named[name] }), nil
}

// orphan names a database that records migrations; empty if it does not, or is gone.
func (c *Catalog) orphan(ctx context.Context, name, versions string) string {
	records, err := c.records(ctx, name, versions)
	switch {
	case postgres.MissingDatabase(err):
		return ""
	case err != nil:
		return fmt.Sprintf("database %s, which could not be looked into: %s", name, remedies.Sentence(err))
	case records:
		return "database " + name
	}
	return ""
}

// records reports whether a database has a table of versions, in whatever schema.
func (c *Catalog) records(ctx context.Context, name, versions string) (bool, error) {
	target, err := c.target.At(name)
	if err != nil {
		return false, err
	}
	conn, err := postgres.Connect(ctx, target, postgres.Options{ReadOnly: true})
	if err != nil {
		return false, err
	}
	defer conn.Close()
	schemas, err := postgres.SchemasWith(ctx, conn, versions)
	return len(schemas) > 0, err
}

// namedDatabases returns the databases on the catalog's server that its rows name, by name or by connection string, and
// the catalog's own.
func namedDatabases(own postgres.Target, rows []catalog.Row) map[string]bool {
	named := map[string]bool{own.Database(): true}
	for _, r := range rows {
		named[r.Database] = true
		if t, err := postgres.ParseTarget(r.URL.Reveal(), true); err == nil && t.Server() == own.Server() {
			named[t.Database()] = true
		}
	}
	return named
}
