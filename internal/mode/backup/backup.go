// Package backup is the modes backup and restore: a tenant's dump into the bucket, checked, committed and pruned, and a
// stored one back into a target.
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
	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// Detail is what the report file says of a tenant that was backed up.
type Detail struct {
	Key           string   `json:"key,omitempty"` // of the backup just written
	PostgresMajor int      `json:"postgres_major,omitempty"`
	StoredSize    int64    `json:"stored_size,omitempty"` // bytes
	PlainSize     int64    `json:"plain_size,omitempty"`
	StoredSHA256  string   `json:"stored_sha256,omitempty"`
	SchemaVersion string   `json:"schema_version,omitempty"`
	Verified      string   `json:"verified,omitempty"`   // stream or restore
	Newest        string   `json:"newest,omitempty"`     // the verified backup that made a new one needless
	Pruned        []Pruned `json:"pruned,omitempty"`     // deleted, or to be deleted in a dry run
	Retained      []string `json:"retained,omitempty"`   // past retention, but locked by the store
	CleanedUp     []string `json:"cleaned_up,omitempty"` // unfinished uploads of earlier runs that were aborted
}

// Pruned is one backup past its retention, and why.
type Pruned struct {
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

// Job is the mode, its inputs read.
type Job struct {
	env        mode.Env
	Store      *mode.Store
	policy     *backups.Policy // nil: nothing is pruned
	dump       pgdump.DumpOptions
	table      postgres.Table
	options    postgres.Options
	activity   fleet.Activity // nil: every tenant is backed up
	unchanged  time.Duration  // with activity: a tenant that was not active since its backup is skipped while that is no older than this
	staleAfter time.Duration
	unfinished []bucket.Unfinished // uploads of earlier runs, and of others
	verifyOn   postgres.Target     // restore every backup into a throwaway database there; zero: don't
}

// Prepare opens the bucket and lists, once for all tenants, what was left unfinished there. Cores that no other tenant's
// stream will use compress along.
func (b *Job) Prepare(ctx context.Context, found mode.Found) error {
	if found.Incomplete {
		b.policy = nil
	}
	streams := max(1, min(b.env.Concurrency, len(found.Tenants)))
	b.dump.Parallel = runtime.GOMAXPROCS(0)/streams - 1
	if err := b.Store.Open(ctx, streams); err != nil || b.env.DryRun {
		return err
	}
	folder := b.Store.Folder("")
	if len(found.Tenants) == 1 {
		folder = b.Store.Folder(found.Tenants[0].Key)
	}
	var err error
	b.unfinished, err = b.Store.Unfinished(ctx, folder)
	return err
}

// backupKey names the backup where one tenant was selected.
func backupKey(_ context.Context, results []fleet.Result) (mode.Ending, error) {
	if len(results) != 1 {
		return mode.Ending{}, nil
	}
	d, _ := results[0].Outcome.Detail.(Detail)
	if key := cmp.Or(d.Key, d.Newest); key != "" {
		return mode.Ending{Outputs: map[string]string{"backup-key": key}}, nil
	}
	return mode.Ending{}, nil
}

// Run backs one tenant up: dump, upload, check, commit; then, and only then, prune.
func (b *Job) Run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	var d Detail
	var existing []backups.Backup
	if b.activity != nil || b.env.DryRun { // nothing else asks for them before there is a new one
		var err error
		if existing, err = b.Store.List(ctx, t.Key); err != nil {
			return fleet.Outcome{}, err
		}
	}
	newest, ok, err := b.unchangedSince(ctx, t, existing)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if ok {
		d.Newest = newest.Key
		return fleet.Outcome{Unchanged: true, Note: "no activity since " + newest.Time.Format(time.DateTime), Detail: d}, nil
	}
	target, err := mode.Resolve(ctx, b.env, t, log)
	if err != nil {
		return fleet.Outcome{}, err
	}
	db, err := b.look(ctx, t, target, log)
	if err != nil {
		return fleet.Outcome{}, err
	}
	key := backups.Key{
		Folder: b.Store.Folder(t.Key), Time: time.Now().UTC().Truncate(time.Second), Major: db.major,
		Kind: b.kind(), Encrypted: len(b.dump.Recipients) > 0,
	}
	if b.env.DryRun {
		if b.policy != nil {
			after := append([]backups.Backup{{Key: key.String(), Time: key.Time, Verified: true}}, existing...)
			d.Pruned = pruned(backups.Plan(time.Now(), after, *b.policy, key.String()))
		}
		return fleet.Outcome{Note: fmt.Sprintf("a database of %s, %d to prune", words.Size(db.size), len(d.Pruned)), Detail: d}, nil
	}
	if d.CleanedUp, err = b.Store.AbortStale(ctx, t.Key, b.unfinished, b.staleAfter); err != nil {
		return fleet.Outcome{Detail: d}, err
	}
	m, err := b.upload(ctx, t, target, key, db, log)
	if err != nil {
		return fleet.Outcome{Detail: d}, err
	}
	d.Key, d.PostgresMajor, d.StoredSize, d.PlainSize = m.Key, db.major, m.StoredSize, m.PlainSize
	d.StoredSHA256, d.SchemaVersion, d.Verified = m.StoredSHA256, m.SchemaVersion, m.Verified.How
	note := words.Size(m.StoredSize)
	pruneErr := b.prune(ctx, t, m.Key, &d)
	if len(d.Pruned) > 0 {
		note += fmt.Sprintf(", %d pruned", len(d.Pruned))
	}
	if pruneErr != nil {
		note += ", pruning failed"
		pruneErr = fleet.WithRemedy(fmt.Errorf("the backup %s is whole, but older ones were not pruned: %w", m.Key, pruneErr), fleet.Remedy(pruneErr))
	}
	return fleet.Outcome{Note: note, Detail: d}, pruneErr
}

