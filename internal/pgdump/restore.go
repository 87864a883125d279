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

// RestoreOptions say what a stored backup is and how it may be loaded.
type RestoreOptions struct {
	Major       int    // the backup's, which the programs have to be of
	Root        string // where the programs are; empty: /usr/lib/postgresql
	Format      Format
	Compression compress.Kind
	Identities  []age.Identity // to decrypt it; none where it is not encrypted
	WantSHA256  string         // of the stored bytes, in hex; empty: not compared
	Overwrite   bool           // drop what the target holds, in the transaction that loads the backup
	Log         *slog.Logger   // hears of psql's notices; nil is nobody
}

// Restored is a backup that was loaded and committed.
type Restored struct {
	Tables       []postgres.TableRows // ordered by name
	StoredSize   int64
	StoredSHA256 string // in hex
}

// Restore loads a stored backup into a database, in one transaction: after an error the target is what it was.
// A target that holds anything is refused with a [*NotEmptyError], unless Overwrite.
//
// The SQL goes to psql, for an archive by way of pg_restore, and psql stops at the first error. The transaction's COMMIT is
// not in that SQL: it is sent only after the stored bytes have come to their end with the wanted SHA-256, the dump's end
// marker was seen, and pg_restore has exited with status 0. A wrong hash, a backup that is cut short, a cancelled ctx and
// the death of this process all end the session without it. That it was committed is then asked of the server, in case
// damaged SQL had swallowed the COMMIT.
//
// Errors beside it: [*postgres.ConnectError], [*ProgramError], [*BackupError], [*NoClientsError], [*postgres.URLError], the cause of ctx.
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
	if err := readyTarget(ctx, t, o); err != nil {
		return Restored{}, err
	}
	in, err := openStored(ctx, r, o.Compression, o.Identities)
	if err != nil {
		return Restored{}, err
	}
	defer in.Close()
	load := &load{o: o, clients: clients, libpq: l, in: in, key: rand.Text(), doing: fmt.Sprintf("restore into database %q on %s", l.database, l.host)}
	if err := load.run(ctx); err != nil {
		return Restored{}, err
	}
	conn, err := postgres.Connect(ctx, t, postgres.Options{ReadOnly: true, Log: o.Log})
	if err != nil {
		return Restored{}, fmt.Errorf("count the restored rows: %w", err)
	}
	defer conn.Close()
	tables, err := conn.CountRows(ctx)
	if err != nil {
		return Restored{}, err
	}
	return Restored{Tables: tables, StoredSize: in.size, StoredSHA256: in.sum()}, nil
}

