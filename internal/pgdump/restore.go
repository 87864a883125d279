package pgdump

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// RestoreOptions describe a stored backup, and how it may be restored.
type RestoreOptions struct {
	Major       int    // the backup's, and that of the programs
	Root        string // the programs' directory; empty: /usr/lib/postgresql
	Format      Format
	Compression compress.Kind
	Identities  []age.Identity // that can decrypt it; none if it is not encrypted
	WantSHA256  string         // of the stored bytes, in hex; empty: not compared
	Overwrite   bool           // drop what the target holds, in the transaction that restores the backup
	Schemas     []string       // that the backup may need and not create; they are created first
	Relations   int            // how many the backup creates, see [Checked]; 0: not known
	Log         *slog.Logger   // receives the server's notices; nil discards them
	// Begin is called with the session that restores, before that changes anything. Its error is that of Restore.
	Begin func(ctx context.Context, c *postgres.Conn) error
	// Look is called after the restore, with the read-only session that counted the rows. Its error is that of Restore.
	// With Look, that is the session of the restore, as good as new: for a database that is nobody else's, a second one
	// would cost much and tell no more.
	Look func(ctx context.Context, c *postgres.Conn) error
}

// Restored describes a backup that was restored and committed.
type Restored struct {
	Tables       []postgres.TableRows // ordered by name
	StoredSize   int64                // bytes
	StoredSHA256 string               // in hex
	PlainSize    int64                // bytes of the dump
	PlainSHA256  string               // of these bytes, in hex

	loaded  []loadedTable
	counted []postgres.Counted
}

// Restore restores a stored backup into a database in one transaction: after an error the target is as it was before. A
// target that holds anything is refused with a [*NotEmptyError], unless Overwrite is set.
//
// Nothing in the backup can end that transaction, nor run a program here: its statements, which pg_restore makes of an
// archive, go to the server one by one, without those that control transactions and without psql's commands. The first
// error ends the restore. The commit follows only after the stored bytes have come to their end with the wanted
// SHA-256, the dump's end marker was seen, pg_restore has exited with status 0, and the server has said that the
// transaction is still the one that Restore began. To notice a damaged backup earlier than that, read it with [Check]
// first.
//
// Other errors: [*postgres.ConnectError], [*RestoreError], [*BackupError], [*NoClientsError] with an archive, the
// cause of ctx. Only with an [*UncountedError] does the target hold the backup all the same.
func Restore(ctx context.Context, t postgres.Target, o RestoreOptions, r io.Reader) (Restored, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	run := &restore{o: o, target: t, task: fmt.Sprintf("restore into database %q on %s", t.Database(), t.Host())}
	if o.Format == Custom {
		var err error
		if run.clients, err = FindClients(ctx, o.Root, o.Major); err != nil {
			return Restored{}, err
		}
	}
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	in, err := openStored(reading, r, o.Compression, o.Identities)
	if err != nil {
		return Restored{}, err
	}
	defer in.Close()
	run.in, run.stop = in, stop
	loaded, err := run.run(ctx)
	if err != nil {
		return Restored{}, err
	}
	counted := run.counted
	if o.Look == nil {
		if counted, err = countRows(ctx, t, o.Log); err != nil {
			return Restored{}, &UncountedError{err}
		}
	}
	restored := Restored{
		StoredSize: in.size, StoredSHA256: in.sum(), PlainSize: in.plainSize, PlainSHA256: in.plainSum(),
		loaded: loaded, counted: counted,
	}
	for _, table := range counted {
		restored.Tables = append(restored.Tables, table.TableRows)
	}
	return restored, nil
}

// CheckTarget refuses a target into which [Restore] would not restore the backup, before anything is read.
func CheckTarget(ctx context.Context, t postgres.Target, o RestoreOptions) error {
	conn, err := postgres.Connect(ctx, t, postgres.Options{ReadOnly: true, Log: o.Log})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := checkMajor(conn, o.Major); err != nil || o.Overwrite {
		return err
	}
	return checkEmpty(ctx, conn, t)
}

func checkMajor(conn *postgres.Conn, backup int) error {
	if major := conn.ServerMajor(); major < backup {
		return &BackupError{Cause: NewerBackup, Major: backup,
			Problem: fmt.Sprintf("it was made by PostgreSQL %d, and the target is %d", backup, major)}
	}
	return nil
}

