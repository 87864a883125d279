package compress

import (
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/pgzip"
)

// gzipBlock is what one core compresses at a time if several work on a stream, in bytes. Half of the library's default
// takes 11 MiB of memory on two cores in place of 19, for a result that is 0.04 % larger.
const gzipBlock = 512 << 10

// newGzip returns a gzip writer. Sharing a stream among cores adds about 10 % of CPU time and nothing to the size,
// since a block may refer to the end of the one before it. docs/benchmarks.md has the figures, and those of the levels.
func newGzip(w io.Writer, level, parallel int) (io.WriteCloser, error) {
	if level < gzip.BestSpeed || level > gzip.BestCompression {
		return nil, errors.New("the levels are 1 to 9")
	}
	if parallel > 0 {
		z, err := pgzip.NewWriterLevel(w, level)
		if err == nil {
			err = z.SetConcurrency(gzipBlock, 1+parallel)
		}
		if err != nil {
			return nil, err
		}
		return &parallelGzip{z}, nil
	}
	z, ok := idleGzip[level].Get().(*gzip.Writer)
	if !ok {
		var err error
		if z, err = gzip.NewWriterLevel(w, level); err != nil {
			return nil, err
		}
	}
	z.Reset(w)
	return &pooledGzip{z, level}, nil
}

// idleGzip holds the writers that no stream uses, by level: one takes about a megabyte, and a fleet has thousands of
// streams.
var idleGzip [gzip.BestCompression + 1]sync.Pool

type pooledGzip struct {
	*gzip.Writer // nil once closed
	level        int
}

// Close ends the stream. The writer must not be used afterwards, except for another Close.
func (z *pooledGzip) Close() error {
	if z.Writer == nil {
		return nil
	}
	err := z.Writer.Close()
	z.Reset(io.Discard) // keeps nothing of this stream
	idleGzip[z.level].Put(z.Writer)
	z.Writer = nil
	return err
}

type parallelGzip struct{ *pgzip.Writer }

// Close ends the stream and the goroutines that work on it, which the library's own leaves running after an error.
func (z *parallelGzip) Close() error {
	err := z.Writer.Close()
	if err != nil {
		z.Reset(io.Discard)
	}
	return err
}
