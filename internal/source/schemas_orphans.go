package source

import (
	"context"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Orphans names the schemas that record migrations, as a tenant's does, and that the list does not name. Other schemas of the
// database are nobody's business here.
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
	defer s.mu.Unlock()
	var orphans []string
	for _, name := range found {
		if !s.listed[name] && name != s.list.Schema() {
			orphans = append(orphans, "schema "+name)
		}
	}
	return orphans, nil
}
