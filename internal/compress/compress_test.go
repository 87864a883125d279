package compress_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/org/neon-tenants-action/internal/compress"
)

// tables returns data that looks like a dump: rows of numbers and of words, alternating.
func tables(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu")
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		if i>>15&1 == 0 {
			fmt.Fprintf(&b, "%d\t2026-11-%02d %02d:%02d:%02d+00\t%f\t%d\n",
				i, 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.Float64(), r.IntN(100000))
		} else {
			fmt.Fprintf(&b, "%d\t%s %s %s\tuser%d@example.com\n",
				i, words[r.IntN(12)], words[r.IntN(12)], words[r.IntN(12)], r.IntN(1e6))
		}
	}
	return b.Bytes()[:size]
}

func TestCompressThereAndBack(t *testing.T) {
	t.Parallel()
	const block = 1 << 20
	data := tables(3 << 20)
	for _, kind := range []compress.Kind{compress.None, compress.Gzip, compress.Zstd} {
		for _, parallel := range []int{0, 2} {
			for _, level := range []int{1, 6, 9} {
				for _, size := range []int{
					0, 1, block / 4, block/4 + 64<<10 - 1, block/4 + 64<<10, block/2 - 1, block / 2, block/2 + 1,
					block - 1, block, block + 1, len(data),
				} {
					if level != 6 && (size != block+1 || parallel != 2) {
						continue
					}
					var out bytes.Buffer
					z, err := compress.NewWriter(&out, kind, level, parallel)
					if err != nil {
						t.Fatal(err)
					}
					for rest := data[:size]; len(rest) > 0; rest = rest[min(len(rest), 100_003):] {
						if _, err := z.Write(rest[:min(len(rest), 100_003)]); err != nil {
							t.Fatal(err)
						}
					}
					if err := errors.Join(z.Close(), z.Close()); err != nil {
						t.Fatal(err)
					}
					in, err := compress.NewReader(&out, kind)
					if err != nil {
						t.Fatal(err)
					}
					if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, data[:size]) {
						t.Errorf("%s %d, %d more cores, %d bytes: got %d bytes, %v", kind, level, parallel, size, len(got), err)
					}
					_ = in.Close()
				}
			}
		}
	}
}

// Streams reuse compressors: nothing of one stream may get into another.
func TestStreamsShareNothing(t *testing.T) {
	t.Parallel()
	data := tables(9<<20 + 100_000)
	for i := range 6 {
		size := len(data)
		if i%3 > 0 {
			size = 300_000 + 50_000*i
		}
		var out bytes.Buffer
		z, err := compress.NewWriter(&out, compress.Gzip, 6, i%2)
		if err != nil {
			t.Fatal(err)
		}
		part := data[len(data)-size:]
		for rest := part; len(rest) > 0; rest = rest[min(len(rest), 70_001):] {
			if _, err := z.Write(rest[:min(len(rest), 70_001)]); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		in, err := gzip.NewReader(&out) // the standard library's
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, part) {
			t.Fatalf("stream %d: got %d bytes of %d, %v", i, len(got), size, err)
		}
	}
}

// gzip must be able to read the result, which must be about as short as its own.
func TestGzipReadsIt(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("gzip")
	if err != nil {
		t.Skip("gzip is not installed")
	}
	data := tables(2 << 20)
	theirs := exec.Command(program, "-6")
	theirs.Stdin = bytes.NewReader(data)
	reference, err := theirs.Output()
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, parallel := range []int{0, 2} {
		var out bytes.Buffer
		z, err := compress.NewWriter(&out, compress.Gzip, 6, parallel)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, out.Len())
		unzip := exec.Command(program, "-dc")
		unzip.Stdin = &out
		if got, err := unzip.Output(); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d more cores: gzip -d gives %d bytes, %v", parallel, len(got), err)
		}
	}
	t.Logf("gzip -6: %d, ours: %v", len(reference), sizes)
	for _, size := range sizes {
		if float64(size) > 1.10*float64(len(reference)) {
			t.Errorf("%d bytes, gzip -6 takes %d", size, len(reference))
		}
	}
}

func TestCompressorsReturnTheWritersError(t *testing.T) {
	t.Parallel()
	data := tables(2 << 20)
	for _, kind := range []compress.Kind{compress.Gzip, compress.Zstd} {
		for _, parallel := range []int{0, 2} {
			for _, after := range []int{0, 100, 100_000} {
				z, err := compress.NewWriter(&limited{left: after}, kind, 6, parallel)
				if err != nil {
					t.Fatal(err)
				}
				_, err = z.Write(data)
				if err = errors.Join(err, z.Close()); !errors.Is(err, io.ErrShortWrite) {
					t.Errorf("%s, %d more cores, after %d bytes: got %v", kind, parallel, after, err)
				}
			}
		}
	}
	for _, level := range []int{-5, 11} {
		if _, err := compress.NewWriter(io.Discard, compress.Gzip, level, 0); err == nil {
			t.Errorf("level %d is no gzip level", level)
		}
	}
	if _, err := compress.NewWriter(io.Discard, "bzip2", 6, 0); err == nil {
		t.Error("bzip2 was accepted")
	}
}

// limited is a writer that fails after a number of bytes.
type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, io.ErrShortWrite
	}
	l.left -= len(p)
	return len(p), nil
}

// A synctest bubble fails if a goroutine that was started in it outlives it.
func TestNoGoroutineOutlivesAnError(t *testing.T) {
	for _, after := range []int{0, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			z, err := compress.NewWriter(&limited{left: after}, compress.Gzip, 6, 2)
			if err != nil {
				t.Fatal(err)
			}
			data := tables(1 << 20)
			for err == nil {
				_, err = z.Write(data)
			}
			if err = errors.Join(err, z.Close()); !errors.Is(err, io.ErrShortWrite) {
				t.Errorf("after %d bytes: got %v", after, err)
			}
		})
	}
}
