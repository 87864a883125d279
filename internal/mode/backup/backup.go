// Package backup is the modes backup, restore and verify-backups. A backup is a tenant's dump in the bucket, checked
// and committed, after which older ones are pruned; a restore loads one into a target; a drill proves that one can be
// restored.
package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// Detail is what the report file says about a tenant in mode backup.
type Detail struct {
	Key           string   `json:"key,omitempty"` // of the new backup
	PostgresMajor int      `json:"postgres_major,omitempty"`
	StoredSize    int64    `json:"stored_size,omitempty"` // bytes
	PlainSize     int64    `json:"plain_size,omitempty"`  // bytes
	StoredSHA256  string   `json:"stored_sha256,omitempty"`
	SchemaVersion string   `json:"schema_version,omitempty"`
	Verified      string   `json:"verified,omitempty"`   // stream or restore
	Newest        string   `json:"newest,omitempty"`     // the verified backup that made a new one unnecessary
	Partial       bool     `json:"partial,omitempty"`    // pg-dump-args left something out: nothing relies on it
	Pruned        []Pruned `json:"pruned,omitempty"`     // deleted, or in a dry run to be deleted
	Retained      []string `json:"retained,omitempty"`   // past retention, but locked by the store
	CleanedUp     []string `json:"cleaned_up,omitempty"` // unfinished uploads of earlier runs, now aborted
}

// Pruned is a backup past its retention.
type Pruned struct {
	Key    string `json:"key"`
	Reason string `json:"reason"`
	// VersionsStay is true if the bucket only marked it as deleted: its versions are still stored, and billed.
	VersionsStay bool `json:"versions_stay,omitempty"`
}

// Job backs up tenants. [Read] returns one.
type Job struct {
	Store *mode.Store // opened by [Job.Prepare], closed by the caller

	env     mode.Env
	policy  *backups.Policy // nil: nothing is pruned
	dump    pgdump.DumpOptions
	table   postgres.Ledger // of applied migrations
	options postgres.Options
	// lockTimeout is how long to wait for a run that migrates the tenant.
	lockTimeout time.Duration
	activity    fleet.Activity      // nil: every tenant is backed up
	looks       bool                // with a source that has the ability, whether or not this run skips tenants
	maxAge      time.Duration       // with activity: a backup older than this does not make a new one unnecessary
	staleAfter  time.Duration       // after which an unfinished upload is aborted
	unfinished  []bucket.Unfinished // uploads in the bucket, of anybody
	verifyOn    postgres.Target     // server to restore each backup on; zero: none
}

// Prepare opens the bucket and lists its unfinished uploads, once for all tenants. If there are more cores than tenants
// at once, the spare ones help to compress.
func (b *Job) Prepare(ctx context.Context, found mode.Found) error {
	if found.Incomplete {
		b.policy = nil
	}
	streams := max(1, min(b.env.Concurrency, len(found.Tenants)))
	b.dump.Parallel = runtime.GOMAXPROCS(0)/streams - 1
	if err := b.Store.Open(ctx, streams); err != nil {
		return err
	}
	if trouble := b.Store.ClockTrouble(); trouble != "" && b.policy != nil {
		b.policy = nil
		b.env.Notice("nothing is pruned in this run, because " + trouble)
	}
	if b.env.DryRun {
		return nil
	}
	folder := b.Store.Folder("")
	if len(found.Tenants) == 1 {
		folder = b.Store.Folder(found.Tenants[0].Key)
	}
	var err error
	b.unfinished, err = b.Store.Unfinished(ctx, folder)
	return err
}

