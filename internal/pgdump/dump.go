// Package pgdump dumps a database into a stream with PostgreSQL's client programs, checks a stored dump, and restores
// one in a single transaction. It knows neither tenants nor inputs, and stores nothing.
package pgdump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Format is the format of a dump.
type Format string

// The formats: SQL as psql takes it, and pg_dump's own archive (-Fc).
const (
	Plain  Format = "plain"
	Custom Format = "custom"
)

const (
	// defaultStall is how long pg_dump may write nothing. It is silent while it waits for a table's lock (below) and
	// while the server reads dead rows.
	defaultStall = 15 * time.Minute
	lockWait     = "60s"
	copyBuffer   = 256 << 10 // bytes
)

// DumpOptions say how to dump one database. Only Major is needed: the default is a plain, uncompressed dump.
type DumpOptions struct {
	Major  int    // of the programs: the server's own, see [postgres.Conn.ServerMajor]
	Root   string // the programs' directory; empty: /usr/lib/postgresql
	Format Format // empty: Plain
	// Schema is dumped without anything outside it; empty: the whole database.
	Schema string
	// Args are more arguments for pg_dump, see [CheckArgs], and for a schema [CheckSchemaArgs] too.
	Args []string
	// Compression of the stream. pg_dump compresses an archive itself, as pg_restore expects it.
	Compression compress.Kind
	Level       int
	Parallel    int             // extra cores that may compress this one stream
	Recipients  []age.Recipient // to encrypt to; none: not encrypted
	CountRows   bool            // count the rows of an archive, too; those of a plain dump always are
	Stall       time.Duration   // stop a pg_dump that has written nothing for this long; 0: 15 min
	NoSettings  bool            // send no settings of ours at startup, see [postgres.Conn.SettingsRefused]
	Log         *slog.Logger    // receives pg_dump's warnings; nil discards them
}

// Dumped describes a dump that is whole.
type Dumped struct {
	PlainSize     int64  // bytes that pg_dump wrote
	PlainSHA256   string // of these bytes, in hex
	ServerVersion string // as the dump states it, "17.6"
	ClientVersion string // pg_dump's
	// Rows are those of each block of table data, counted while they passed by; several blocks may go into one table.
	// Nil for an archive without CountRows, and with arguments that make pg_dump write INSERTs.
	Rows []postgres.TableRows
	// Relations is about how many tables, indexes and the like the dump creates; 0 for an archive without CountRows.
	Relations int
}

