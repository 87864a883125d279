// Package migrate is mode migrate: it applies the pending migrations of every tenant. On request it first creates a
// tenant's missing schema or database, and refuses a tenant that has no recent backup.
package migrate

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// migrator is the mode with its inputs read.
type migrator struct {
	env     mode.Env
	conns   *mode.Connections
	options migration.Options
	files   *migration.Files
	creator fleet.Creator // nil unless create-missing concerns databases
	schemas *migrateSchemas

	sleepers  *mode.Sleepers // nil: nobody is left asleep
	baseline  *baseline      // nil: no tenant gets one
	rehearsal *rehearsal     // nil: there is none
	undo      *undoPoints    // nil: no tenant gets one
	// backedUp returns an error for a tenant that has no recent backup; nil: none is required.
	backedUp func(ctx context.Context, t fleet.Tenant, log *slog.Logger) error

	records *mode.Records // that the run starts from
	written *written      // that it ends with
	changed changedFiles
}

// Unguarded is mode migrate without require-backup-within.
type Unguarded struct {
	mode.Work
	Versions []string // of the migration files, in their order
	migrator *migrator
}

// OnlyBeginnings has every job refuse a tenant that records anything but a beginning of the files.
func (u Unguarded) OnlyBeginnings() { u.migrator.options.Beginning = true }

// WithFiles adds to an ending the files to which the tenants' records refer.
func (u Unguarded) WithFiles(e mode.Ending) mode.Ending { return u.migrator.withFileSets(e) }

// NewUnguarded reads the inputs of mode migrate.
func NewUnguarded(in *input.Reader, env mode.Env) Unguarded {
	m := &migrator{env: env, conns: mode.NewConnections(env, mode.Changes), options: migration.Options{
		Table:                env.ReadLedger(in),
		Strict:               in.Bool("strict-order"),
		LockTimeout:          in.Duration("lock-timeout"),
		StatementLockTimeout: in.Duration("statement-lock-timeout"),
		CreateSchema:         in.Bool("create-missing"),
		DryRun:               env.DryRun,
	}}
	m.files = mode.ReadTenantMigrations(in)
	m.creator = readCreator(in, env)
	m.schemas = readSchemaInputs(in, env, m.options.Table, m.files)
	m.records, m.written = mode.Remembered(env), newWritten(m.files)
	u := Unguarded{migrator: m}
	if m.files != nil {
		u.Versions = m.files.Versions()
	}
	u.Work = mode.Work{
		Prepare: func(ctx context.Context, found mode.Found) error {
			m.records.Load(ctx, found)
			if err := m.sleepers.Choose(ctx, found); err != nil {
				return err
			}
			if err := m.refuseChanged(ctx, found); err != nil {
				return err
			}
			if err := m.rehearsal.run(ctx, found); err != nil {
				return err
			}
			if m.rehearsal.blocks() || ctx.Err() != nil {
				return nil // every tenant says why it is not touched
			}
			return m.schemas.prepare(ctx, m.env, m.conns, m.options, found)
		},
		Job:    m.recording(m.run),
		Finish: m.ending,
		Close:  m.conns.Close,
		Facts: func(r fleet.Result) catalog.Facts {
			d, _ := r.Outcome.Detail.(Detail) // without one, the catalog still learns that the migration failed
			if d.Record == nil {
				d.Record = m.doubtful(r.Tenant)
			}
			return d.Facts(r)
		},
		FileSets: m.fileSets,
	}
	return u
}

// RunDetail is what the report file says about the run as a whole.
type RunDetail struct {
	Sleep     *mode.Sleep     `json:"sleep,omitempty"`        // of the computes; nil unless leave-asleep is given
	Public    *Detail         `json:"public,omitempty"`       // what was done to the schema public
	Rehearsal *FleetRehearsal `json:"rehearsal,omitempty"`    // what the rehearsals showed
	Files     string          `json:"files_sha256,omitempty"` // the digest of the run's migration files
	FileSets  records.Sets    `json:"file_sets,omitempty"`    // that the tenants' records refer to, by their digests
}

