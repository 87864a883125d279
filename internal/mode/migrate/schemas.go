package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// migrateSchemas is what mode migrate does in addition if the tenants are schemas of one database: it migrates the
// schema public first, and reads the versions of all schemas at once.
type migrateSchemas struct {
	public *migration.Files // of the schema public; nil if there are none

	states migration.Schemas // read before the first tenant
	did    *migration.Result // to the schema public; nil if it was not migrated
}

// readSchemaInputs reads the inputs about schemas. table is where every tenant records its versions, files are every
// tenant's.
func readSchemaInputs(
	in *input.Reader, env mode.Env, table postgres.Ledger, files *migration.Files,
) *migrateSchemas {
	s := &migrateSchemas{}
	path := in.String("public-migrations-path")
	source, ok := env.Source.(fleet.SchemaHost)
	if !ok {
		if path != "" {
			mode.Able[fleet.SchemaHost](in, env, "public-migrations-path",
				"this source's tenants share no database; leave it out")
		}
		return s
	}
	if !table.Bare() {
		in.Mistake("migrations-table",
			"names a schema, but every tenant's table is in its own; write the table's name alone")
	}
	if files != nil {
		if err := files.CheckSchemas(); err != nil {
			in.Mistake("migrations-path", "%v", err)
		}
	}
	if path != "" {
		source.ExpectList()
		s.public = mode.ReadMigrations(in, "public-migrations-path")
	}
	return s
}

// prepare migrates the schema public and reads the versions of the selected tenants' schemas.
func (s *migrateSchemas) prepare(
	ctx context.Context, env mode.Env, conns *mode.Connections, o migration.Options, found mode.Found,
) error {
	source, ok := env.Source.(fleet.SchemaHost)
	if !ok || (s.public == nil && len(found.Tenants) == 0) {
		return nil
	}
	conn, release, err := conns.OpenShared(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer release()
	if s.public != nil {
		if err := s.migratePublic(ctx, conn, o); err != nil {
			return fmt.Errorf("migrate the schema public, before any tenant: %w", err)
		}
	}
	var names []string
	for _, t := range found.Tenants {
		if _, err := source.URL(ctx, t); err == nil { // otherwise the tenant's job reports the error
			names = append(names, source.Schema(t))
		}
	}
	if s.states, err = migration.ReadSchemas(ctx, conn, o.Table, names); err != nil && ctx.Err() == nil {
		env.Notice(fmt.Sprintf("each schema's versions are read separately, which takes longer: %v", err))
		err = nil
	}
	return err
}

// publicLedger is where the files of the schema public are recorded. A configuration of drizzle's that says nothing
// about it means the schema drizzle; one for the schema public may name that.
func publicLedger(ctx context.Context, conn *postgres.Conn, l postgres.Ledger) (postgres.Ledger, error) {
	if l.Format != postgres.Drizzle {
		return l.In(postgres.PublicSchema), nil
	}
	found, err := l.Among(ctx, conn, postgres.PublicSchema, postgres.HomeSchema)
	if err != nil || len(found) == 0 {
		return l.AtHome(), err
	}
	if len(found) > 1 {
		return l, fleet.WithRemedy(fmt.Errorf("both %s and %s exist, and either may be the record of what was applied",
			found[0].Quoted(), found[1].Quoted()), "drop the one that drizzle's configuration for the schema public does not "+
			"name, or rename it")
	}
	return found[0], nil
}

// ofPublic are the options for the files of the schema public, which are recorded in a table.
func ofPublic(o migration.Options, table postgres.Ledger) migration.Options {
	o.Schema, o.CreateSchema, o.Beginning, o.Table = postgres.PublicSchema, false, false, table
	return o
}

func (s *migrateSchemas) migratePublic(ctx context.Context, conn *postgres.Conn, o migration.Options) error {
	table, err := publicLedger(ctx, conn, o.Table)
	if err != nil {
		return err
	}
	m, err := migration.Migrate(ctx, conn, s.public, ofPublic(o, table))
	if failed := (*migration.Error)(nil); errors.As(err, &failed) && len(m.Applied) > 0 {
		before := words.Count(len(m.Applied), "file before it was", "files before it were")
		err = fmt.Errorf("%w; %s applied", err, before)
	}
	if table := (*postgres.TableError)(nil); errors.As(err, &table) && table.Cause == postgres.VersionsNotOurs {
		return fleet.WithRemedy(err, fmt.Sprintf("rename the other tool's table (alter table %s rename to …); another "+
			"migrations-table would be every tenant's too, and hide what they record now", table.Table.Quoted()))
	}
	if err != nil {
		return remedies.Explain(err)
	}
	s.did = &m
	return nil
}

// migrate migrates a tenant without a connection, which takes that prepare has read its schema and that nothing is
// pending there. known is false if the tenant needs a connection.
func (s *migrateSchemas) migrate(
	ctx context.Context, env mode.Env, t fleet.Tenant, files *migration.Files, o migration.Options,
) (m migration.Result, known bool, err error) {
	if o.Schema == "" {
		return m, false, nil
	}
	if _, err := env.Source.URL(ctx, t); err != nil {
		return m, true, err // no tenant's schema can have that name
	}
	return s.states.Migrate(files, o)
}

// publicEnding reports what was done to the schema public, or would be in a dry run; did is nil if nothing was.
func publicEnding(did *migration.Result, dryRun bool) mode.Ending {
	if did == nil {
		return mode.Ending{}
	}
	o := describe(*did, dryRun, false)
	section := report.Section{Title: "Schema public"}
	for _, a := range did.Applied {
		section.Lines = append(section.Lines, fmt.Sprintf("%s applied in %s", a.File, words.Duration(a.Elapsed)))
	}
	for _, file := range did.Pending {
		section.Lines = append(section.Lines, file+" is pending")
	}
	if len(section.Lines) == 0 {
		section.Lines = []string{"nothing pending"}
	}
	detail, _ := o.Detail.(Detail)
	return mode.Ending{Sections: []report.Section{section}, Warnings: o.Warnings, Detail: RunDetail{Public: &detail}}
}
