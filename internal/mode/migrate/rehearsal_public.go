package migrate

import (
	"context"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// rehearsePublic rehearses the pending files of the schema public, once for all tenants, and notes where that records
// them.
func (r *rehearsal) rehearsePublic(ctx context.Context) error {
	files := r.migrator.schemas.public
	if files == nil {
		return nil
	}
	log := slog.New(slog.DiscardHandler)
	o, found, target, err := r.lookAtPublic(ctx, log)
	r.copies.shared = []postgres.Ledger{o.Table}
	if err != nil || len(found.Pending) == 0 {
		return err
	}
	one := &rehearsed{tenant: fleet.Tenant{Name: "the schema public"}, target: target, found: found}
	err = r.copies.withScratch(ctx, fleet.Tenant{}, target, postgres.PublicSchema, log, func(c tenantCopy) error {
		if err := c.refuse(files, found.Pending); err != nil {
			return err
		}
		one.copy = c.kind
		conn, err := mode.Dial(ctx, r.migrator.env, fleet.Tenant{}, c.target, postgres.Options{NoSearchPath: true}, log)
		if err != nil {
			return err
		}
		defer conn.Close()
		o.Watch, o.DryRun = true, false
		result, err := migration.Migrate(ctx, conn, files, o)
		one.traces = result.Traces
		return err
	})
	r.public = one
	if err != nil {
		return onACopy(err)
	}
	return nil
}

// lookAtPublic reads what is pending in the schema public. o are the options for its files.
func (r *rehearsal) lookAtPublic(
	ctx context.Context, log *slog.Logger,
) (o migration.Options, found migration.Result, target postgres.Target, err error) {
	conn, release, err := r.conns.OpenShared(ctx, log)
	if err != nil {
		return o, found, target, err
	}
	defer release()
	table, err := publicLedger(ctx, conn, r.migrator.options.Table)
	if err != nil {
		return o, found, target, err
	}
	o = ofPublic(r.migrator.options, table)
	o.DryRun = true
	found, err = migration.Migrate(ctx, conn, r.migrator.schemas.public, o)
	return o, found, conn.Target(), remedies.Explain(err)
}
