package migrate

import (
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// readCreator returns the source as one that creates missing databases; nil unless create-missing asks for that.
func readCreator(in *input.Reader, env mode.Env) fleet.Creator {
	if !in.Bool("create-missing") || env.Source == nil {
		return nil
	}
	if _, ok := env.Source.(fleet.SchemaHost); ok {
		return nil // a schema is created in the transaction of its first migration
	}
	c, ok := env.Source.(fleet.Creator)
	if !ok {
		able := slices.Concat(mode.Having[fleet.Creator](env), mode.Having[fleet.SchemaHost](env))
		in.Mistake("create-missing",
			"this source lists only tenants that exist, so none can be missing; leave it out, or use tenant-source: %s",
			words.Or(able))
	}
	return c
}

// createMissing decides what to do about err, with which connecting to a tenant failed: create is true if its database
// is missing and creator can create it. Otherwise the error says what the tenant fails with.
func createMissing(err error, creator fleet.Creator, t fleet.Tenant) (create bool, _ error) {
	if creator == nil || !postgres.MissingDatabase(err) {
		return false, err
	}
	if cannot := creator.CanCreate(t); cannot != nil {
		return false, fleet.WithRemedy(fmt.Errorf("%w; %w", err, cannot), fleet.Remedy(cannot))
	}
	return true, nil
}
