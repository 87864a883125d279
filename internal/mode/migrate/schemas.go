package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/report"
)

// migrateSchemas is what mode migrate does besides where tenants are schemas of one database: it migrates the schema public
// first, and asks for all schemas' versions at once.
type migrateSchemas struct {
	path   string           // of public's files, as the user gave it; empty: none
	public *migration.Files // nil: none

	states migration.Schemas // read before the first tenant
	did    *migration.Result // to the schema public
}

// readSchemaInputs reads the inputs about schemas, and completes the options.
func readSchemaInputs(in *input.Reader, env mode.Env, o *migration.Options) *migrateSchemas {
	s := &migrateSchemas{path: in.String("public-migrations-path")}
	o.CreateSchema = in.Bool("create-missing")
	source, ok := env.Source.(fleet.SchemaHost)
	switch {
	case env.Source == nil: // a mistake already
	case !ok:
		if s.path != "" {
			mode.Able[fleet.SchemaHost](in, env, "public-migrations-path", "this source's tenants share no database; leave it out")
		}
		return s
	case !o.Table.Bare():
		in.Mistake("migrations-table", "names a schema, but every tenant's table is in its own; write the table's name alone")
	}
	if s.path == "" || !ok {
		return s
	}
	source.ExpectList()
	if dir := in.Dir("public-migrations-path"); dir != "" {
		var err error
		if s.public, err = migration.Load(dir, s.path); err != nil {
			in.Mistake("public-migrations-path", "%v", err)
		}
	}
	return s
}

// prepare migrates the schema public and reads the versions of the chosen tenants' schemas.
func (s *migrateSchemas) prepare(ctx context.Context, conns *mode.Connections, o migration.Options, found mode.Found) error {
	source, ok := conns.Env.Source.(fleet.SchemaHost)
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
		if _, err := source.URL(ctx, t); err == nil { // the others' jobs say what is wrong
			names = append(names, source.Schema(t))
		}
	}
	if s.states, err = migration.ReadSchemas(ctx, conn, o.Table, names); err != nil && ctx.Err() == nil {
		conns.Env.Notice(fmt.Sprintf("the schemas are asked for their versions one by one, which takes longer: %v", err))
		err = nil
	}
	return err
}

func (s *migrateSchemas) migratePublic(ctx context.Context, conn *postgres.Conn, o migration.Options) error {
	o.Schema, o.CreateSchema = "public", false
	m, err := migration.Migrate(ctx, conn, s.public, o)
	if failed := (*migration.Error)(nil); errors.As(err, &failed) && len(m.Applied) > 0 {
		err = fmt.Errorf("%w; %d files before it were applied", err, len(m.Applied))
	}
	if err != nil {
		return remedies.Explain(err)
	}
	s.did = &m
	return nil
}

// migrate does a tenant's part that needs no connection: known is false where there is more to be done.
func (s *migrateSchemas) migrate(ctx context.Context, env mode.Env, t fleet.Tenant, files *migration.Files, o migration.Options) (m migration.Result, known bool, err error) {
	if o.Schema == "" {
		return m, false, nil
	}
	if _, err := env.Source.URL(ctx, t); err != nil {
		return m, true, err
	}
	return s.states.Migrate(files, o)
}

// PublicDetail is what the report file says of the schema public.
type PublicDetail struct {
	Public Detail `json:"public"`
}

// ending tells what was done to the schema public.
func (s *migrateSchemas) ending() mode.Ending {
	if s.did == nil {
		return mode.Ending{}
	}
	o := describe(*s.did, false, false)
	section := report.Section{Title: "Schema public"}
	for _, a := range s.did.Applied {
		section.Lines = append(section.Lines, fmt.Sprintf("%s applied in %s", a.File, a.Elapsed.Round(time.Millisecond)))
	}
	for _, file := range s.did.Pending {
		section.Lines = append(section.Lines, file+" is pending")
	}
	if len(section.Lines) == 0 {
		section.Lines = []string{"nothing pending"}
	}
	detail, _ := o.Detail.(Detail)
	return mode.Ending{Sections: []report.Section{section}, Warnings: o.Warnings, Detail: PublicDetail{detail}}
}
