// Package pgdump runs PostgreSQL's client programs: it dumps a database into a stream, checks a stored dump, and restores
// one in a single transaction. It knows neither tenants nor inputs, and stores nothing.
package pgdump

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Format is what a dump is written as.
type Format string

// The formats: SQL that psql runs, or pg_dump's own archive (-Fc).
const (
	Plain  Format = "plain"
	Custom Format = "custom"
)

const (
	// Where the end marker is looked for: patched versions write \unrestrict and a token after it.
	markerWindow = 512
	endMarker    = "-- PostgreSQL database dump complete"
	// How long nothing may come from pg_dump, unless said otherwise. It is silent while it waits for a table's lock (below)
	// and while the server reads dead rows.
	defaultStall = 15 * time.Minute
	lockWait     = "60s"
	copyBuffer   = 256 << 10
)

// DumpOptions say how to dump one database. The zero value but for Major is a plain, uncompressed dump.
type DumpOptions struct {
	Major  int    // of the programs to use: the server's own, see [Conn.ServerMajor]
	Root   string // where the programs are; empty: /usr/lib/postgresql
	Format Format // empty: Plain
	// Schema is the one that is dumped, with nothing that is outside of it; empty: the whole database.
	Schema string
	// Args are more arguments for pg_dump, see [CheckArgs], and for a schema [CheckSchemaArgs] too.
	Args []string
	// Compression, and its level. A custom archive is compressed by pg_dump itself, as pg_restore expects it.
	Compression compress.Kind
	Level       int
	Parallel    int             // extra cores that may compress this one stream
	Recipients  []age.Recipient // encrypt to these; none: not encrypted
	Stall       time.Duration   // end a pg_dump from which nothing came for so long; 0: 15 min
	Log         *slog.Logger    // hears of pg_dump's warnings; nil is nobody
}

// Dumped is a dump that is whole.
type Dumped struct {
	PlainSize     int64  // bytes that pg_dump wrote
	PlainSHA256   string // of them, in hex
	MarkerSeen    bool   // the end marker was in the last 512 bytes; for an archive: pg_restore read it to its end
	ServerVersion string // as the dump says, "17.6"
	ClientVersion string // pg_dump's
	// Rows are those of each table in a plain dump, counted as they went by; nil for an archive, and with arguments that
	// make pg_dump write INSERTs.
	Rows []postgres.TableRows
}

// Dump runs pg_dump and writes its compressed and encrypted output to w. It returns without an error only when pg_dump
// exited with status 0 and the dump is whole: a plain one has its end marker in its last 512 bytes; an archive, which has
// none, was read by pg_restore from beginning to end while it was written (an archive that is cut short lists well, but
// does not read). w gets the end of the compressed stream only then, is never closed, and must be committed only after
// Dump has returned: pg_dump's status comes after its last byte.
//
// Where ctx ends, w refuses, or nothing comes for too long, pg_dump is told to end, which cancels its query, killed 2 s
// later, and waited for. Errors: [*ProgramError], [*NoClientsError], [*postgres.URLError], [*ArgumentError], what w returned, the
// cause of ctx.
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
	l, err := libpqEnvironment(t, vanishedClient)
	if err != nil {
		return Dumped{}, err
	}
	d := &dump{o: o, libpq: l, clients: clients, plain: sha256.New(), doing: fmt.Sprintf("dump database %q on %s", l.database, l.host)}
	if err := context.Cause(ctx); err != nil {
		return Dumped{}, fmt.Errorf("%s: %w", d.doing, err)
	}
	kind := o.Compression
	if o.Format == Custom {
		kind = compress.None
	}
	out := &sink{w: w}
	encoder, err := compress.NewEncryptedWriter(out, kind, o.Level, o.Parallel, o.Recipients)
	if err != nil {
		return Dumped{}, fmt.Errorf("%s: %w", d.doing, err)
	}
	return d.run(ctx, args, encoder, out)
}

// vanishedClient makes the server look every 2 s whether we are still there, also while it sorts or builds and has nothing
// to send: a child that was killed leaves no query behind. (PostgreSQL 14 and newer.)
const vanishedClient = "client_connection_check_interval=2s"

// dump is one run of pg_dump.
type dump struct {
	o       DumpOptions
	libpq   libpq
	clients Clients
	doing   string

	plain hash.Hash
	size  int64
	head  []byte // the first bytes, where the versions stand
	tail  []byte // the last markerWindow bytes
	rows  rowCounter
}

func (d *dump) run(ctx context.Context, args []string, encoder io.WriteCloser, out *sink) (result Dumped, err error) {
	defer func() {
		if err != nil {
			out.shut() // a compressor's last words must not make a part look whole
			_ = encoder.Close()
		}
	}()
	var reread *reread
	if d.o.Format == Custom {
		if reread, err = startReread(d.clients); err != nil {
			return Dumped{}, fmt.Errorf("%s: %w", d.doing, err)
		}
		defer reread.end()
		defer context.AfterFunc(ctx, reread.child.kill)() // it must not keep copy waiting
	}
	r, stdout, err := pipe()
	if err != nil {
		return Dumped{}, fmt.Errorf("%s: %w", d.doing, err)
	}
	defer r.Close()
	pgDump, err := startChild(d.clients.PgDump, args, d.libpq.env, nil, stdout)
	if err != nil {
		return Dumped{}, fmt.Errorf("%s: %w", d.doing, err)
	}
	defer context.AfterFunc(ctx, func() { pgDump.stop(syscall.SIGTERM) })()

	if err = d.copy(r, encoder, reread); err != nil {
		pgDump.stop(syscall.SIGTERM)
		_ = r.Close() // pg_dump may be waiting for room in the pipe
	}
	if ended := pgDump.wait(); err == nil {
		err = d.judge(ended, pgDump, reread)
	}
	if cause := context.Cause(ctx); cause != nil { // whatever followed from it
		err = fmt.Errorf("%s: %w", d.doing, cause)
	}
	if err != nil {
		return Dumped{}, err
	}
	if err := encoder.Close(); err != nil {
		return Dumped{}, fmt.Errorf("%s: write it: %w", d.doing, err)
	}
	if said := pgDump.stderr.String(); said != "" {
		d.o.Log.Warn("pg_dump said", "output", d.libpq.redact(said))
	}
	return Dumped{
		PlainSize: d.size, PlainSHA256: hex.EncodeToString(d.plain.Sum(nil)), MarkerSeen: true,
		ServerVersion: serverVersion(d.o.Format, d.head), ClientVersion: d.clients.Version, Rows: d.rows.tables,
	}, nil
}

