// Package health is mode health-check: what is wrong with any tenant, and whose schema drifted from the fleet's.
package health

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// Detail is what the report file says of a tenant that was checked.
type Detail struct {
	Problems      []string `json:"problems"` // by the names that fail-on takes; empty where the tenant is healthy
	Version       string   `json:"version"`  // highest recorded one, empty where there is none
	Pending       []string `json:"pending,omitempty"`
	OutOfOrder    []string `json:"out_of_order,omitempty"` // pending files below the highest version
	Unknown       []string `json:"unknown,omitempty"`      // recorded versions that have no file
	MissingTables []string `json:"missing_tables,omitempty"`
	Fingerprint   string   `json:"fingerprint,omitempty"` // of the schema, SHA-256 in hex
	Objects       int      `json:"objects,omitempty"`     // how many the fingerprint is of
	PostgresMajor int      `json:"postgres_major,omitempty"`
	NewestBackup  string   `json:"newest_backup,omitempty"`      // key of the newest verified one
	BackupAge     *int64   `json:"backup_age_seconds,omitempty"` // of that one

	extensions []string // with their versions, as the server names them
}

// checker is the mode, its inputs read.
type checker struct {
	env       mode.Env
	conns     *mode.Connections
	state     migration.Options
	files     *migration.Files // nil: pending and unknown versions are not looked for
	required  []postgres.Table
	failOn    []string
	reference string      // a tenant's name, id or key; empty: none
	store     *mode.Store // nil: backups are not looked for
	maxAge    time.Duration

	norm     *fleet.Tenant // the reference, once it is known
	isChosen bool          // the reference is one of the run's tenants
}

// New reads the inputs of mode health-check, which changes nothing anywhere.
func New(in *input.Reader, env mode.Env) mode.Work {
	h := &checker{
		env:       env,
		conns:     mode.NewConnections(env, postgres.Options{ReadOnly: true}),
		state:     migration.Options{Table: input.Parse(in, "migrations-table", postgres.ParseTable), DryRun: true},
		reference: in.String("reference-tenant"),
	}
	for _, name := range in.List("required-tables") {
		t, err := postgres.ParseTable(name)
		if err != nil {
			in.Mistake("required-tables", "%v", err)
		}
		h.required = append(h.required, t)
	}
	h.failOn = input.Parse(in, "fail-on", parseFailOn)
	h.files = h.migrations(in)
	if in.String("s3-bucket") != "" {
		h.store, h.maxAge = mode.ReadStore(in), in.Duration("max-backup-age")
	} else {
		// A workflow may have these for the day when there is a bucket: no reason to remark on them.
		for _, name := range []string{"s3-prefix", "s3-endpoint", "s3-path-style", "aws-region", "role-to-assume", "aws-account-id", "iam-role", "max-backup-age"} {
			in.Given(name)
		}
		if slices.Contains(h.failOn, onBackupAge) {
			in.Mistake("fail-on", "%s needs the bucket where backups are; set s3-bucket and what goes with it", onBackupAge)
		}
	}
	return mode.Work{Prepare: h.prepare, Job: h.run, Finish: h.finish, Close: h.close}
}

// migrations loads the files, which have to be there where something is to fail for them.
func (h *checker) migrations(in *input.Reader) *migration.Files {
	path := in.Path("migrations-path")
	if !in.Given("migrations-path") && !slices.Contains(h.failOn, onPending) && !slices.Contains(h.failOn, onUnknown) {
		if _, err := os.Stat(path); err != nil {
			return nil
		}
	}
	dir := in.Dir("migrations-path")
	if dir == "" {
		return nil
	}
	files, err := migration.Load(dir, in.String("migrations-path"))
	if err != nil {
		in.Mistake("migrations-path", "%v", err)
	}
	return files
}

func (h *checker) close() {
	h.conns.Close()
	if h.store != nil {
		h.store.Close()
	}
}