// ending reports what was done beside the tenants: to the schema public, and in rehearsals.
func (m *migrator) ending(ctx context.Context, results []fleet.Result) (mode.Ending, error) {
	e := m.withFileSets(publicEnding(m.schemas.did, m.options.DryRun))
	detail, _ := e.Detail.(RunDetail)
	if sleep, s := m.sleepers.Report(results, m.reached); sleep != nil {
		detail.Sleep = sleep
		e.Detail, e.Sections = detail, slices.Concat([]report.Section{s}, e.Sections)
	}
	e.Warnings = append(e.Warnings, m.changed.warnings()...)
	f := m.rehearsal.summary()
	if f == nil {
		return e, nil
	}
	detail.Rehearsal = f
	e.Detail, e.Sections = detail, slices.Concat([]report.Section{f.section()}, e.Sections)
	if m.options.DryRun {
		e.Made = report.Made{Branches: f.Cost.Branches, Copies: f.Cost.Copies}
	}
	if text, ok := f.output(); ok {
		e.Outputs = map[string]string{"rehearsal": text}
	} else {
		e.Warnings = append(e.Warnings, fmt.Sprintf("the output rehearsal is not set: it would take more than the %s that "+
			"a step can be given; the report file has it", words.Size(report.MaxOutput)))
	}
	if ctx.Err() != nil {
		return e, nil // nobody waits for the comment of a run that was cancelled
	}
	if err := m.rehearsal.commenter.Comment(ctx, m.rehearsal.marker, f.section().Markdown()); err != nil {
		e.Warnings = append(e.Warnings, remedies.Sentence(err))
	}
	return e, nil
}

// reached reports whether the run got to a tenant, be it only in its rehearsal.
func (m *migrator) reached(r fleet.Result) bool {
	_, rehearsed := m.rehearsal.targetOf(r.Tenant)
	return rehearsed || r.State != fleet.Skipped
}

// open connects to a tenant, by the connection string of its rehearsal if there was one.
func (m *migrator) open(ctx context.Context, t fleet.Tenant, log *slog.Logger) (*postgres.Conn, func(), error) {
	if target, known := m.rehearsal.targetOf(t); known {
		return m.conns.OpenTarget(ctx, t, target, log)
	}
	return m.conns.Open(ctx, t, log)
}

// run migrates one tenant, unless it is left asleep or must not be touched.
func (m *migrator) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if o, left := m.leave(t); left {
		return o, nil
	}
	if err := m.rehearsal.refuse(t); err != nil {
		return m.rehearsal.refused(t), err
	}
	if m.backedUp != nil {
		if err := m.backedUp(ctx, t, log); err != nil {
			return fleet.Outcome{}, err
		}
	}
	return m.migrate(ctx, t, log)
}

// migrate is run for a tenant that nothing keeps from being migrated.
func (m *migrator) migrate(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	o := m.options
	o.Schema = m.env.Schema(t)
	o.Baseline = m.baseline.of(o, log)
	if result, known, err := m.schemas.migrate(ctx, m.env, t, m.files, o); known {
		return describe(result, o.DryRun, err != nil), remedies.Explain(err)
	}
	if found, known := m.rehearsal.foundIn(t); known && o.DryRun && o.Baseline == nil {
		outcome := describe(found, true, false)
		m.rehearsal.add(&outcome, t, found)
		return outcome, nil
	}
	conn, release, err := m.open(ctx, t, log)
	created, create := false, false
	if err != nil {
		if create, err = createMissing(err, m.creator, t); create {
			if o.DryRun {
				return wouldCreate(m.files), nil
			}
			if created, err = m.creator.CreateMissing(ctx, t, log); created {
				o.Baseline = nil // a new database is migrated from the first file on
			}
			if err == nil {
				conn, release, err = m.open(ctx, t, log)
			}
		}
	}
	switch {
	case err != nil && created:
		return afterCreation(fleet.Outcome{Detail: Detail{Applied: []Applied{}, Pending: m.files.Names()}}), err
	case err != nil:
		return fleet.Outcome{}, err
	}
	defer release()
	o.Alone = func(ctx context.Context, failed error) (bool, error) { return m.conns.Alone(ctx, conn, failed) }
	point := m.undo.before(&o, t, log)
	m.refuseBefore(ctx, &o, t)
	result, err := migration.Migrate(ctx, conn, m.files, o)
	outcome := describe(result, o.DryRun, err != nil)
	m.rehearsal.add(&outcome, t, result)
	outcome = withUndoPoint(outcome, point)
	if created {
		outcome = afterCreation(outcome)
	}
	return outcome, remedies.Explain(err) // create-tenant adds to the remedy
}
