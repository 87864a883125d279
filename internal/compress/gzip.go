package compress

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	// gzipWindow is how far back a gzip stream may refer.
	gzipWindow = 32 << 10
	// The level is chosen anew every gzipTrial bytes by a sample of gzipSample, for the first time after gzipStart: a dump
	// begins with the schema, and one that is over by then is not worth the choice.
	gzipTrial  = 8 << 20
	gzipSample = 64 << 10
	gzipStart  = 256 << 10
	quickGzip  = 3
)

// gzipChoice are the levels for which the quicker one may stand in.
var gzipChoice = []int{4, 5, 6}

// newGzip compresses in the caller's goroutine where cores is 0, and otherwise in so many others.
//
// Every 8 MiB a sample is compressed at two levels, the wanted one and a quicker one that suits many tables better, and
// the one with the shorter result is used until the next sample: tables differ, and a dump is one after another.
//
// The library's levels against "gzip -6" on the tables of the benchmarks, 100 MB in all, and on two others of 100 MB (2026-11-22,
// two cores; CPU time and size as parts of gzip's own):
//
//	                 customers    orders       events       notes        measurements  pgbench
//	level 3          0.30 1.005   0.20 1.030   0.19 1.024   0.13 1.171   0.23 0.929    0.23 1.010
//	level 6          0.41 0.992   0.28 1.026   0.33 0.993   0.21 1.037   0.38 0.995    0.48 1.009
//	level 7          0.66 0.975   0.57 0.986   0.52 0.976   0.51 1.013
//	level 9          1.27 0.966   1.87 0.953   2.03 0.924   1.20 0.989
//	this one, at 6        0.991        1.026        0.993        1.036
//
// So level 6 is within some percent of gzip's size, on either side, for a third of its time; level 7 is shorter than gzip's
// own for all but prose, but takes more than half of its time.
//
// A sample, and going on with one compressor between samples, took a seventh less time than compressing a whole block at both
// levels and beginning anew every 512 KiB.
//
// One more core costs nothing in size and hardly any CPU time, so that it pays whenever a core would be idle; where as many
// streams run as there are cores, each is better left to its own goroutine.
func newGzip(w io.Writer, level, cores int) (io.WriteCloser, error) {
	if _, err := flate.NewWriter(io.Discard, level); err != nil {
		return nil, err
	}
	frame := gzipFrame{w: w}
	if cores > 0 {
		return newBlockGzip(frame, level, cores), nil
	}
	return newStreamGzip(frame, level), nil
}

// gzipFrame is what a gzip file has before and after its deflate stream.
type gzipFrame struct {
	w    io.Writer
	crc  uint32
	size uint32 // modulo 2^32, as in the file's last bytes
}

func (f *gzipFrame) begin() error {
	const deflate, unknownSystem = 8, 255
	_, err := f.w.Write([]byte{0x1f, 0x8b, deflate, 0, 0, 0, 0, 0, 0, unknownSystem})
	return err
}

// note takes what the file's end says of the bytes before they were compressed.
func (f *gzipFrame) note(p []byte) {
	f.crc = crc32.Update(f.crc, crc32.IEEETable, p)
	f.size += uint32(len(p))
}

func (f *gzipFrame) end() error {
	end := []byte{1, 0, 0, 0xff, 0xff} // a last block that is stored and empty
	end = binary.LittleEndian.AppendUint32(end, f.crc)
	end = binary.LittleEndian.AppendUint32(end, f.size)
	_, err := f.w.Write(end)
	return err
}

// flateWriters are compressors that nobody uses, by level: one takes 2 MB, and a fleet has thousands of streams.
var flateWriters [10]sync.Pool

// gzipLevels are a goroutine's compressors, taken when they are first needed.
type gzipLevels struct {
	level  int // the wanted one
	choice bool
	inUse  [10]*flate.Writer
}

func newGzipLevels(level int) *gzipLevels {
	return &gzipLevels{level: level, choice: slices.Contains(gzipChoice, level)}
}

// at is the compressor of a level.
func (l *gzipLevels) at(level int) (*flate.Writer, error) {
	if level < 1 { // the library's own names for its levels have no room in the pool
		return flate.NewWriter(io.Discard, level)
	}
	if l.inUse[level] == nil {
		if z, ok := flateWriters[level].Get().(*flate.Writer); ok {
			l.inUse[level] = z
			return z, nil
		}
		z, err := flate.NewWriter(io.Discard, level)
		if err != nil {
			return nil, err
		}
		l.inUse[level] = z
	}
	return l.inUse[level], nil
}

