// Package migrate is mode migrate: every tenant to the newest migration, its schema or database created first where that is
// asked for, and none without a recent backup where one is required.
package migrate

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// Detail is what the report file says of a migrated tenant.
type Detail struct {
	Created    bool      `json:"created,omitempty"` // its database was made by this run
	Before     string    `json:"version_before"`    // highest recorded version, empty where there was none
	After      string    `json:"version_after"`
	Applied    []Applied `json:"applied"`                // files run, in their order
	Pending    []string  `json:"pending,omitempty"`      // files not applied: of a dry run, or after a failure
	OutOfOrder []string  `json:"out_of_order,omitempty"` // pending files below the highest version
	Unknown    []string  `json:"unknown,omitempty"`      // recorded versions that have no file
}

// Applied is one file that was run.
type Applied struct {
	Version   string `json:"version"`
	File      string `json:"file"`
	ElapsedMS int64  `json:"elapsed_ms"`
}

// NewUnguarded makes the job that brings a tenant to the newest migration.
func NewUnguarded(in *input.Reader, env mode.Env) mode.Work {
	o := migration.Options{
		Table:                input.Parse(in, "migrations-table", postgres.ParseTable),
		Strict:               in.Bool("strict-order"),
		LockTimeout:          in.Duration("lock-timeout"),
		StatementLockTimeout: in.Duration("statement-lock-timeout"),
		DryRun:               env.DryRun,
	}
	options := postgres.Options{ReadOnly: env.DryRun}
	var files *migration.Files
	if dir := in.Dir("migrations-path"); dir != "" {
		var err error
		if files, err = migration.Load(dir, in.String("migrations-path")); err != nil {
			in.Mistake("migrations-path", "%v", err)
		}
	}
	refuseUnavailable(in, "rehearse", "undo-point")

	missing := readCreateMissing(in, env)
	schemas := readSchemaInputs(in, env, &o)
	conns := mode.NewConnections(env, options)
	conns.Changes = true
	prepare := func(ctx context.Context, found mode.Found) error { return schemas.prepare(ctx, conns, o, found) }
	finish := func(context.Context, []fleet.Result) (mode.Ending, error) { return schemas.ending(), nil }
	return mode.Work{Prepare: prepare, Finish: finish, Close: conns.Close, Unreached: Detail{}, Job: func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		o := o
		o.Schema = env.Schema(t)
		if m, known, err := schemas.migrate(ctx, env, t, files, o); known {
			return describe(m, env.DryRun, err != nil), remedies.Explain(err)
		}
		conn, release, made, absent, err := openOrCreate(ctx, conns, missing, t, log)
		if absent {
			return absentOutcome(files), nil
		}
		if err != nil {
			return fleet.Outcome{}, err
		}
		defer release()
		m, err := migration.Migrate(ctx, conn, files, o)
		outcome := describe(m, env.DryRun, err != nil)
		if made {
			outcome = afterCreation(outcome)
		}
		return outcome, remedies.Explain(err)
	}}
}

// refuseUnavailable turns inputs of the product's contract that this version does not act on into mistakes: ignoring
// undo-point, say, would be worse than refusing it.
func refuseUnavailable(in *input.Reader, names ...string) {
	for _, name := range names {
		if in.Given(name) {
			in.Mistake(name, "is not available in this version; leave it out")
		}
	}
}

// describe words what was done to one tenant.
func describe(m migration.Result, dryRun, failed bool) fleet.Outcome {
	d := Detail{Before: m.Before, After: m.After, Applied: []Applied{}, Pending: m.Pending, OutOfOrder: m.OutOfOrder, Unknown: m.Unknown, Created: m.Creates}
	for _, a := range m.Applied {
		d.Applied = append(d.Applied, Applied{a.Version, a.File, a.Elapsed.Milliseconds()})
	}
	o := fleet.Outcome{Detail: d, Warnings: m.Warnings, Unchanged: len(m.Applied) == 0 && len(m.Pending) == 0}
	switch {
	case dryRun && len(m.Pending) > 0:
		o.Note = fmt.Sprintf("%d pending", len(m.Pending))
	case failed:
		o.Note = fmt.Sprintf("%d applied, %d not", len(m.Applied), len(m.Pending))
	case len(m.Applied) > 0:
		o.Note = fmt.Sprintf("%d applied", len(m.Applied))
	}
	if m.Creates && !failed {
		o.Note = map[bool]string{true: "would be created, ", false: "created, "}[dryRun] + o.Note
	}
	if len(m.OutOfOrder) > 0 && !failed {
		verb := "was applied"
		if dryRun {
			verb = "would be applied"
		}
		o.Warnings = append(o.Warnings, fmt.Sprintf("%s %s out of order: version %s was there already", strings.Join(m.OutOfOrder, ", "), verb, m.Before))
	}
	return o
}

// Facts tells the tenant's version and how its migration ended.
func (d Detail) Facts(r fleet.Result) catalog.Facts {
	return catalog.Facts{SchemaVersion: d.After, MigratedAt: r.Started.Add(r.Elapsed), Migration: string(r.State)}
}
