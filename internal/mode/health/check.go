// Package health is mode health-check: it finds what is wrong with each tenant, and whose schema has drifted from the
// fleet's.
package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
)

// Detail is what the report file says about a tenant that was checked.
type Detail struct {
	Problems      []string `json:"problems"` // by the names that fail-on takes; empty if the tenant is healthy
	Version       string   `json:"version"`  // the highest recorded one, empty if there is none
	Pending       []string `json:"pending,omitempty"`
	OutOfOrder    []string `json:"out_of_order,omitempty"` // pending files below the highest version
	Skipped       []string `json:"skipped,omitempty"`      // files of drizzle's journal that are never applied
	Unknown       []string `json:"unknown,omitempty"`      // recorded versions that have no file
	MissingTables []string `json:"missing_tables,omitempty"`
	Invalid       []string `json:"invalid,omitempty"`     // indexes and constraints that are not valid
	Locked        bool     `json:"locked,omitempty"`      // a table was locked, so not everything could be checked
	Drift         string   `json:"drift,omitempty"`       // how the schema differs from the norm, in a sentence
	Fingerprint   string   `json:"fingerprint,omitempty"` // of the schema, SHA-256 in hex
	Objects       int      `json:"objects,omitempty"`     // how many the fingerprint covers
	Extensions    []string `json:"extensions,omitempty"`  // with their versions, as the server names them
	PostgresMajor int      `json:"postgres_major,omitempty"`
	// FingerprintVersion is the form of the fingerprint. Those of different versions are not compared.
	FingerprintVersion int `json:"fingerprint_version,omitempty"`

	NewestBackup string `json:"newest_backup,omitempty"`      // key of the newest verified one
	BackupAge    *int64 `json:"backup_age_seconds,omitempty"` // of that one
	ProvenBackup string `json:"proven_backup,omitempty"`      // key of the newest that a drill restored
	ProofAge     *int64 `json:"proof_age_seconds,omitempty"`  // since that drill

	Asleep bool            `json:"asleep,omitempty"` // and left so: this is what its record says
	Record *records.Record `json:"record,omitempty"` // for later runs; nil in a dry run

	target postgres.Target // zero if it is not known
	passed string          // the backups that do not count; empty: none was met
}

// checker is the mode with its inputs read.
type checker struct {
	env           mode.Env
	conns         *mode.Connections
	state         migration.Options
	files         *migration.Files // nil: pending and unknown versions are not looked for
	required      []postgres.Table
	failOn        []string
	referenceName string      // a tenant's name, id or key; empty: none
	store         *mode.Store // nil: backups are not looked for
	maxAge        time.Duration
	proofs        bool // it is looked for when backups were last proven to restore
	maxProofAge   time.Duration
	records       *mode.Records
	sleepers      *mode.Sleepers // nil: nobody is left asleep

	reference *fleet.Tenant // found by prepare; nil: none
	outside   *Detail       // of a reference that is none of the run's tenants, once it is known
	sharded   bool          // other jobs check the rest of the fleet, and mode report compares all of it
	uncommon  atomic.Bool   // a tenant has objects of uncommon kinds, so that others are likely to
}

// New is mode health-check. It changes nothing anywhere.
func New(in *input.Reader, env mode.Env) mode.Work {
	h := &checker{
		env:   env,
		conns: mode.NewConnections(env, mode.Reads),
		state: migration.Options{Table: env.ReadLedger(in), DryRun: true},

		referenceName: in.String("reference-tenant"),
	}
	for _, name := range in.List("required-tables") {
		t, err := postgres.ParseTable(name)
		if err != nil {
			in.Mistake("required-tables", "%v", err)
		}
		h.required = append(h.required, t)
	}
	h.failOn = input.Parse(in, "fail-on", parseFailOn)
	shard, err := fleet.ParseShard(in.String("shard"))
	h.sharded = err == nil && shard.Count > 1 // the run itself reports a mistake
	h.files = h.readFiles(in)
	h.readStore(in)
	h.readSleepers(in)
	return mode.Work{Prepare: h.prepare, Job: h.run, Finish: h.finish, Close: h.close, Facts: facts}
}

// readFiles loads the migration files. They may be missing, unless fail-on needs them or the user names their
// directory.
func (h *checker) readFiles(in *input.Reader) *migration.Files {
	mode.DefaultMigrationsPath(in)
	path := in.Path("migrations-path")
	if !in.Given("migrations-path") && !slices.Contains(h.failOn, onPending) && !slices.Contains(h.failOn, onUnknown) {
		if _, err := os.Stat(path); err != nil {
			return nil
		}
	}
	return mode.ReadTenantMigrations(in)
}

// readStore reads the inputs about the bucket if there is one.
func (h *checker) readStore(in *input.Reader) {
	if in.String("s3-bucket") != "" {
		h.store, h.maxAge = mode.ReadStore(in), in.Duration("max-backup-age")
		h.maxProofAge = in.Duration("max-proof-age")
		h.proofs = slices.Contains(h.failOn, onProofAge) || in.Given("max-proof-age")
		return
	}
	// A workflow may set these before it has a bucket; asking for them keeps the run from calling them unused.
	for _, name := range []string{
		"s3-prefix", "s3-endpoint", "s3-path-style", "aws-region", "role-to-assume", "aws-account-id", "iam-role",
		"max-backup-age", "max-proof-age",
	} {
		in.Given(name)
	}
	for _, check := range []string{onBackupAge, onProofAge} {
		if slices.Contains(h.failOn, check) {
			in.Mistake("fail-on", "%s needs the bucket with the backups; give s3-bucket and the inputs that go with it", check)
		}
	}
}

