// Package compress compresses a dump's stream with gzip or zstd and encrypts it with age, and undoes both.
package compress

import (
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Kind is how a dump is compressed.
type Kind string

// The kinds of compression. The empty one is none.
const (
	None Kind = "none"
	Gzip Kind = "gzip"
	Zstd Kind = "zstd"
)

// NewWriter compresses what is written to it into w; Close ends the compressed stream and not w. parallel is how many
// cores beside the caller's own may work on this one stream: 0 compresses in the caller's goroutine.
func NewWriter(w io.Writer, kind Kind, level, parallel int) (io.WriteCloser, error) {
	switch kind {
	case None, "":
		return nopCloser{w}, nil
	case Gzip:
		cores := 0
		if parallel > 0 {
			cores = 1 + parallel
		}
		z, err := newGzip(w, level, cores)
		if err != nil {
			return nil, fmt.Errorf("compress with gzip at level %d: %w", level, err)
		}
		return z, nil
	case Zstd:
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstdLevel(level)), zstd.WithEncoderConcurrency(1+max(0, parallel)),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, fmt.Errorf("compress with zstd at level %d: %w", level, err)
		}
		return z, nil
	}
	return nil, fmt.Errorf("there is no compression %q; there are gzip, zstd and none", kind)
}

// zstdWindow is how far back a stream looks, in bytes. With the library's own, 8 MiB at its default level, a run took 309 MiB for eight
// streams, and with this one 92 MiB, for no more bytes: what repeats in a dump does so within a table's rows.
const zstdWindow = 2 << 20

// zstdLevel is the library's level for one of the command's. The input's default, 6, is gzip's: whoever only asks for zstd
// gets zstd's own default, which is no longer than gzip 6 and a third of GNU gzip's work; the library's next one takes four times as long.
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

// NewReader is the way back. Its reader fails at a stream that is damaged or cut short.
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
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("decompress with zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("there is no compression %q; there are gzip, zstd and none", kind)
}

// NewEncryptedWriter compresses and then encrypts into w. Close ends both streams, and not w.
func NewEncryptedWriter(w io.Writer, kind Kind, level, parallel int, to []age.Recipient) (io.WriteCloser, error) {
	if len(to) == 0 {
		return NewWriter(w, kind, level, parallel)
	}
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return nil, fmt.Errorf("encrypt the dump: %w", err)
	}
	z, err := NewWriter(sealed, kind, level, parallel)
	if err != nil {
		return nil, err
	}
	return &encoder{z, sealed}, nil
}

// NewEncryptedReader is the way back from newEncoder. Without identities the stream is not encrypted.
func NewEncryptedReader(r io.Reader, kind Kind, with []age.Identity) (io.ReadCloser, error) {
	if len(with) > 0 {
		var err error
		if r, err = age.Decrypt(r, with...); err != nil {
			return nil, fmt.Errorf("decrypt the backup: %w", err)
		}
	}
	return NewReader(r, kind)
}

type encoder struct {
	io.WriteCloser
	sealed io.Closer
}

func (e *encoder) Close() error {
	if err := e.WriteCloser.Close(); err != nil {
		return err
	}
	return e.sealed.Close()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