// copy moves all that pg_dump writes.
func (d *dump) copy(r *os.File, encoder io.Writer, also *reread) error {
	stall := d.o.Stall
	if stall <= 0 {
		stall = defaultStall
	}
	buf := make([]byte, copyBuffer)
	for {
		if err := r.SetReadDeadline(time.Now().Add(stall)); err != nil {
			return fmt.Errorf("%s: %w", d.doing, err)
		}
		n, err := r.Read(buf)
		if n > 0 {
			d.note(buf[:n])
			if also != nil {
				also.write(buf[:n])
			}
			if _, err := encoder.Write(buf[:n]); err != nil {
				return fmt.Errorf("%s: write it: %w", d.doing, err)
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &StallError{Doing: d.doing, Waited: stall}
		case err != nil:
			return fmt.Errorf("%s: read from pg_dump: %w", d.doing, err)
		}
	}
}

// note takes what has to be known of the plain dump.
func (d *dump) note(p []byte) {
	const headSize = 4 << 10
	d.plain.Write(p)
	if d.o.Format == Plain {
		_, _ = d.rows.Write(p) // it takes everything
	}
	d.size += int64(len(p))
	if room := headSize - len(d.head); room > 0 {
		d.head = append(d.head, p[:min(room, len(p))]...)
	}
	d.tail = lastBytes(d.tail, p, markerWindow)
}

// lastBytes returns the last n bytes of kept and p together, in kept's memory.
func lastBytes(kept, p []byte, n int) []byte {
	if len(p) >= n {
		return append(kept[:0], p[len(p)-n:]...)
	}
	if over := len(kept) + len(p) - n; over > 0 {
		kept = append(kept[:0], kept[over:]...)
	}
	return append(kept, p...)
}

// judge decides whether the dump is whole, now that pg_dump has ended.
func (d *dump) judge(ended error, pgDump *child, reread *reread) error {
	failure := &ProgramError{Program: "pg_dump", Major: d.o.Major, Doing: d.doing, Err: ended, Output: d.libpq.redact(pgDump.stderr.String())}
	if ended != nil {
		return failure
	}
	if reread == nil {
		if !bytes.Contains(d.tail, []byte(endMarker)) {
			failure.Problem = fmt.Sprintf("ended well, but the dump's last %d bytes lack the line %q, so it is not whole", markerWindow, endMarker)
			return failure
		}
		return nil
	}
	if err := reread.finish(); err != nil {
		return &ProgramError{Program: "pg_restore", Major: d.o.Major, Doing: d.doing, Problem: "cannot read the archive that pg_dump wrote", Err: err, Output: reread.child.stderr.String()}
	}
	return nil
}

// dumpArguments are pg_dump's, none of them secret.
func dumpArguments(o DumpOptions) ([]string, error) {
	if err := CheckArgs(o.Args); err != nil {
		return nil, err
	}
	args := []string{"--no-owner", "--no-privileges", "--no-password", "--lock-wait-timeout=" + lockWait, "--dbname=" + keepalive}
	if o.Schema != "" {
		if err := CheckSchemaArgs(o.Args); err != nil {
			return nil, err
		}
		args = append(args, "--schema="+sqltext.QuoteIdentifier(o.Schema)) // in quotes, a pattern means nothing but itself
	}
	switch {
	case o.Format == Plain:
		args = append(args, "--format=plain")
	case o.Format != Custom:
		return nil, fmt.Errorf("there is no format %q; there are plain and custom", o.Format)
	case o.Compression == compress.Zstd && o.Major < 16:
		return nil, &ArgumentError{"pg_dump knows zstd in custom archives from 16 on, and this server is " + fmt.Sprint(o.Major), "set compression: gzip, or backup-format: plain"}
	case o.Compression == compress.Zstd:
		args = append(args, "--format=custom", fmt.Sprintf("--compress=zstd:%d", o.Level))
	case o.Compression == compress.Gzip:
		args = append(args, "--format=custom", fmt.Sprintf("--compress=%d", o.Level))
	default:
		args = append(args, "--format=custom", "--compress=0")
	}
	return append(args, o.Args...), nil
}

// serverVersion reads the server's version in a dump's first bytes.
func serverVersion(format Format, head []byte) string {
	if format == Custom {
		return archiveServerVersion(head)
	}
	_, rest, _ := strings.Cut(string(head), "\n-- Dumped from database version ")
	line, _, _ := strings.Cut(rest, "\n")
	version, _, _ := strings.Cut(line, " ")
	return version
}

// sink passes writes on until it is shut. A compressor of several cores writes from goroutines of its own.
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