func checkEmpty(ctx context.Context, conn *postgres.Conn, t postgres.Target) error {
	objects, err := conn.Objects(ctx)
	if err != nil {
		return err
	}
	if len(objects) > 0 {
		return &NotEmptyError{Host: t.Host(), Database: t.Database(), Objects: objects}
	}
	return nil
}

func countRows(ctx context.Context, t postgres.Target, log *slog.Logger) ([]postgres.Counted, error) {
	conn, err := postgres.Connect(ctx, t, postgres.Options{ReadOnly: true, Log: log})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.CountRows(ctx)
}

// lookAround counts the rows and looks at the restored database, with the session that restored it. What the dump has
// set there is discarded.
func (r *restore) lookAround(ctx context.Context, conn *postgres.Conn) error {
	for _, sql := range []string{"discard all", "set default_transaction_read_only = on"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return &UncountedError{err}
		}
	}
	var err error
	if r.counted, err = conn.CountRows(ctx); err != nil {
		return &UncountedError{err}
	}
	return r.o.Look(ctx, conn)
}

// restore restores one backup.
type restore struct {
	o       RestoreOptions
	target  postgres.Target
	clients Clients // only for an archive
	in      *stored
	stop    context.CancelCauseFunc // ends the reading of in
	task    string                  // for errors
	counted []postgres.Counted      // with Look
}

// run returns the tables that the backup has rows for.
func (r *restore) run(ctx context.Context) ([]loadedTable, error) {
	log := newNotices(r.o.Log)
	conn, err := postgres.Connect(ctx, r.target, postgres.Options{Log: slog.New(log)})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	l := &load{conn: conn, task: r.task, script: newScript(r.in)}
	if err := r.load(ctx, l); err != nil {
		if cause := context.Cause(ctx); cause != nil { // everything else follows from it
			err = fmt.Errorf("%s: %w", r.task, cause)
		}
		return nil, err
	}
	if n := log.left(); n > 0 {
		r.o.Log.Info("more messages of the server were left out", "count", n)
	}
	if err := l.commit(ctx, r.target); err != nil || r.o.Look == nil {
		return l.intake.tables, err
	}
	return l.intake.tables, r.lookAround(ctx, conn)
}

// load does everything except the commit.
func (r *restore) load(ctx context.Context, l *load) error {
	if err := checkMajor(l.conn, r.o.Major); err != nil {
		return err
	}
	if r.o.Begin != nil {
		if err := r.o.Begin(ctx, l.conn); err != nil {
			return err
		}
	}
	if err := l.begin(ctx); err != nil {
		return err
	}
	if err := r.warnOfLocks(ctx, l); err != nil {
		return err
	}
	if err := r.makeRoom(ctx, l); err != nil {
		return err
	}
	var err error
	if r.o.Format == Custom {
		err = r.unpack(ctx, l)
	} else {
		err = l.run(ctx)
	}
	if err != nil {
		return err
	}
	if err := r.in.verify(r.o.WantSHA256); err != nil {
		return err
	}
	if err := l.script.finish(); err != nil {
		return err
	}
	if err := l.intake.identify(ctx, l.conn); err != nil {
		return l.failure("look for the tables", err)
	}
	return nil
}

// makeRoom makes sure that the target is empty.
func (r *restore) makeRoom(ctx context.Context, l *load) error {
	if !r.o.Overwrite {
		if err := checkEmpty(ctx, l.conn, r.target); err != nil {
			return err
		}
	} else if _, err := l.conn.Exec(ctx, postgres.ClearSQL); err != nil {
		return l.failure("empty it", err)
	}
	l.emptied = r.o.Overwrite
	for _, name := range r.o.Schemas {
		sql := "create schema if not exists " + sqltext.QuoteIdentifier(name)
		if _, err := l.conn.Exec(ctx, sql); err != nil {
			return l.failure(sql, err)
		}
	}
	answers, err := l.conn.Results(ctx, ownSchemasSQL)
	if err != nil {
		return l.failure("look for schemas", err)
	}
	l.schemas = string(answers[0][0][0]) == "t"
	return nil
}

// ownSchemasSQL finds the schemas that an empty database may have beside public: those that extensions are in.
const ownSchemasSQL = `select exists (select from pg_catalog.pg_namespace
	where nspname !~ '^pg_' and nspname not in ('information_schema', 'public'))`