// Run backs up one tenant, unless its newest backup makes that unnecessary.
func (b *Job) Run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (_ fleet.Outcome, err error) {
	defer func() { err = remedies.Explain(err) }() // drop-tenant adds to the remedy
	var existing []backups.Backup
	if b.activity != nil || b.env.DryRun { // otherwise they are listed once there is a new backup
		var err error
		if existing, err = b.Store.List(ctx, t.Key); err != nil {
			return fleet.Outcome{}, err
		}
	}
	newest, unchanged, err := b.unchangedSince(ctx, t, existing, log)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if unchanged {
		return stillGood(newest), nil
	}
	target, err := mode.Resolve(ctx, b.env, t, log)
	if err != nil {
		return fleet.Outcome{}, err
	}
	worker, err := b.env.Workers.Enter(ctx, target.Server())
	if err != nil {
		return fleet.Outcome{}, err
	}
	defer worker.Leave()
	for holds, alone := true, 0; ; {
		o, err := b.attempt(ctx, t, target, existing, worker, holds, log)
		own := b.env.Schema(t) == "" && postgres.DatabaseFull(err) // no other tenant's worker takes its room
		if err == nil || ctx.Err() != nil || own || !noRoom(err, target) {
			return o, err
		}
		// Nothing was dumped yet: a program connects before it does anything.
		if holds && takesOwnRoom(err) {
			holds = false
			continue
		}
		again, ended := worker.Yield(ctx, 0)
		switch {
		case ended != nil, !again && errors.As(err, new(*postgres.ConnectError)): // that was tried for long enough
			return o, err
		case again:
			alone = 0
		case alone < aloneTries: // the sessions of workers that have left may still be there
			alone++
			pause(ctx, time.Duration(alone)*100*time.Millisecond)
		case holds:
			holds, alone = false, 0 // there is room for pg_dump's connection only
		default:
			return o, err
		}
	}
}

// stillGood is the outcome of a tenant whose newest backup makes a new one unnecessary.
func stillGood(newest backups.Judged) fleet.Outcome {
	return fleet.Outcome{
		Unchanged: true, Note: "no activity since " + newest.Time.Format(time.DateTime),
		Detail: Detail{Newest: newest.Key, Partial: len(backups.LeftOut(newest.Manifest.Args)) > 0},
	}
}

// aloneTries is how often a worker that is alone on a server tries again to get a second connection.
const aloneTries = 3

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// takesOwnRoom reports whether pg_dump had no connection left of the database's own limit, which other tenants have no
// part in: the job's other connection took it.
func takesOwnRoom(err error) bool {
	var program *pgdump.ProgramError
	return errors.As(err, &program) && strings.Contains(program.Output, "too many connections for database")
}

// noRoom reports whether the tenant's server had no connection left, for the job itself or for pg_dump; that of
// verify-database-url is another matter.
func noRoom(err error, target postgres.Target) bool {
	var program *pgdump.ProgramError
	if errors.As(err, &program) {
		return program.Program == "pg_dump" && program.Cause() == postgres.ConnectionLimit
	}
	var connect *postgres.ConnectError
	return errors.As(err, &connect) && postgres.NoRoom(err) && connect.Host == target.Host() &&
		connect.Database == target.Database()
}

// attempt makes the backup, or says in a dry run what it would be. Without holds, pg_dump's is the only connection
// during the dump.
func (b *Job) attempt(
	ctx context.Context, t fleet.Tenant, target postgres.Target, existing []backups.Backup, worker *mode.Worker,
	holds bool, log *slog.Logger,
) (fleet.Outcome, error) {
	db, err := b.inspect(ctx, t, target, worker, log)
	if err == nil && !holds {
		db.letGo()
	}
	if err != nil {
		return fleet.Outcome{}, err
	}
	defer db.close()
	key := backups.Key{
		Folder: b.Store.Folder(t.Key), Time: b.Store.Now().UTC().Truncate(time.Second), Major: db.major,
		Kind: kindOf(b.dump), Encrypted: len(b.dump.Recipients) > 0,
	}
	owner := b.owner(t, target)
	owner.Written = key.String()
	if b.env.DryRun {
		return b.dryRun(ctx, existing, owner, key, db)
	}
	return b.backUp(ctx, t, target, key, db, owner, log)
}

// owner is the tenant as the owner of backups like those that this job makes.
func (b *Job) owner(t fleet.Tenant, target postgres.Target) backups.Owner {
	o := mode.Owner(b.env, t, target)
	o.Args = b.dump.Args
	return o
}

