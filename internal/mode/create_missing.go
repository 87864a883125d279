package mode

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// creator is a source that lists tenants which need not exist yet, and can make them.
type creator interface {
	// CanCreate says why what a tenant lives in cannot be made; nil where it can. It makes no call.
	CanCreate(t fleet.Tenant) error
	// CreateMissing makes it, and reports whether it was this call that did: another run may have been faster.
	CreateMissing(ctx context.Context, t fleet.Tenant, log *slog.Logger) (made bool, err error)
}

// readCreateMissing returns the source where create-missing asks for it to make tenants; nil where not.
func readCreateMissing(in *input.Reader, env Env) creator {
	if !in.Bool("create-missing") || env.Source == nil {
		return nil
	}
	if _, ok := env.Source.(schemaSource); ok {
		return nil // a schema is made within its first migration's transaction
	}
	c, ok := env.Source.(creator)
	if !ok {
		in.Mistake("create-missing", "is for tenant-source: catalog or schemas, which list what need not exist yet; leave it out")
		return nil
	}
	return c
}

// openOrCreate opens a connection to a tenant whose database may have to be made first. A dry run makes none: absent is true
// then, and there is no connection.
func openOrCreate(ctx context.Context, conns *connections, missing creator, t fleet.Tenant, log *slog.Logger) (conn *postgres.Conn, release func(), made, absent bool, err error) {
	conn, release, err = conns.open(ctx, t, log)
	if missing == nil || !postgres.MissingDatabase(err) {
		return conn, release, false, false, err
	}
	if cannot := missing.CanCreate(t); cannot != nil {
		return nil, nil, false, false, fleet.WithRemedy(fmt.Errorf("%w; %w", err, cannot), fleet.Remedy(cannot))
	}
	if conns.env.DryRun {
		return nil, nil, false, true, nil
	}
	if made, err = missing.CreateMissing(ctx, t, log); err != nil {
		return nil, nil, made, false, err
	}
	conn, release, err = conns.open(ctx, t, log)
	return conn, release, made, false, err
}

// afterCreation adds to a tenant's outcome that its database was made.
func afterCreation(o fleet.Outcome) fleet.Outcome {
	o.Unchanged = false
	if d, ok := o.Detail.(MigrateDetail); ok {
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
	pending := files.Files()
	return fleet.Outcome{Note: fmt.Sprintf("would be created, %d pending", len(pending)), Detail: MigrateDetail{Applied: []MigrationApplied{}, Pending: pending}}
}
