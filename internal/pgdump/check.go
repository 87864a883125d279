package pgdump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/compress"
)

// CheckOptions describe a stored backup.
type CheckOptions struct {
	Format      Format
	Compression compress.Kind
	Identities  []age.Identity // that can decrypt it; none if it is not encrypted
	WantSHA256  string         // of the stored bytes, in hex; empty: not compared
	Major       int            // of the pg_restore that reads an archive
	Root        string         // the programs' directory; empty: /usr/lib/postgresql
}

// Checked describes a stored backup that is whole.
type Checked struct {
	StoredSize    int64  // bytes
	StoredSHA256  string // in hex
	PlainSize     int64  // bytes
	PlainSHA256   string // in hex, to be compared with [Dumped]'s
	ServerVersion string // of the server that was dumped
	Relations     int    // tables, indexes and the like that a plain dump creates, approximately; 0 for an archive
}

// Check reads a stored backup to its end, in bounded memory and without a file: the stored bytes have the wanted
// SHA-256, they decrypt and decompress, and the result is a whole dump, by the same test as in [Dump]. Errors:
// [*BackupError], for an archive [*NoClientsError], those of r, the cause of ctx.
func Check(ctx context.Context, r io.Reader, o CheckOptions) (Checked, error) {
	s, err := openStored(ctx, r, o.Compression, o.Identities)
	if err != nil {
		return Checked{}, err
	}
	defer s.Close()
	plain := newScan(o.Format)
	if o.Format == Custom {
		err = checkArchive(ctx, s, plain, o)
	} else {
		err = checkPlain(s, plain, o)
	}
	if err != nil {
		return Checked{}, err
	}
	return Checked{
		StoredSize: s.size, StoredSHA256: s.sum(), PlainSize: plain.size, PlainSHA256: plain.sum(),
		ServerVersion: plain.serverVersion(), Relations: plain.rows.relations,
	}, nil
}

func checkPlain(s *stored, plain *scan, o CheckOptions) error {
	if err := readAll(s, plain.write); err != nil {
		return err
	}
	if err := s.verify(o.WantSHA256); err != nil {
		return err
	}
	if !plain.hasMarker() {
		return &BackupError{Problem: noMarker}
	}
	return nil
}

func checkArchive(ctx context.Context, s *stored, plain *scan, o CheckOptions) error {
	clients, err := FindClients(ctx, o.Root, o.Major)
	if err != nil {
		return err
	}
	archive, err := startArchiveCheck(clients, false)
	if err != nil {
		return fmt.Errorf("check the backup: %w", err)
	}
	defer archive.end()
	defer context.AfterFunc(ctx, func() { archive.child.stop() })()
	err = readAll(s, func(p []byte) {
		plain.write(p)
		archive.write(p)
	})
	if err != nil {
		return err
	}
	if err := s.verify(o.WantSHA256); err != nil {
		return err
	}
	if err := archive.finish(); err != nil {
		return errors.Join(context.Cause(ctx), unreadableArchive(o.Major, archive.child, err))
	}
	return nil
}

// readAll calls use for every piece of the plain dump.
func readAll(s *stored, use func(p []byte)) error {
	buf := make([]byte, copyBuffer)
	for {
		n, err := s.Read(buf)
		use(buf[:n])
		if ended(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unreadableArchive is the error of an archive that made pg_restore fail.
func unreadableArchive(major int, restore *child, err error) error {
	said := oneLine(restore.stderr.String())
	e := &BackupError{Problem: fmt.Sprintf("pg_restore %d cannot read the archive: %s", major, said), Err: err}
	if strings.Contains(said, "unsupported version") {
		e.Cause = NewerArchive
	}
	return e
}
