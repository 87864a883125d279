package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// CheckName implements [fleet.Provisioner].
func (s *Schemas) CheckName(name string) error {
	if err := postgres.SchemaName(name); err != nil {
		return err
	}
	if name == s.list.Schema() {
		return errHoldsList(s.list)
	}
	return nil
}

// CheckExisting implements [fleet.Provisioner]; [existing.adopt] decides.
func (s *Schemas) CheckExisting(
	ctx context.Context, name string, versions []string, log *slog.Logger,
) (exists bool, err error) {
	found := existing{
		name: fmt.Sprintf("the database has a schema %q", name), list: s.list.String(),
		register: fmt.Sprintf("insert its name into %s", s.list),
	}
	err = s.with(ctx, log, func(c *postgres.Conn) (err error) {
		found.holds, err = c.ExistingSchema(ctx, s.versions.In(name))
		return err
	})
	switch missing := (*postgres.MissingSchemaError)(nil); {
	case errors.As(err, &missing):
		return false, nil
	case err != nil:
		return true, fmt.Errorf("look into the existing schema %q: %w", name, err)
	}
	return true, found.adopt(versions)
}

// Create implements [fleet.Provisioner].
func (s *Schemas) Create(
	ctx context.Context, name string, versions []string, log *slog.Logger,
) (t fleet.Tenant, created bool, err error) {
	if err := s.CheckName(name); err != nil {
		return fleet.Tenant{}, false, fmt.Errorf("schema name %q %w", name, err)
	}
	s.mu.Lock()
	listed := s.listed[name]
	s.mu.Unlock()
	err = s.with(ctx, log, func(c *postgres.Conn) (err error) {
		created, err = s.list.Create(ctx, c, name)
		return err
	})
	if err == nil && !created && !listed {
		_, err = s.CheckExisting(ctx, name, versions, log)
	}
	if err != nil {
		return fleet.Tenant{}, false, err
	}
	return fleet.Tenant{Name: name, ID: name}, created, nil
}

// Register implements [fleet.Provisioner]. The list is created if it is missing.
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

// CheckDrop implements [fleet.Provisioner].
func (s *Schemas) CheckDrop(t fleet.Tenant) error { return s.usable(t) }

// CheckDependents implements [fleet.Provisioner] with what the server finds.
func (s *Schemas) CheckDependents(ctx context.Context, t fleet.Tenant) error {
	return s.with(ctx, nil, func(c *postgres.Conn) error {
		others, err := c.Dependents(ctx, s.Schema(t))
		if err == nil && len(others) > 0 {
			err = &postgres.DependentsError{Schema: s.Schema(t), Objects: others}
		}
		return err
	})
}

// Beside implements [fleet.Provisioner]: a backup of a schema holds all of it.
func (s *Schemas) Beside(context.Context, fleet.Tenant) ([]string, error) { return nil, nil }

// Gone implements [fleet.Provisioner].
func (s *Schemas) Gone(ctx context.Context, t fleet.Tenant) (gone bool, err error) {
	err = s.with(ctx, nil, func(c *postgres.Conn) (err error) {
		_, err = c.ExistingSchema(ctx, s.versions.In(s.Schema(t)))
		return err
	})
	if errors.As(err, new(*postgres.MissingSchemaError)) {
		return true, nil
	}
	return false, err
}

// Drop implements [fleet.Provisioner]. The schema and its entry in the list go in one transaction.
func (s *Schemas) Drop(ctx context.Context, t fleet.Tenant, log *slog.Logger) error {
	if err := s.CheckDrop(t); err != nil {
		return err
	}
	return s.with(ctx, log, func(c *postgres.Conn) error { return s.list.Drop(ctx, c, t.ID) })
}

// Recovery implements [fleet.Provisioner]: a dropped schema is gone.
func (s *Schemas) Recovery(fleet.Tenant) string { return "" }
