package source

import (
	"context"
	"maps"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Orphans implements [fleet.Orphans] with the schemas that record migrations, as a tenant's does, and that the list
// does not name. Other schemas of the database are no concern of this action.
func (s *Schemas) Orphans(ctx context.Context, versions string) ([]string, error) {
	var found []string
	err := s.with(ctx, nil, func(c *postgres.Conn) (err error) {
		found, err = postgres.SchemasWith(ctx, c, versions)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	named := maps.Clone(s.listed)
	s.mu.Unlock()
	named[s.list.Schema()] = true
	var orphans []string
	for _, name := range found {
		if !named[name] {
			orphans = append(orphans, "schema "+name)
		}
	}
	return orphans, nil
}
