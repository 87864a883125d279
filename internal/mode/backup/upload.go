package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// database is what is known about a tenant's database before it is dumped.
type database struct {
	major    int   // of pg_dump
	size     int64 // bytes, as pg_database_size counts
	version  string
	schema   string                // that alone is dumped; empty: the whole database
	around   postgres.Surroundings // what is there beside the dump, if a restore may need it
	encoding string
	look     backups.Look   // before the dump; zero if the source does not tell when a tenant was in use
	conn     *postgres.Conn // open during the dump, for the lock and a second look; nil in a dry run
	guard    guard

	schemaHash string // before the dump; empty if it is not known
	noSettings bool   // a pooler refuses settings in the startup message
}

func (db *database) close() {
	if db.conn != nil {
		db.conn.Close()
	}
}

// inspect connects to the database, which also wakes its compute, and reads what the dump and the upload depend on. The
// caller must close what it returns.
func (b *Job) inspect(
	ctx context.Context, t fleet.Tenant, target postgres.Target, worker *mode.Worker, log *slog.Logger,
) (db database, err error) {
	options := b.options
	options.NoRoom = worker.Others
	conn, err := worker.Connect(ctx, options, func(o postgres.Options) (*postgres.Conn, error) {
		return mode.Dial(ctx, b.env, t, target, o, log)
	})
	if err != nil {
		return database{}, err
	}
	defer func() {
		if db.conn == nil {
			conn.Close()
		}
	}()
	db = database{
		major: cmp.Or(b.dump.Major, conn.ServerMajor()), schema: b.env.Schema(t), noSettings: conn.SettingsRefused(),
		encoding: conn.Parameter("server_encoding"),
	}
	if db.version, db.guard, err = b.keepMigrationsAway(ctx, conn, db.schema, log); err != nil {
		return database{}, err
	}
	if db.schema != "" {
		db.size, err = conn.SchemaSize(ctx, db.schema)
	} else {
		db.size, err = conn.DatabaseSize(ctx)
	}
	if err != nil {
		return database{}, err
	}
	if !b.env.DryRun && (!b.verifyOn.Zero() || b.partOf(db)) {
		if db.around, err = conn.Surroundings(ctx); err != nil && !b.verifyOn.Zero() {
			return database{}, err
		}
	}
	if _, err = pgdump.FindClients(ctx, "", db.major); err != nil || b.env.DryRun {
		return db, err
	}
	if b.looks {
		if db.look, err = look(ctx, conn); err != nil {
			return db, err
		}
	}
	db.schemaHash = b.schemaHash(ctx, conn, db.schema, log)
	db.conn = conn
	return db, nil
}

// cleanupTimeout is how long deleting a failed backup may take after the run's context has ended.
const cleanupTimeout = 5 * time.Second

// upload streams a dump into the bucket. The object appears only once pg_dump has succeeded and the dump is complete.
// Its manifest, which makes it a verified backup, is written once the object has been checked. What it returns beside
// an error is the manifest only if it was written. The warnings are about a dump that migrations were not kept away
// from.
func (b *Job) upload(
	ctx context.Context, t fleet.Tenant, target postgres.Target, key backups.Key, db database, owner backups.Owner,
	log *slog.Logger,
) (m backups.Manifest, unguarded []string, err error) {
	metadata := backups.Metadata(t, owner.Origin)
	metadata["postgres-major"], metadata["schema-version"] = fmt.Sprint(db.major), db.version
	w, err := b.Store.Create(ctx, key.String(), bucket.Info{SizeEstimate: db.size, Metadata: metadata})
	if err != nil {
		return m, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Abort())
		}
	}()
	o := b.dump
	o.Major, o.Schema, o.Log, o.CountRows = db.major, db.schema, log, !b.verifyOn.Zero()
	o.NoSettings = db.noSettings
	dumped, err := pgdump.Dump(ctx, target, o, w)
	if err != nil {
		return m, nil, err
	}
	log.Info("dumped", "bytes", dumped.PlainSize, "compressed", w.Size())
	unguarded = db.unguarded(ctx)
	quiet := b.quiet(ctx, t, target, db, log)
	contents := b.contents(ctx, db, dumped, log)
	db.close() // nothing is read from the tenant any more
	stored, err := w.Commit(ctx)
	if err != nil {
		return m, nil, err
	}
	m = b.manifest(t, owner, key, db, dumped, stored)
	m.Quiet, m.Contents = quiet, contents
	if !b.verifyOn.Zero() {
		m, err = b.prove(ctx, m, key, dumped, db, log)
		return m, unguarded, err
	}
	m, err = b.finish(ctx, m)
	return m, unguarded, err
}

// manifest returns the manifest of a backup that is stored, without the time when it was finished.
func (b *Job) manifest(
	t fleet.Tenant, owner backups.Owner, key backups.Key, db database, dumped pgdump.Dumped, stored bucket.Stored,
) backups.Manifest {
	return backups.Manifest{
		Key: stored.Key, Tenant: t, Origin: owner.Origin, StartedAt: key.Time,
		Args: b.dump.Args, Whole: len(backups.LeftOut(b.dump.Args)) == 0,
		ServerVersion: dumped.ServerVersion, ClientVersion: dumped.ClientVersion, SchemaVersion: db.version,
		Format: string(b.dump.Format), Compression: string(b.dump.Compression), Encrypted: key.Encrypted,
		Recipients: recipientNames(b.dump.Recipients),
		StoredSize: stored.Size, StoredSHA256: fmt.Sprintf("%x", stored.SHA256),
		PlainSize: dumped.PlainSize, PlainSHA256: dumped.PlainSHA256,
		Verified: backups.Verification{How: "stream", At: b.Store.Now().UTC(), Stored: stored.Checked},
	}
}