// dumpTail is for how long after a dump's end the compute may seem active because of the dump itself.
const dumpTail = time.Minute

// unchangedSince returns the backup that makes a new one needless: verified, not too old, and the last thing that the compute
// was active for.
func (b *Job) unchangedSince(ctx context.Context, t fleet.Tenant, existing []backups.Backup) (newest backups.Backup, ok bool, err error) {
	if b.activity == nil {
		return newest, false, nil
	}
	newest, ok = backups.NewestVerified(existing)
	if !ok || time.Since(newest.Time) > b.unchanged {
		return newest, false, nil
	}
	active, known, err := b.activity.LastActive(ctx, t)
	if err != nil {
		return newest, false, err
	}
	if !known {
		b.env.Notice("skip-unchanged: some tenants are backed up every time, because it is not known when they were last in use (they are no Neon projects, or Neon does not say)")
		return newest, false, nil
	}
	m, err := b.Store.Manifest(ctx, newest.Key)
	if err != nil {
		return newest, false, err
	}
	return newest, active.Before(m.FinishedAt.Add(dumpTail)), nil
}

// database is what is known of a tenant's database before it is dumped.
type database struct {
	major   int
	size    int64 // bytes, as pg_database_size counts
	version string
}

// look connects once, which also wakes the compute, and asks what the dump and the upload have to know.
func (b *Job) look(ctx context.Context, t fleet.Tenant, target postgres.Target, log *slog.Logger) (database, error) {
	conn, err := mode.Dial(ctx, b.env, t, target, b.options, log)
	if err != nil {
		return database{}, err
	}
	defer conn.Close()
	db := database{major: cmp.Or(b.dump.Major, conn.ServerMajor())}
	table := b.table
	if schema := b.env.Schema(t); schema != "" {
		table = table.In(schema)
		db.size, err = conn.SchemaSize(ctx, schema)
	} else {
		db.size, err = conn.DatabaseSize(ctx)
	}
	if err != nil {
		return database{}, err
	}
	status, err := postgres.ReadStatus(ctx, conn, table, false)
	if err != nil {
		log.Warn("the schema's version is not known", "error", err) // a backup is worth having all the same
	}
	db.version = status.Highest()
	_, err = pgdump.FindClients(ctx, "", db.major)
	return db, err
}