// prepare opens the bucket and finds the reference, which need not be one of the chosen tenants.
func (h *checker) prepare(ctx context.Context, found mode.Found) error {
	if h.store != nil {
		if err := h.store.Open(ctx, 1); err != nil {
			return err
		}
	}
	if h.reference == "" {
		return nil
	}
	var named []fleet.Tenant
	for _, t := range found.All {
		if t.ID == h.reference || t.Name == h.reference || t.Key == h.reference {
			named = append(named, t)
		}
	}
	switch len(named) {
	case 0:
		return fleet.WithRemedy(fmt.Errorf("reference-tenant: %q is none of the %d tenants found", h.reference, len(found.All)), "name a tenant by its name or its id")
	case 1:
		h.norm = &named[0]
	default:
		return fleet.WithRemedy(fmt.Errorf("reference-tenant: %q is the name of %d tenants", h.reference, len(named)), "name it by its id")
	}
	h.isChosen = slices.ContainsFunc(found.Tenants, func(t fleet.Tenant) bool { return t.ID == h.norm.ID })
	return nil
}

// run checks one tenant. Drift and orphans are found when all have been.
func (h *checker) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	var d Detail
	var found problems
	if err := h.look(ctx, t, &d, log); err != nil {
		if ctx.Err() != nil {
			return fleet.Outcome{}, err
		}
		found = append(found, problem{onUnreachable, "not checked", err.Error(), remedies.Of(err), err})
	}
	found = append(found, d.problems(h.files != nil)...)
	if h.store != nil {
		late, err := h.backup(ctx, t, &d)
		if err != nil {
			return fleet.Outcome{Detail: d}, err
		}
		found = append(found, late...)
	}
	d.Problems = found.checks()
	failing, tolerated := found.split(h.failOn)
	o := fleet.Outcome{Note: found.note(), Warnings: tolerated.texts(), Detail: d}
	if len(failing) > 0 {
		return o, &healthError{failing}
	}
	return o, nil
}

// look asks the tenant's server everything: two round trips on a connection that is open.
func (h *checker) look(ctx context.Context, t fleet.Tenant, d *Detail, log *slog.Logger) error {
	conn, release, err := h.conns.Open(ctx, t, log)
	if err != nil {
		return err
	}
	defer release()
	o, files := h.state, h.files
	o.Schema = h.env.Schema(t)
	if files == nil {
		files = &migration.Files{}
	}
	m, err := migration.Migrate(ctx, conn, files, o)
	if err != nil {
		return err
	}
	f, err := fingerprint.Take(ctx, conn, h.fingerprintOptions(t))
	if err != nil {
		return err
	}
	d.Version, d.MissingTables, d.Fingerprint, d.Objects, d.extensions = m.Before, f.Missing, f.Hash, f.Objects, f.Extensions
	if h.files != nil {
		d.Pending, d.OutOfOrder, d.Unknown = m.Pending, m.OutOfOrder, m.Unknown
	}
	if _, err := fmt.Sscanf(conn.ServerVersion(), "%d", &d.PostgresMajor); err != nil {
		return fmt.Errorf("the server's version is %q: %w", conn.ServerVersion(), err)
	}
	return nil
}

func (h *checker) fingerprintOptions(t fleet.Tenant) fingerprint.Options {
	return fingerprint.Options{Schema: h.env.Schema(t), Table: h.state.Table, Required: h.required}
}

// backup looks for the tenant's newest verified backup.
func (h *checker) backup(ctx context.Context, t fleet.Tenant, d *Detail) (problems, error) {
	existing, err := h.store.List(ctx, t.Key)
	if err != nil {
		return nil, err
	}
	const remedy = "run mode backup on it, and see why the backups before failed"
	newest, ok := backups.NewestVerified(existing)
	if !ok {
		return problems{{onBackupAge, "no backup", "there is no verified backup of it", remedy, nil}}, nil
	}
	age := time.Since(newest.Time)
	seconds := int64(age / time.Second)
	d.NewestBackup, d.BackupAge = newest.Key, &seconds
	if age > h.maxAge {
		return problems{{onBackupAge, "backup too old", fmt.Sprintf("its newest verified backup is older than max-backup-age, %s", h.maxAge), remedy, nil}}, nil
	}
	return nil, nil
}

// Facts tell what was found: the version, and the newest verified backup.
func (d Detail) Facts(fleet.Result) catalog.Facts {
	f := mode.BackupFacts(d.NewestBackup)
	f.SchemaVersion = d.Version
	return f
}