// Dump runs pg_dump and writes its compressed and encrypted output to w. It returns no error only if pg_dump exited
// with status 0 and the dump is whole: a plain one has its end marker in its last 512 bytes; an archive has no marker,
// and pg_restore reads it from beginning to end while it is written (an archive that is cut short lists well, but does
// not read). Only then does w receive the end of the compressed stream. It is never closed, and must not be committed
// before Dump has returned, because pg_dump's exit status follows its last byte.
//
// If ctx ends, w fails, or nothing is written for too long, pg_dump is asked to end, upon which it cancels its query;
// it is killed 2 s later and waited for. Errors: [*ProgramError], [*StallError], [*NoClientsError],
// [*postgres.URLError], [*ArgumentError], those of w, the cause of ctx.
func Dump(ctx context.Context, t postgres.Target, o DumpOptions, w io.Writer) (Dumped, error) {
	if o.Format == "" {
		o.Format = Plain
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	clients, err := FindClients(ctx, o.Root, o.Major)
	if err != nil {
		return Dumped{}, err
	}
	args, err := dumpArguments(o)
	if err != nil {
		return Dumped{}, err
	}
	var settings []string
	if !o.NoSettings {
		settings = append(settings, vanishedClient)
	}
	l, err := libpqEnvironment(t, settings...)
	if err != nil {
		return Dumped{}, err
	}
	d := &dump{o: o, libpq: l, clients: clients, args: args, scan: newScan(o.Format)}
	d.task = fmt.Sprintf("dump database %q on %s", l.database, l.host)
	if err := context.Cause(ctx); err != nil {
		return Dumped{}, fmt.Errorf("%s: %w", d.task, err)
	}
	return d.run(ctx, w)
}

// vanishedClient makes the server check every 2 s whether the client is still there, even while it sorts or builds and
// has nothing to send: a killed child leaves no query behind. (PostgreSQL 14 and newer.) pg_dump can set it in the
// startup message only.
const vanishedClient = "client_connection_check_interval=2s"

// dump is one run of pg_dump.
type dump struct {
	o       DumpOptions
	libpq   libpq
	clients Clients
	args    []string
	task    string // for errors
	scan    *scan
}

func (d *dump) run(ctx context.Context, w io.Writer) (Dumped, error) {
	kind := d.o.Compression
	if d.o.Format == Custom {
		kind = compress.None
	}
	out := &sink{w: w}
	encoder, err := compress.NewEncryptedWriter(out, kind, d.o.Level, d.o.Parallel, d.o.Recipients)
	if err != nil {
		return Dumped{}, fmt.Errorf("%s: %w", d.task, err)
	}
	if err = d.stream(ctx, encoder); err == nil {
		if err = encoder.Close(); err != nil {
			err = fmt.Errorf("%s: write it: %w", d.task, err)
		}
	}
	if err != nil {
		out.shut() // the compressor's last bytes must not make a part look whole
		_ = encoder.Close()
		return Dumped{}, err
	}
	return Dumped{
		PlainSize: d.scan.size, PlainSHA256: d.scan.sum(),
		ServerVersion: d.scan.serverVersion(), ClientVersion: d.clients.Version, Rows: d.scan.rows.tables,
		Relations: d.scan.rows.relations,
	}, nil
}

// stream runs pg_dump, copies its output to the encoder, and verifies that it is whole.
func (d *dump) stream(ctx context.Context, encoder io.Writer) error {
	var archive *archiveCheck
	if d.o.Format == Custom {
		var err error
		if archive, err = startArchiveCheck(d.clients, d.o.CountRows); err != nil {
			return fmt.Errorf("%s: %w", d.task, err)
		}
		defer archive.end()
		defer context.AfterFunc(ctx, archive.child.kill)() // otherwise copy could block on it
	}
	r, stdout, err := pipe()
	if err != nil {
		return fmt.Errorf("%s: %w", d.task, err)
	}
	defer r.Close()
	pgDump, err := startChild(d.clients.PgDump, d.args, d.libpq.env, nil, stdout)
	if err != nil {
		return fmt.Errorf("%s: %w", d.task, err)
	}
	defer context.AfterFunc(ctx, func() { pgDump.stop() })()

	if err = d.copy(r, encoder, archive); err != nil {
		pgDump.stop()
		_ = r.Close() // pg_dump may be waiting for room in the pipe
	}
	if exit := pgDump.wait(); err == nil {
		err = d.verify(exit, pgDump, archive)
	}
	if cause := context.Cause(ctx); cause != nil { // everything else follows from it
		return fmt.Errorf("%s: %w", d.task, cause)
	}
	if said := pgDump.stderr.String(); err == nil && said != "" {
		d.o.Log.Warn("pg_dump said", "output", d.libpq.redact(said))
	}
	return err
}

// copy copies everything that pg_dump writes.
func (d *dump) copy(r *os.File, encoder io.Writer, archive *archiveCheck) error {
	stall := d.o.Stall
	if stall <= 0 {
		stall = defaultStall
	}
	buf := make([]byte, copyBuffer)
	for {
		if err := r.SetReadDeadline(time.Now().Add(stall)); err != nil {
			return fmt.Errorf("%s: %w", d.task, err)
		}
		n, err := r.Read(buf)
		if n > 0 {
			d.scan.write(buf[:n])
			if archive != nil {
				archive.write(buf[:n])
			}
			if _, err := encoder.Write(buf[:n]); err != nil {
				return fmt.Errorf("%s: write it: %w", d.task, err)
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &StallError{Task: d.task, Waited: stall}
		case err != nil:
			return fmt.Errorf("%s: read from pg_dump: %w", d.task, err)
		}
	}
}

// verify decides whether the dump is whole, after pg_dump has exited.
func (d *dump) verify(exit error, pgDump *child, archive *archiveCheck) error {
	e := &ProgramError{
		Program: "pg_dump", Major: d.o.Major, Task: d.task, Err: exit, Output: d.libpq.redact(pgDump.stderr.String()),
	}
	switch {
	case exit != nil:
		return e
	case archive == nil && !d.scan.hasMarker():
		e.Problem = fmt.Sprintf("ended well, but the dump's last %d bytes lack the line %q, so it is not whole",
			markerWindow, endMarker)
		return e
	case archive == nil:
		return nil
	}
	if err := archive.finish(); err != nil {
		return &ProgramError{
			Program: "pg_restore", Major: d.o.Major, Task: d.task, Err: err, Output: archive.child.stderr.String(),
			Problem: "cannot read the archive that pg_dump wrote",
		}
	}
	d.scan.rows = *archive.rows
	return nil
}

// dumpArguments are pg_dump's arguments; none of them is secret.
func dumpArguments(o DumpOptions) ([]string, error) {
	if err := CheckArgs(o.Args); err != nil {
		return nil, err
	}
	args := []string{
		"--no-owner", "--no-privileges", "--no-password", "--lock-wait-timeout=" + lockWait, "--dbname=" + keepalive,
	}
	if o.Schema != "" {
		if err := CheckSchemaArgs(o.Args); err != nil {
			return nil, err
		}
		args = append(args, "--schema="+sqltext.QuoteIdentifier(o.Schema)) // in quotes, it is no pattern
	}
	switch {
	case o.Format == Plain:
		args = append(args, "--format=plain")
	case o.Format != Custom:
		return nil, fmt.Errorf("there is no format %q; there are plain and custom", o.Format)
	case o.Compression == compress.Zstd && o.Major < 16:
		return nil, &ArgumentError{ZstdArchive, fmt.Sprintf(
			"pg_dump can compress an archive with zstd from 16 on, and this server is %d", o.Major)}
	case o.Compression == compress.Zstd:
		args = append(args, "--format=custom", fmt.Sprintf("--compress=zstd:%d", o.Level))
	case o.Compression == compress.Gzip:
		args = append(args, "--format=custom", fmt.Sprintf("--compress=%d", o.Level))
	default:
		args = append(args, "--format=custom", "--compress=0")
	}
	return append(args, o.Args...), nil
}

// sink passes writes on until it is shut. A compressor with several cores writes from goroutines of its own.
type sink struct {
	w      io.Writer
	closed atomic.Bool
}

var errShut = errors.New("the dump failed")

func (s *sink) Write(p []byte) (int, error) {
	if s.closed.Load() {
		return 0, errShut
	}
	return s.w.Write(p)
}

func (s *sink) shut() { s.closed.Store(true) }
