package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
)

const (
	// gzipBlock is what a core compresses at a time where several work on one stream.
	gzipBlock = 512 << 10
	// gzipWindow is how far back a gzip stream may refer: each block but the first is given the 32 KiB before it as a
	// dictionary, so that the result is hardly longer than that of one core.
	gzipWindow = 32 << 10
	// gzipTrial is every how many blocks the level is chosen anew.
	gzipTrial = 16
	quickGzip = 3
)

// gzipChoice are the levels for which the quicker one may stand in.
var gzipChoice = []int{4, 5, 6}

// blockGzip is a gzip stream that is compressed block by block, by the caller's goroutine or by several cores. All writing is
// done by the caller's goroutine, in Write and Close, so that an error of the writer is returned at once and nothing is
// written afterwards. At most cores+1 blocks are held.
//
// Every 8 MiB a block is compressed at two levels, the wanted one and a quicker one that suits many tables better, and the
// shorter result's level is used until the next such block: tables differ, and a dump is one after another.
//
// Against "gzip -6" on five tables of 100 to 120 MB (2026-11-22, two cores, one run; CPU time and size as parts of its own):
//
//	                 events      measurements  pgbench     source text  users
//	level 3          0.25 1.000  0.23 0.929    0.23 1.010  0.18 1.169
//	level 6          0.36 1.005  0.38 0.995    0.48 1.009  0.29 1.027
//	this one, at 6   0.33 1.000  0.33 0.929    0.45 1.010  0.36 1.028   0.32 0.960
//	zstd's default   0.32 1.006  0.25 1.000    0.18 0.253  0.20 0.888   0.33 0.782
//
// One more core costs nothing in size and hardly any CPU time, so that it pays whenever a core would be idle; where as many
// streams run as there are cores, each is better left to its own goroutine.
type blockGzip struct {
	w     io.Writer
	err   error
	work  chan *gzipJob
	queue []*gzipJob // in the order of the stream
	spare []*gzipJob // to be used again
	most  int        // jobs in the queue
	own   gzipLevels // the compressors of the caller's goroutine, where no other works

	blocks int  // so far
	quick  bool // the quicker level is the one to use
	both   bool // there are two levels to choose from

	block  []byte // being filled
	window []byte // what came before it
	crc    uint32
	closed bool
	size   uint32 // modulo 2^32, as in the stream's last bytes
}

type gzipJob struct {
	in, window []byte
	out, other bytes.Buffer
	quick      bool // compress at the quicker level
	trial      bool // compress at both, and take the shorter result
	err        error
	done       chan struct{}
}

// gzipLevels are a core's compressors, made when they are first used.
type gzipLevels struct {
	level, quickLevel int
	wanted, quick     *flate.Writer
}

// newBlockGzip compresses in the caller's goroutine where cores is 0.
func newBlockGzip(w io.Writer, level, cores int) (*blockGzip, error) {
	if _, err := flate.NewWriter(io.Discard, level); err != nil {
		return nil, err
	}
	levels := gzipLevels{level: level, quickLevel: quickGzip}
	z := &blockGzip{w: w, most: max(1, cores), own: levels, both: slices.Contains(gzipChoice, level)}
	if cores > 0 {
		z.work = make(chan *gzipJob, cores)
	}
	for range cores {
		work, levels := z.work, levels
		go func() { // until Close
			for job := range work {
				job.err = job.compress(&levels)
				close(job.done)
			}
		}()
	}
	const deflate, unknownSystem = 8, 255
	_, z.err = w.Write([]byte{0x1f, 0x8b, deflate, 0, 0, 0, 0, 0, 0, unknownSystem})
	return z, nil
}

func (j *gzipJob) compress(l *gzipLevels) error {
	if j.trial {
		if err := deflate(&l.quick, l.quickLevel, &j.other, j); err != nil {
			return err
		}
	}
	c, level := &l.wanted, l.level
	if j.quick && !j.trial {
		c, level = &l.quick, l.quickLevel
	}
	if err := deflate(c, level, &j.out, j); err != nil {
		return err
	}
	if j.trial {
		// A little longer is no loss for so much less work.
		if j.quick = j.other.Len() <= j.out.Len()+j.out.Len()/500; j.quick {
			j.out, j.other = j.other, j.out
		}
	}
	return nil
}

func deflate(c **flate.Writer, level int, out *bytes.Buffer, j *gzipJob) error {
	if *c == nil {
		var err error
		if *c, err = flate.NewWriter(io.Discard, level); err != nil {
			return err
		}
	}
	out.Reset()
	(*c).ResetDict(out, j.window)
	if _, err := (*c).Write(j.in); err != nil {
		return err
	}
	return (*c).Flush() // ends at a byte, and does not end the stream
}

func (z *blockGzip) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && z.err == nil {
		if z.block == nil {
			z.block = make([]byte, 0, gzipBlock)
		}
		n := min(len(p), gzipBlock-len(z.block))
		z.block = append(z.block, p[:n]...)
		p, written = p[n:], written+n
		if len(z.block) == gzipBlock {
			z.dispatch()
		}
	}
	return written, z.err
}

// dispatch gives the block to a core, and first writes the oldest one where enough are in flight.
func (z *blockGzip) dispatch() {
	z.crc = crc32.Update(z.crc, crc32.IEEETable, z.block)
	z.size += uint32(len(z.block))
	for len(z.queue) >= z.most {
		z.flushOldest()
	}
	job := &gzipJob{}
	if n := len(z.spare); n > 0 {
		job, z.spare = z.spare[n-1], z.spare[:n-1]
	}
	job.done = make(chan struct{})
	job.window = append(job.window[:0], z.window...)
	z.window = append(z.window[:0], z.block[max(0, len(z.block)-gzipWindow):]...)
	job.in, z.block = z.block, job.in[:0]
	job.quick, job.trial = z.quick, z.both && z.blocks%gzipTrial == 0
	z.blocks++
	z.queue = append(z.queue, job)
	if z.work == nil {
		job.err = job.compress(&z.own)
		close(job.done)
		return
	}
	z.work <- job
}

func (z *blockGzip) flushOldest() {
	job := z.queue[0]
	z.queue = append(z.queue[:0], z.queue[1:]...)
	<-job.done
	if job.trial {
		z.quick = job.quick
	}
	if z.err == nil && job.err != nil {
		z.err = fmt.Errorf("compress with gzip: %w", job.err)
	}
	if z.err == nil {
		_, z.err = z.w.Write(job.out.Bytes())
	}
	z.spare = append(z.spare, job)
}

// Close writes the rest and ends the stream, or after an error only ends the work.
func (z *blockGzip) Close() error {
	if z.closed {
		return z.err
	}
	z.closed = true
	if z.err == nil && len(z.block) > 0 {
		z.dispatch()
	}
	for len(z.queue) > 0 {
		z.flushOldest()
	}
	if z.work != nil {
		close(z.work)
	}
	if z.err != nil {
		return z.err
	}
	end := []byte{1, 0, 0, 0xff, 0xff} // a last block that is stored and empty
	end = binary.LittleEndian.AppendUint32(end, z.crc)
	end = binary.LittleEndian.AppendUint32(end, z.size)
	_, z.err = z.w.Write(end)
	return z.err
}
