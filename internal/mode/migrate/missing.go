package migrate

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// readCreateMissing returns the source where create-missing asks for it to make tenants; nil where not.
func readCreateMissing(in *input.Reader, env mode.Env) fleet.Creator {
	if !in.Bool("create-missing") || env.Source == nil {
		return nil
	}
	if _, ok := env.Source.(fleet.SchemaHost); ok {
		return nil // a schema is made within its first migration's transaction
	}
	c, ok := env.Source.(fleet.Creator)
	if !ok {
		in.Mistake("create-missing", "this source lists only tenants that exist, so none can be missing; leave it out; it needs tenant-source: %s",
			strings.Join(append(mode.Having[fleet.Creator](env), mode.Having[fleet.SchemaHost](env)...), ", "))
	}
	return c
}

// openOrCreate opens a connection to a tenant whose database may have to be made first. A dry run makes none: absent is true
// then, and there is no connection.
func openOrCreate(ctx context.Context, conns *mode.Connections, missing fleet.Creator, t fleet.Tenant, log *slog.Logger) (conn *postgres.Conn, release func(), made, absent bool, err error) {
	conn, release, err = conns.Open(ctx, t, log)
	if missing == nil || !postgres.MissingDatabase(err) {
		return conn, release, false, false, err
	}
	if cannot := missing.CanCreate(t); cannot != nil {
		return nil, nil, false, false, fleet.WithRemedy(fmt.Errorf("%w; %w", err, cannot), fleet.Remedy(cannot))
	}
	if conns.Env.DryRun {
		return nil, nil, false, true, nil
	}
	if made, err = missing.CreateMissing(ctx, t, log); err != nil {
		return nil, nil, made, false, err
	}
	conn, release, err = conns.Open(ctx, t, log)
	return conn, release, made, false, err
}

// afterCreation adds to a tenant's outcome that its database was made.
func afterCreation(o fleet.Outcome) fleet.Outcome {
	o.Unchanged = false
	if d, ok := o.Detail.(Detail); ok {
		d.Created = true
		o.Detail = d
	}
	if o.Note == "" {
		o.Note = "created"
	} else {
		o.Note = "created, " + o.Note
	}
	return o
}

// absentOutcome says what a run would do to a tenant that does not exist yet.
func absentOutcome(files *migration.Files) fleet.Outcome {
	pending := files.Names()
	return fleet.Outcome{Note: fmt.Sprintf("would be created, %d pending", len(pending)), Detail: Detail{Applied: []Applied{}, Pending: pending}}
}
