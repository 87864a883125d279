package source

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// CheckName refuses what may not name a new schema.
func (s *Schemas) CheckName(name string) error {
	if err := postgres.SchemaName(name); err != nil {
		return err
	}
	if name == s.list.Schema() {
		return fmt.Errorf("is where the list %s itself is kept", s.list)
	}
	return nil
}

// Create makes a schema of that name, unless it is there. One that is there, but listed by nobody, is taken up only where a run
// that was cut off may have left it: empty, or with a table of applied versions.
func (s *Schemas) Create(ctx context.Context, name string, log *slog.Logger) (t fleet.Tenant, made bool, err error) {
	if err := s.CheckName(name); err != nil {
		return fleet.Tenant{}, false, fmt.Errorf("schema name %q %w", name, err)
	}
	var found postgres.Found
	err = s.with(ctx, log, func(c *postgres.Conn) (err error) {
		found, err = s.list.Create(ctx, c, name, s.versions)
		return err
	})
	if err != nil {
		return fleet.Tenant{}, false, err
	}
	s.mu.Lock()
	listed := s.listed[name]
	s.mu.Unlock()
	if found.Exists && !found.Empty && !found.Recorded && !listed {
		return fleet.Tenant{}, false, fleet.WithRemedy(
			fmt.Errorf("the database has a schema %q that %s does not list, and that holds something which no migration made", name, s.list),
			fmt.Sprintf("choose another name; where the schema is that tenant's all the same, insert its name into %s", s.list))
	}
	return fleet.Tenant{Name: name, ID: name}, !found.Exists, nil
}

// Register lists a schema. The list is made where there is none.
func (s *Schemas) Register(ctx context.Context, t fleet.Tenant) error {
	err := s.with(ctx, nil, func(c *postgres.Conn) error { return s.list.Add(ctx, c, t.ID) })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed[t.ID] = true
	return nil
}

// CheckDrop refuses the system's own schemas and the one that the list is kept in.
func (s *Schemas) CheckDrop(t fleet.Tenant) error { return s.usable(t) }

// Beside names what is outside of the schema, and so in no backup of it, and would be dropped with it.
func (s *Schemas) Beside(ctx context.Context, t fleet.Tenant) (others []string, err error) {
	err = s.with(ctx, nil, func(c *postgres.Conn) error {
		others, err = c.Dependents(ctx, s.Schema(t))
		return err
	})
	return others, err
}

// Drop drops a listed schema with all that is in it, and its entry, in one transaction.
func (s *Schemas) Drop(ctx context.Context, t fleet.Tenant, log *slog.Logger) error {
	if err := s.CheckDrop(t); err != nil {
		return err
	}
	return s.with(ctx, log, func(c *postgres.Conn) error { return s.list.Drop(ctx, c, t.ID) })
}

// Recovery implements fleet.Provisioner: a dropped schema is gone.
func (s *Schemas) Recovery(fleet.Tenant) string { return "" }
