package pgdump

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"syscall"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/compress"
)

// CheckOptions say what a stored backup is.
type CheckOptions struct {
	Format      Format
	Compression compress.Kind
	Identities  []age.Identity // to decrypt it; none where it is not encrypted
	WantSHA256  string         // of the stored bytes, in hex; empty: not compared
	Major       int            // of the pg_restore that reads an archive
	Root        string         // where the programs are; empty: /usr/lib/postgresql
}

// Checked is a stored backup that is whole.
type Checked struct {
	StoredSize    int64
	StoredSHA256  string // in hex
	PlainSize     int64
	PlainSHA256   string // in hex, to be compared with [Dumped]'s
	ServerVersion string // that the dump came from
}

// Check reads a stored backup to its end, in bounded memory and without a file: the stored bytes have the wanted SHA-256,
// they decrypt and decompress, and what comes out is a whole dump, by the same test as in [Dump]. Errors: [*BackupError],
// [*NoClientsError] for an archive, what r returned, the cause of ctx.
func Check(ctx context.Context, r io.Reader, o CheckOptions) (Checked, error) {
	s, err := openStored(ctx, r, o.Compression, o.Identities)
	if err != nil {
		return Checked{}, err
	}
	defer s.Close()
	plain := &dump{o: DumpOptions{Format: o.Format, Major: o.Major}, plain: sha256.New()}
	var archive *reread
	if o.Format == Custom {
		clients, err := FindClients(ctx, o.Root, o.Major)
		if err != nil {
			return Checked{}, err
		}
		if archive, err = startReread(clients); err != nil {
			return Checked{}, fmt.Errorf("check the backup: %w", err)
		}
		defer archive.end()
		defer context.AfterFunc(ctx, func() { archive.child.stop(syscall.SIGTERM) })()
	}
	buf := make([]byte, copyBuffer)
	for {
		n, err := s.Read(buf)
		plain.note(buf[:n])
		if archive != nil {
			archive.write(buf[:n])
		}
		if err == io.EOF { //nolint:errorlint // only the bare io.EOF is an end: a wrapped one is a stream that was cut short
			break
		}
		if err != nil {
			return Checked{}, err
		}
	}
	if err := s.verify(o.WantSHA256); err != nil {
		return Checked{}, err
	}
	if archive != nil {
		if err := archive.finish(); err != nil {
			return Checked{}, errors.Join(context.Cause(ctx), &BackupError{Problem: fmt.Sprintf("pg_restore %d cannot read the archive: %s", o.Major, oneLine(archive.child.stderr.String())), Err: err})
		}
	} else if !bytes.Contains(plain.tail, []byte(endMarker)) {
		return Checked{}, &BackupError{Problem: noMarker}
	}
	return Checked{
		StoredSize: s.size, StoredSHA256: s.sum(), PlainSize: plain.size, PlainSHA256: hex.EncodeToString(plain.plain.Sum(nil)),
		ServerVersion: serverVersion(o.Format, plain.head),
	}, nil
}

var noMarker = fmt.Sprintf("its last %d bytes lack the line %q, so it is not whole", markerWindow, endMarker)

// stored reads a stored backup: the hash of its bytes on the way in, the plain dump on the way out.
type stored struct {
	ctx    context.Context
	source io.Reader
	hash   hash.Hash
	size   int64
	failed error // what the source said, which a decompressor may wrap or hide

	decoder io.ReadCloser
}

// ageHeader begins every file of age's.
const ageHeader = "age-encryption.org/"

func openStored(ctx context.Context, r io.Reader, kind compress.Kind, with []age.Identity) (*stored, error) {
	s := &stored{ctx: ctx, source: r, hash: sha256.New()}
	in := bufio.NewReaderSize((*storedBytes)(s), 64<<10)
	start, _ := in.Peek(len(ageHeader)) // an error comes again at the next read
	encrypted := string(start) == ageHeader
	switch {
	case encrypted && len(with) == 0:
		return nil, &BackupError{Problem: "it is encrypted, and no age identity was given", Fix: "give the identity (AGE-SECRET-KEY-1…) of one of the recipients it was encrypted to"}
	case !encrypted:
		with = nil // an identity that is not needed does no harm
	}
	var err error
	if s.decoder, err = compress.NewEncryptedReader(in, kind, with); err != nil {
		return nil, s.wrong(err)
	}
	return s, nil
}

// Read gives the plain dump.
func (s *stored) Read(p []byte) (int, error) {
	n, err := s.decoder.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // only the bare io.EOF is an end: a wrapped one is a stream that was cut short
		err = s.wrong(err)
	}
	return n, err
}

func (s *stored) Close() { _ = s.decoder.Close() } // it frees memory

func (s *stored) wrong(err error) error {
	if s.failed != nil {
		return fmt.Errorf("read the backup: %w", s.failed)
	}
	return &BackupError{Problem: "it is damaged or cut short: " + err.Error(), Err: err}
}

// verify reads what the decoder left and compares the hash of all stored bytes; an empty want is not compared.
func (s *stored) verify(want string) error {
	if _, err := io.Copy(io.Discard, (*storedBytes)(s)); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	if got := s.sum(); want != "" && got != want {
		return &BackupError{Problem: fmt.Sprintf("the SHA-256 of its %d bytes is %s, not %s, which was recorded when it was made", s.size, got, want)}
	}
	return nil
}

func (s *stored) sum() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// storedBytes is the way in of stored.
type storedBytes stored

func (s *storedBytes) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		s.failed = err
		return 0, err
	}
	n, err := s.source.Read(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	if err != nil && err != io.EOF {
		s.failed = err
	}
	return n, err
}

// BackupError is a stored backup that cannot be trusted.
type BackupError struct {
	Problem string
	Fix     string // a remedy that fits better than the general one
	Err     error
}

func (e *BackupError) Error() string { return "the backup cannot be used: " + e.Problem }

func (e *BackupError) Unwrap() error { return e.Err }

// Remedy says what is left to do.
func (e *BackupError) Remedy() string {
	if e.Fix != "" {
		return e.Fix
	}
	return "nothing was changed: name an older backup with backup-key, and find out what altered this one"
}