func (b *Job) kind() string {
	switch {
	case b.dump.Format == pgdump.Custom:
		return backups.Custom
	case b.dump.Compression == compress.Zstd:
		return backups.PlainZstd
	}
	return backups.PlainGzip
}

// upload streams a dump into the bucket. The object appears only when pg_dump has ended well and the dump is whole; its
// manifest, which makes it a backup, only when the store has it whole too.
func (b *Job) upload(ctx context.Context, t fleet.Tenant, target postgres.Target, key backups.Key, db database, log *slog.Logger) (m backups.Manifest, err error) {
	w, err := b.Store.Create(ctx, key.String(), bucket.Info{SizeEstimate: db.size, Metadata: map[string]string{
		"tenant-id": t.ID, "tenant-name": t.Name, "postgres-major": fmt.Sprint(db.major), "schema-version": db.version,
	}})
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Abort())
		}
	}()
	o := b.dump
	o.Major, o.Schema, o.Log = db.major, b.env.Schema(t), log
	dumped, err := pgdump.Dump(ctx, target, o, w)
	if err != nil {
		return m, err
	}
	log.Info("dumped", "bytes", dumped.PlainSize, "compressed", w.Size())
	stored, err := w.Commit(ctx)
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil { // an object that is no backup is not left behind
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_, gone := b.Store.Delete(ctx, []string{key.String()})
			err = errors.Join(err, gone)
		}
	}()
	m = backups.Manifest{
		Key: stored.Key, Tenant: t, StartedAt: key.Time, ServerVersion: dumped.ServerVersion, ClientVersion: dumped.ClientVersion,
		SchemaVersion: db.version, Format: string(o.Format), Compression: string(o.Compression), Encrypted: key.Encrypted,
		StoredSize: stored.Size, StoredSHA256: fmt.Sprintf("%x", stored.SHA256), PlainSize: dumped.PlainSize, PlainSHA256: dumped.PlainSHA256,
		Verified: backups.Verification{How: "stream", At: time.Now().UTC(), Stored: stored.Checked},
	}
	if !b.verifyOn.Zero() {
		if m.Verified, err = b.tryRestore(ctx, m, key, dumped, log); err != nil {
			return m, fmt.Errorf("the upload %s could not be restored, and is not counted as a backup: %w", m.Key, err)
		}
	}
	m.FinishedAt = time.Now().UTC()
	return m, b.Store.Commit(ctx, m)
}

// prune deletes what the policy does not keep of the tenant's backups. The one just written is listed with the others.
func (b *Job) prune(ctx context.Context, t fleet.Tenant, written string, d *Detail) error {
	if b.policy == nil {
		return nil
	}
	existing, err := b.Store.List(ctx, t.Key)
	if err != nil {
		return err
	}
	gone, retained, err := b.Store.Prune(ctx, backups.Plan(time.Now(), existing, *b.policy, written))
	d.Pruned, d.Retained = pruned(gone), retained
	return err
}

func pruned(decisions []backups.Decision) []Pruned {
	var out []Pruned
	for _, d := range decisions {
		if !d.Keep {
			out = append(out, Pruned{d.Key, strings.Join(d.Reasons, ", ")})
		}
	}
	return out
}

// facts tells the newest backup: the one made, also where what followed it failed, or the one that made it needless.
func facts(r fleet.Result) catalog.Facts {
	d, _ := r.Outcome.Detail.(Detail)
	f := mode.BackupFacts(cmp.Or(d.Key, d.Newest))
	f.SchemaVersion = d.SchemaVersion
	if d.Key != "" && d.Verified == "restore" {
		f.RestoredKey, f.RestoredAt = d.Key, r.Started.Add(r.Elapsed)
	}
	return f
}