func (h *checker) close() {
	h.conns.Close()
	if h.store != nil {
		h.store.Close()
	}
}

// prepare opens the bucket, decides who is left asleep, and finds the reference.
func (h *checker) prepare(ctx context.Context, found mode.Found) error {
	if h.store != nil {
		if err := h.store.Open(ctx, 1); err != nil {
			return err
		}
	}
	h.records.Load(ctx, found)
	if err := h.sleepers.Choose(ctx, found); err != nil {
		return err
	}
	if h.referenceName == "" {
		return nil
	}
	t, err := findReference(found.All, h.referenceName)
	h.reference = &t
	return err
}

// findReference returns the listed tenant with that name, id or key. It need not be one of the selected tenants.
func findReference(all []fleet.Tenant, name string) (fleet.Tenant, error) {
	var named []fleet.Tenant
	for _, t := range all {
		if t.ID == name || t.Name == name || t.Key == name {
			named = append(named, t)
		}
	}
	switch len(named) {
	case 0:
		return fleet.Tenant{}, fleet.WithRemedy(
			fmt.Errorf("reference-tenant: %q is none of the %d tenants found", name, len(all)),
			"name a tenant by its name or its id")
	case 1:
		return named[0], nil
	}
	return fleet.Tenant{}, fleet.WithRemedy(
		fmt.Errorf("reference-tenant: %q is the name of %d tenants", name, len(named)), "name it by its id")
}

// run checks one tenant, except for drift, which shows only once every tenant has been checked.
func (h *checker) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	d, asleep := h.leave(t)
	var found problems
	if !asleep {
		m, err := h.look(ctx, t, &d, log)
		if err != nil {
			if errors.Is(ctx.Err(), context.Canceled) { // the whole run
				return fleet.Outcome{}, err
			}
			found = append(found, d.unreachable(ctx, err))
			if _, lists := h.env.Source.(fleet.Orphans); lists {
				found = append(found, notThere(err)...)
			}
		}
		found = append(found, d.problems(h.files != nil)...)
		h.remember(ctx, t, &d, m, found)
	}
	more, err := h.addBackupOf(ctx, t, &d)
	if err != nil {
		return fleet.Outcome{Detail: d}, err
	}
	if asleep && len(more) == 0 {
		d.Problems = more.checks()
		return h.sleepers.Outcome(d), nil
	}
	return d.outcome(append(found, more...), h.failOn)
}

// look reads everything that the tenant's server knows, in two round trips, the first of which makes the connection
// read-only. What it has read before an error stands in the detail. The error is a [*lockedError] if another session
// keeps a table locked.
func (h *checker) look(
	ctx context.Context, t fleet.Tenant, d *Detail, log *slog.Logger,
) (m migration.Result, err error) {
	if d.target, err = mode.Resolve(ctx, h.env, t, log); err != nil {
		return m, err
	}
	conn, release, err := h.conns.OpenTarget(ctx, t, d.target, log)
	if err != nil {
		return m, err
	}
	defer release()
	o, files := h.state, h.files
	o.Schema = h.env.Schema(t)
	if files == nil {
		files = &migration.Files{}
	}
	d.PostgresMajor = conn.ServerMajor()
	if m, err = migration.Migrate(ctx, conn, files, o); err != nil {
		return m, explainLock(ctx, conn, o.Schema, err)
	}
	d.Version = m.Before
	if h.files != nil {
		d.Pending, d.OutOfOrder, d.Skipped, d.Unknown = m.Pending, m.OutOfOrder, m.Skipped, m.Unknown
	}
	f, err := fingerprint.Take(ctx, conn, h.fingerprintOptions(t))
	if err != nil {
		return m, explainLock(ctx, conn, o.Schema, err)
	}
	if f.Uncommon {
		h.uncommon.Store(true)
	}
	d.MissingTables, d.Extensions, d.Invalid = f.Missing, f.Extensions, f.Invalid
	d.Fingerprint, d.Objects, d.FingerprintVersion = f.Hash, f.Objects, fingerprint.Version
	return m, nil
}

func (h *checker) fingerprintOptions(t fleet.Tenant) fingerprint.Options {
	return fingerprint.Options{
		Schema: h.env.Schema(t), Table: h.state.Table, Required: h.required, Uncommon: h.uncommon.Load(),
	}
}

// facts returns the version, the newest verified backup and the record that the check found.
func facts(r fleet.Result) catalog.Facts {
	d, _ := r.Outcome.Detail.(Detail)
	f := mode.BackupFacts(d.NewestBackup)
	if r.State == fleet.Failed && !mode.LacksBackup(d.Problems) { // also if its schema differs from the others'
		d.forget()
	}
	f.SchemaVersion, f.Record = d.Version, d.Record
	return f
}
