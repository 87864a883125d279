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

const publicSchema = "public"

// ofPublic are the options for the files of the schema public.
func ofPublic(o migration.Options) migration.Options {
	o.Schema, o.CreateSchema, o.Strict = publicSchema, false, false
	return o
}

// rehearsePublic rehearses the pending files of the schema public, once for all tenants.
func (r *rehearsal) rehearsePublic(ctx context.Context) error {
	files := r.migrator.schemas.public
	if files == nil {
		return nil
	}
	log := slog.New(slog.DiscardHandler)
	o := ofPublic(r.migrator.options)
	found, target, err := r.lookAtPublic(ctx, &o, log)
	if err != nil || len(found.Pending) == 0 {
		return err
	}
	one := &rehearsed{tenant: fleet.Tenant{Name: "the schema public"}, target: target, found: found}
	err = r.copies.withScratch(ctx, fleet.Tenant{}, target, publicSchema, log, func(c tenantCopy) error {
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

// lookAtPublic reads what is pending in the schema public, and sets in the options where that is recorded.
func (r *rehearsal) lookAtPublic(
	ctx context.Context, o *migration.Options, log *slog.Logger,
) (found migration.Result, target postgres.Target, err error) {
	conn, release, err := r.conns.OpenShared(ctx, log)
	if err != nil {
		return found, target, err
	}
	defer release()
	if o.Table, err = publicLedger(ctx, conn, o.Table); err != nil {
		return found, target, err
	}
	o.DryRun = true
	found, err = migration.Migrate(ctx, conn, r.migrator.schemas.public, *o)
	return found, conn.Target(), remedies.Explain(err)
}
