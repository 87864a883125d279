package pgdump

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/compress"
)

// stored reads a stored backup: it hashes the stored bytes, and returns the plain dump.
type stored struct {
	ctx    context.Context
	source io.Reader
	hash   hash.Hash
	size   int64
	failed error // the source's error, which a decompressor may wrap or hide

	plain     hash.Hash // of what was read of the dump
	plainSize int64

	decoder io.ReadCloser
}

// ageHeader begins every file that age encrypted.
const ageHeader = "age-encryption.org/"

func openStored(ctx context.Context, r io.Reader, kind compress.Kind, identities []age.Identity) (*stored, error) {
	s := &stored{ctx: ctx, source: r, hash: sha256.New(), plain: sha256.New()}
	in := bufio.NewReaderSize((*storedBytes)(s), 64<<10)
	start, _ := in.Peek(len(ageHeader)) // the next read returns an error again
	encrypted := string(start) == ageHeader
	switch {
	case encrypted && len(identities) == 0:
		return nil, &BackupError{Cause: EncryptedBackup, Problem: "it is encrypted, and no age identity was given"}
	case !encrypted:
		identities = nil // one that is not needed does no harm
	}
	var err error
	if s.decoder, err = compress.NewEncryptedReader(in, kind, identities); err != nil {
		return nil, s.readError(err)
	}
	return s, nil
}

// Read returns the plain dump.
func (s *stored) Read(p []byte) (int, error) {
	n, err := s.decoder.Read(p)
	s.plain.Write(p[:n])
	s.plainSize += int64(n)
	if err != nil && !ended(err) {
		err = s.readError(err)
	}
	return n, err
}

func (s *stored) Close() { _ = s.decoder.Close() } // it frees memory

// readError is the source's error if there is one; otherwise the stored bytes are wrong.
func (s *stored) readError(err error) error {
	if s.failed != nil {
		return fmt.Errorf("read the backup: %w", s.failed)
	}
	if other := (*age.NoIdentityMatchError)(nil); errors.As(err, &other) {
		problem := "it is encrypted for another key than the age identity that was given"
		if slices.Contains(other.StanzaTypes, "scrypt") {
			problem = "it is encrypted with a passphrase, and not for a key"
		}
		return &BackupError{Cause: OtherKey, Problem: problem, Err: err}
	}
	return &BackupError{Problem: "it is damaged or cut short: " + err.Error(), Err: err}
}

// verify reads what the decoder left, and compares the hash of all stored bytes unless want is empty.
func (s *stored) verify(want string) error {
	if _, err := io.Copy(io.Discard, (*storedBytes)(s)); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	if got := s.sum(); want != "" && got != want {
		return &BackupError{Problem: fmt.Sprintf("the SHA-256 of its %d bytes is %s, not %s, which was recorded "+
			"when it was made", s.size, got, want)}
	}
	return nil
}

// sum is the hash of the stored bytes, in hex.
func (s *stored) sum() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// plainSum is the hash of the dump, in hex.
func (s *stored) plainSum() string { return hex.EncodeToString(s.plain.Sum(nil)) }

// storedBytes reads and hashes the stored bytes.
type storedBytes stored

func (s *storedBytes) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		s.failed = err
		return 0, err
	}
	n, err := s.source.Read(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	if err != nil && !ended(err) {
		s.failed = err
	}
	return n, err
}

// ended reports whether a read has come to the end. A wrapped io.EOF is a stream that was cut short.
func ended(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}
