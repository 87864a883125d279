// Package compress compresses a stream with gzip or zstd and encrypts it with age, and reverses both.
package compress

import (
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Kind is a kind of compression. The empty one is [None].
type Kind string

// The kinds of compression.
const (
	None Kind = "none"
	Gzip Kind = "gzip"
	Zstd Kind = "zstd"
)

// NewWriter returns a writer that compresses into w. Its Close ends the compressed stream and does not close w.
// parallel is how many cores may work on the stream besides the caller's; with 0, the caller's goroutine does all the
// work.
func NewWriter(w io.Writer, kind Kind, level, parallel int) (io.WriteCloser, error) {
	switch kind {
	case None, "":
		return nopCloser{w}, nil
	case Gzip:
		z, err := newGzip(w, level, parallel)
		if err != nil {
			return nil, fmt.Errorf("compress with gzip at level %d: %w", level, err)
		}
		return z, nil
	case Zstd:
		z, err := zstd.NewWriter(w,
			zstd.WithEncoderLevel(zstdLevel(level)), zstd.WithEncoderConcurrency(1+max(0, parallel)),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, fmt.Errorf("compress with zstd at level %d: %w", level, err)
		}
		return z, nil
	}
	return nil, unknown(kind)
}

func unknown(kind Kind) error {
	return fmt.Errorf("there is no compression %q; there are gzip, zstd and none", kind)
}

// zstdWindow is how far back a stream may refer, in bytes. The library's default at its default level is 8 MiB: a run
// with eight streams took 309 MiB with that and 92 MiB with this, and saved nothing. What repeats in a dump repeats
// within a table's rows.
const zstdWindow = 2 << 20

// zstdLevel returns the library's level for one of the zstd command. 6, the default for gzip, becomes zstd's own
// default: no larger than gzip's level 6 and a third of GNU gzip's work. The library's next level takes four times as
// long.
func zstdLevel(level int) zstd.EncoderLevel {
	switch {
	case level <= 2:
		return zstd.SpeedFastest
	case level <= 6:
		return zstd.SpeedDefault
	case level <= 10:
		return zstd.SpeedBetterCompression
	}
	return zstd.SpeedBestCompression
}

// NewReader reverses [NewWriter]. The reader returns an error if the stream is damaged or cut short.
func NewReader(r io.Reader, kind Kind) (io.ReadCloser, error) {
	switch kind {
	case None, "":
		return io.NopCloser(r), nil
	case Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("decompress with gzip: %w", err)
		}
		return z, nil
	case Zstd:
		z, err := zstd.NewReader(r,
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("decompress with zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return nil, unknown(kind)
}

// NewEncryptedWriter is [NewWriter], but encrypts the compressed stream to the recipients, if there are any.
func NewEncryptedWriter(
	w io.Writer, kind Kind, level, parallel int, recipients []age.Recipient,
) (io.WriteCloser, error) {
	if len(recipients) == 0 {
		return NewWriter(w, kind, level, parallel)
	}
	encrypted, err := age.Encrypt(w, recipients...)
	if err != nil {
		return nil, fmt.Errorf("encrypt the dump: %w", err)
	}
	z, err := NewWriter(encrypted, kind, level, parallel)
	if err != nil {
		return nil, err
	}
	return &encryptedWriter{z, encrypted}, nil
}

// NewEncryptedReader reverses [NewEncryptedWriter]. Without identities the stream is not encrypted.
func NewEncryptedReader(r io.Reader, kind Kind, identities []age.Identity) (io.ReadCloser, error) {
	if len(identities) > 0 {
		var err error
		if r, err = age.Decrypt(r, identities...); err != nil {
			return nil, fmt.Errorf("decrypt the backup: %w", err)
		}
	}
	return NewReader(r, kind)
}

type encryptedWriter struct {
	io.WriteCloser
	encrypted io.Closer
}

func (w *encryptedWriter) Close() error {
	if err := w.WriteCloser.Close(); err != nil {
		return err
	}
	return w.encrypted.Close()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