// free gives the compressors back.
func (l *gzipLevels) free() {
	for level, z := range l.inUse {
		if z != nil {
			z.ResetDict(io.Discard, nil) // Reset would keep the dictionary for the next stream
			flateWriters[level].Put(z)
			l.inUse[level] = nil
		}
	}
}

// choose returns the level for what begins so.
func (l *gzipLevels) choose(sample []byte) (int, error) {
	if !l.choice {
		return l.level, nil
	}
	quick, err := l.length(quickGzip, sample)
	if err != nil {
		return 0, err
	}
	wanted, err := l.length(l.level, sample)
	if err == nil && quick <= wanted+wanted/500 { // a little longer is no loss for so much less work
		return quickGzip, nil
	}
	return l.level, err
}

func (l *gzipLevels) length(level int, sample []byte) (int64, error) {
	z, err := l.at(level)
	if err != nil {
		return 0, err
	}
	var n counted
	z.ResetDict(&n, nil)
	if _, err := z.Write(sample); err != nil {
		return 0, err
	}
	err = z.Flush()
	return int64(n), err
}

// counted is how many bytes were written to it.
type counted int64

func (c *counted) Write(p []byte) (int, error) {
	*c += counted(len(p))
	return len(p), nil
}

// streamGzip compresses in the goroutine that writes to it. It goes on with one compressor from sample to sample.
type streamGzip struct {
	gzipFrame
	err    error
	closed bool
	levels *gzipLevels
	z      *flate.Writer // in use

	left   int    // bytes until the next sample; 0: it is being gathered
	sample []byte // so far
	window []byte // the last bytes before it
}

func newStreamGzip(frame gzipFrame, level int) *streamGzip {
	s := &streamGzip{gzipFrame: frame, levels: newGzipLevels(level), left: gzipStart}
	if !s.levels.choice {
		s.left = math.MaxInt
	}
	if s.z, s.err = s.levels.at(level); s.err == nil {
		s.z.ResetDict(frame.w, nil)
		s.err = s.begin()
	}
	return s
}

func (s *streamGzip) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && s.err == nil {
		n := len(p)
		if s.left > 0 {
			n = min(n, s.left)
			s.err = s.compress(p[:n])
		} else {
			n = min(n, gzipSample-len(s.sample))
			if s.sample = append(s.sample, p[:n]...); len(s.sample) == gzipSample {
				s.err = s.settle()
			}
		}
		p, written = p[n:], written+n
	}
	return written, s.err
}

// settle chooses the level by the sample, and compresses that. The compressors begin anew, which costs no more than the
// window's being read again.
func (s *streamGzip) settle() error {
	if err := s.z.Flush(); err != nil { // ends at a byte, and does not end the stream
		return compressing(err)
	}
	level, err := s.levels.choose(s.sample)
	if err == nil {
		s.z, err = s.levels.at(level)
	}
	if err != nil {
		return compressing(err)
	}
	s.z.ResetDict(s.w, s.window)
	s.left, s.window = gzipTrial, s.window[:0]
	err = s.compress(s.sample)
	s.sample = s.sample[:0]
	return err
}

func (s *streamGzip) compress(p []byte) error {
	s.note(p)
	s.left -= len(p)
	if s.left < gzipWindow { // the next sample is compressed with what came before it in mind
		s.window = append(s.window, p[max(0, len(p)-(gzipWindow-s.left-len(s.window))):]...)
	}
	_, err := s.z.Write(p)
	return compressing(err)
}

// Close writes the rest and ends the stream; after an error it only gives memory back.
func (s *streamGzip) Close() error {
	if s.closed {
		return s.err
	}
	s.closed = true
	defer s.levels.free()
	if s.err == nil && len(s.sample) > 0 {
		s.err = s.compress(s.sample)
	}
	if s.err == nil {
		s.err = compressing(s.z.Flush())
	}
	if s.err == nil {
		s.err = s.end()
	}
	return s.err
}

// compressing says of an error what was being done. Nil stays nil.
func compressing(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("compress with gzip: %w", err)
}