// dryRun says what a backup with that key would hold and prune.
func (b *Job) dryRun(
	ctx context.Context, existing []backups.Backup, o backups.Owner, key backups.Key, db database,
) (fleet.Outcome, error) {
	var d Detail
	passed, err := b.wouldPrune(ctx, existing, o, key, &d)
	note := fmt.Sprintf("a database of %s, %d to prune", words.Size(db.size), len(d.Pruned))
	return fleet.Outcome{Note: note, Warnings: passed, Detail: d}, err
}

// backUp creates a new backup, and only then prunes older ones.
func (b *Job) backUp(
	ctx context.Context, t fleet.Tenant, target postgres.Target, key backups.Key, db database, owner backups.Owner,
	log *slog.Logger,
) (fleet.Outcome, error) {
	d := Detail{Partial: len(backups.LeftOut(b.dump.Args)) > 0}
	untidy := b.tidy(ctx, t, &d)
	m, unguarded, err := b.upload(ctx, t, target, key, db, owner, log)
	unguarded = append(untidy, unguarded...)
	if m.Key == "" {
		return fleet.Outcome{Warnings: untidy, Detail: d}, err
	}
	d.Key, d.PostgresMajor, d.StoredSize, d.PlainSize = m.Key, db.major, m.StoredSize, m.PlainSize
	d.StoredSHA256, d.SchemaVersion, d.Verified = m.StoredSHA256, m.SchemaVersion, m.Verified.How
	if err != nil { // it could not be verified as wanted
		return fleet.Outcome{Warnings: unguarded, Detail: d}, err
	}
	note := words.Size(m.StoredSize)
	if d.Partial {
		note += ", partial"
	}
	warnings, pruneErr := b.prune(ctx, t, owner, &d)
	if len(d.Pruned) > 0 {
		note += fmt.Sprintf(", %d pruned", len(d.Pruned))
	}
	if pruneErr != nil {
		note += ", pruning failed"
		pruneErr = fmt.Errorf("the backup %s is whole, but older ones were not pruned: %w", m.Key, pruneErr)
	}
	return fleet.Outcome{Note: note, Warnings: append(unguarded, warnings...), Detail: d}, pruneErr
}

// tidy removes what earlier runs left unfinished of the tenant. That it could not be is no reason to make no backup.
func (b *Job) tidy(ctx context.Context, t fleet.Tenant, d *Detail) (warnings []string) {
	var err error
	d.CleanedUp, err = b.Store.AbortStale(ctx, t.Key, b.unfinished, b.staleAfter)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return []string{"what earlier runs left unfinished was not removed, and is still billed: " + remedies.Sentence(err)}
}

// conclude returns the output backup-key, if one tenant was selected, and in a dry run what would be pruned.
func (b *Job) conclude(_ context.Context, results []fleet.Result) (e mode.Ending, _ error) {
	if b.env.DryRun {
		e.Sections = prunedSection("To prune: ", results)
	}
	if len(results) != 1 {
		return e, nil
	}
	d, _ := results[0].Outcome.Detail.(Detail)
	if key := cmp.Or(d.Key, d.Newest); key != "" {
		e.Outputs = map[string]string{"backup-key": key}
	}
	return e, nil
}

// facts returns the newest backup: the new one, even if a later step failed, or the one that made a new one
// unnecessary. A partial one is not the tenant's backup.
func facts(r fleet.Result) catalog.Facts {
	d, _ := r.Outcome.Detail.(Detail)
	if d.Partial {
		return catalog.Facts{SchemaVersion: d.SchemaVersion}
	}
	f := mode.BackupFacts(cmp.Or(d.Key, d.Newest))
	f.SchemaVersion = d.SchemaVersion
	if d.Key != "" && d.Verified == "restore" {
		f.RestoredKey, f.RestoredAt = d.Key, r.Started.Add(r.Elapsed)
	}
	return f
}
