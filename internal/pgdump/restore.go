package pgdump

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"

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
	Log         *slog.Logger   // receives psql's notices; nil discards them
}

// Restored describes a backup that was restored and committed.
type Restored struct {
	Tables       []postgres.TableRows // ordered by name
	StoredSize   int64                // bytes
	StoredSHA256 string               // in hex
}

// Restore restores a stored backup into a database in one transaction: after an error the target is as it was before. A
// target that holds anything is refused with a [*NotEmptyError], unless Overwrite is set.
//
// psql runs the SQL, which pg_restore makes of an archive, and stops at the first error. The transaction's COMMIT is
// not in that SQL: it is sent only after the stored bytes have come to their end with the wanted SHA-256, the dump's
// end marker was seen, and pg_restore has exited with status 0. A wrong hash, a truncated backup, a cancel and the
// death of this process all end the session without it. Afterwards the server is asked whether it has committed, in
// case damaged SQL swallowed the COMMIT.
//
// Other errors: [*postgres.ConnectError], [*ProgramError], [*BackupError], [*NoClientsError], [*postgres.URLError], the
// cause of ctx.
func Restore(ctx context.Context, t postgres.Target, o RestoreOptions, r io.Reader) (Restored, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	clients, err := FindClients(ctx, o.Root, o.Major)
	if err != nil {
		return Restored{}, err
	}
	l, err := libpqEnvironment(t, vanishedClient)
	if err != nil {
		return Restored{}, err
	}
	if err := checkTarget(ctx, t, o); err != nil {
		return Restored{}, err
	}
	in, err := openStored(ctx, r, o.Compression, o.Identities)
	if err != nil {
		return Restored{}, err
	}
	defer in.Close()
	run := &restore{o: o, clients: clients, libpq: l, in: in, key: rand.Text()}
	run.task = fmt.Sprintf("restore into database %q on %s", l.database, l.host)
	if err := run.run(ctx); err != nil {
		return Restored{}, err
	}
	tables, err := countRows(ctx, t, o.Log)
	if err != nil {
		return Restored{}, err
	}
	return Restored{Tables: tables, StoredSize: in.size, StoredSHA256: in.sum()}, nil
}

// checkTarget refuses a target into which the backup must not, or cannot, be restored.
func checkTarget(ctx context.Context, t postgres.Target, o RestoreOptions) error {
	conn, err := postgres.Connect(ctx, t, postgres.Options{ReadOnly: true, Log: o.Log})
	if err != nil {
		return err
	}
	defer conn.Close()
	if major := conn.ServerMajor(); major < o.Major {
		return &BackupError{Cause: NewerBackup, Major: o.Major,
			Problem: fmt.Sprintf("it was made by PostgreSQL %d, and the target is %d", o.Major, major)}
	}
	if o.Overwrite {
		return nil
	}
	objects, err := conn.Objects(ctx)
	if err != nil {
		return err
	}
	if len(objects) > 0 {
		return &NotEmptyError{Host: t.Host(), Database: t.Database(), Objects: objects}
	}
	return nil
}

func countRows(ctx context.Context, t postgres.Target, log *slog.Logger) ([]postgres.TableRows, error) {
	conn, err := postgres.Connect(ctx, t, postgres.Options{ReadOnly: true, Log: log})
	if err != nil {
		return nil, fmt.Errorf("count the restored rows: %w", err)
	}
	defer conn.Close()
	return conn.CountRows(ctx)
}

// restore is one run of psql.
type restore struct {
	o       RestoreOptions
	clients Clients
	libpq   libpq
	in      *stored
	key     string // random: it locks psql's commands, and marks the commit
	task    string // for errors
}

func (r *restore) run(ctx context.Context) error {
	stdin, w, err := pipe()
	if err != nil {
		return fmt.Errorf("%s: %w", r.task, err)
	}
	defer w.Close()
	answers := &excerpt{}
	psql, err := startChild(r.clients.Psql, []string{
		"--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password",
		"--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse", "--dbname=" + keepalive, "--file=-",
	}, r.libpq.env, stdin, answers)
	if err != nil {
		return fmt.Errorf("%s: %w", r.task, err)
	}
	defer func() { psql.kill(); <-psql.exited }()
	defer context.AfterFunc(ctx, func() {
		psql.stop(syscall.SIGINT) // psql cancels its query
		_ = w.Close()             // without a query it would wait for more to read
	})()

	if err = r.feed(ctx, w); err == nil {
		err = r.commit(w)
	}
	var hungUp *hungUpError
	if err != nil && !errors.As(err, &hungUp) {
		psql.stop(syscall.SIGINT)
	}
	_ = w.Close()
	exit := psql.wait()
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: %w", r.task, cause)
	}
	if err != nil && hungUp == nil {
		return err
	}
	return r.verify(exit, psql, answers)
}

// verify decides whether psql has committed, after it has exited.
func (r *restore) verify(exit error, psql *child, answers *excerpt) error {
	said := r.libpq.redact(psql.stderr.String())
	e := &ProgramError{Program: "psql", Major: r.o.Major, Task: r.task, Err: exit, Output: said, restore: true}
	if exit != nil {
		return e
	}
	if !strings.Contains(answers.String(), r.committed()) {
		e.Problem = "ended well without having committed, so nothing was restored"
		return e
	}
	if said != "" {
		r.o.Log.Warn("psql said", "output", said)
	}
	return nil
}

// hungUpError says that psql reads no more: how it exited tells why.
type hungUpError struct{ error }

// feed sends everything except the commit.
func (r *restore) feed(ctx context.Context, w *os.File) error {
	script := &script{w: w, restrict: restricts(r.clients.Version), key: r.key}
	if err := script.begin(r.prelude()); err != nil {
		return err
	}
	var err error
	if r.o.Format == Custom {
		err = r.unpack(ctx, script)
	} else {
		err = script.readFrom(r.in)
	}
	if err != nil {
		return err
	}
	if err := r.in.verify(r.o.WantSHA256); err != nil {
		return err
	}
	return script.finish()
}

// prelude opens the transaction.
func (r *restore) prelude() string {
	sql := "begin read write;\n"
	if r.o.Overwrite {
		sql += postgres.ClearSQL
	}
	return sql
}

func (r *restore) committed() string { return r.key + " committed" }

// commit is the only place that makes a restore permanent.
func (r *restore) commit(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "\ncommit;\nselect %s;\n", sqltext.QuoteLiteral(r.committed())); err != nil {
		return &hungUpError{err}
	}
	return nil
}