// readyTarget refuses a target that the backup must not or cannot go into.
func readyTarget(ctx context.Context, t postgres.Target, o RestoreOptions) error {
	conn, err := postgres.Connect(ctx, t, postgres.Options{ReadOnly: true, Log: o.Log})
	if err != nil {
		return err
	}
	defer conn.Close()
	if major := conn.ServerMajor(); major < o.Major {
		return &BackupError{Problem: fmt.Sprintf("it was made by PostgreSQL %d, and the target is %d", o.Major, major), Fix: fmt.Sprintf("restore it into a server of PostgreSQL %d", o.Major)}
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

// load is one run of psql.
type load struct {
	o       RestoreOptions
	clients Clients
	libpq   libpq
	in      *stored
	key     string // random: psql's commands are locked with it, and the commit is known by it
	doing   string
}

func (l *load) run(ctx context.Context) error {
	stdin, w, err := pipe()
	if err != nil {
		return fmt.Errorf("%s: %w", l.doing, err)
	}
	defer w.Close()
	answers := &excerpt{}
	args := []string{"--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse",
		"--dbname=" + keepalive, "--file=-"}
	psql, err := startChild(l.clients.Psql, args, l.libpq.env, stdin, answers)
	if err != nil {
		return fmt.Errorf("%s: %w", l.doing, err)
	}
	defer func() { psql.kill(); <-psql.exited }()
	defer context.AfterFunc(ctx, func() {
		psql.stop(syscall.SIGINT) // psql cancels its query
		_ = w.Close()             // and where it runs none, waits for more to read
	})()

	err = l.feed(ctx, w)
	if err == nil {
		err = l.commit(w)
	}
	var refused *refusedError
	if psqlEnded := errors.As(err, &refused); err != nil && !psqlEnded {
		psql.stop(syscall.SIGINT)
	}
	_ = w.Close()
	ended := psql.wait()
	said := l.libpq.redact(psql.stderr.String())
	failure := &ProgramError{Program: "psql", Major: l.o.Major, Doing: l.doing, Err: ended, Output: said, restored: true}
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return fmt.Errorf("%s: %w", l.doing, cause)
	case err != nil && refused == nil:
		return err
	case ended != nil:
		return failure
	case !strings.Contains(answers.String(), l.committed()):
		failure.Problem = "ended well without having committed, so nothing was restored"
		return failure
	}
	if said != "" {
		l.o.Log.Warn("psql said", "output", said)
	}
	return nil
}

// refusedError is psql that reads no more: how it ended says why.
type refusedError struct{ error }

// feed sends everything but the commit.
func (l *load) feed(ctx context.Context, w *os.File) error {
	script := &script{w: w, restrict: restricts(l.clients.Version), key: l.key}
	if err := script.begin(l.prelude()); err != nil {
		return err
	}
	var err error
	if l.o.Format == Custom {
		err = l.unpack(ctx, script)
	} else {
		err = script.readFrom(l.in)
	}
	if err != nil {
		return err
	}
	if err := l.in.verify(l.o.WantSHA256); err != nil {
		return err
	}
	return script.finish()
}

// unpack has pg_restore turn the archive into SQL.
func (l *load) unpack(ctx context.Context, script *script) error {
	stdin, archive, err := pipe()
	if err != nil {
		return fmt.Errorf("%s: %w", l.doing, err)
	}
	sql, stdout, err := pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", l.doing, err), stdin.Close(), archive.Close())
	}
	defer sql.Close()
	restore, err := startChild(l.clients.Restore, []string{"--no-owner", "--no-privileges", "--exit-on-error", "--file=-"}, baseEnvironment(), stdin, stdout)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", l.doing, err), archive.Close())
	}
	defer context.AfterFunc(ctx, restore.kill)()
	fed := make(chan error, 1)
	go func() {
		err := copyAll(archive, l.in)
		if err != nil { // pg_restore must not take what it has for all there is
			restore.kill()
		}
		fed <- errors.Join(err, archive.Close())
	}()
	read := script.readFrom(sql)
	if read != nil {
		restore.kill()
	}
	_ = sql.Close()
	in, ended := <-fed, restore.wait()
	switch {
	case in != nil:
		return in
	case read != nil:
		return read
	case ended != nil:
		return &BackupError{Problem: fmt.Sprintf("pg_restore %d cannot read the archive: %s", l.o.Major, oneLine(restore.stderr.String())), Err: ended}
	}
	return nil
}

// copyAll moves an archive to pg_restore, which may have had enough before the end.
func copyAll(w *os.File, in *stored) error {
	buf := make([]byte, copyBuffer)
	for full := false; ; {
		n, err := in.Read(buf)
		if n > 0 && !full {
			if _, err := w.Write(buf[:n]); err != nil {
				full = true
			}
		}
		if err == io.EOF { //nolint:errorlint // only the bare io.EOF is an end: a wrapped one is a stream that was cut short
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// prelude opens the transaction.
func (l *load) prelude() string {
	sql := "begin read write;\n"
	if l.o.Overwrite {
		sql += postgres.ClearSQL
	}
	return sql
}

func (l *load) committed() string { return l.key + " committed" }

// commit is the one place that makes a restore stand.
func (l *load) commit(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "\ncommit;\nselect %s;\n", sqltext.QuoteLiteral(l.committed())); err != nil {
		return &refusedError{err}
	}
	return nil
}
