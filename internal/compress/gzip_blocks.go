package compress

import (
	"bytes"

	"github.com/klauspost/compress/flate"
)

// gzipBlock is what a core compresses at a time where several work on one stream. Each block but the first is given the
// window before it as a dictionary, so that the result is hardly longer than that of one core; reading it costs
// a thirty-second of the block's own time.
const gzipBlock = 1 << 20

// blockGzip is a gzip stream that is compressed block by block by several cores. All writing is done by the caller's goroutine,
// in Write and Close, so that an error of the writer is returned at once and nothing is written afterwards. At most
// cores+1 blocks are held.
type blockGzip struct {
	gzipFrame
	err    error
	closed bool
	work   chan *gzipJob
	queue  []*gzipJob // in the order of the stream
	spare  []*gzipJob // to be used again
	most   int        // jobs in the queue

	blocks int // so far
	level  int // the one to use
	block  []byte
	window []byte // what came before it
}

type gzipJob struct {
	in, window []byte
	out        bytes.Buffer
	level      int
	trial      bool // choose the level by a sample from the block
	err        error
	done       chan struct{}
}

func newBlockGzip(frame gzipFrame, level, cores int) *blockGzip {
	z := &blockGzip{gzipFrame: frame, most: cores, level: level, work: make(chan *gzipJob, cores)}
	for range cores {
		go func() { // until Close
			levels := newGzipLevels(level)
			defer levels.free()
			for job := range z.work {
				job.err = job.compress(levels)
				close(job.done)
			}
		}()
	}
	z.err = z.begin()
	return z
}

func (j *gzipJob) compress(levels *gzipLevels) (err error) {
	if j.trial {
		if j.level, err = levels.choose(j.in[gzipStart:][:gzipSample]); err != nil {
			return err
		}
	}
	var c *flate.Writer
	if c, err = levels.at(j.level); err != nil {
		return err
	}
	j.out.Reset()
	c.ResetDict(&j.out, j.window)
	if _, err := c.Write(j.in); err != nil {
		return err
	}
	return c.Flush() // ends at a byte, and does not end the stream
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
	z.note(z.block)
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
	job.level = z.level
	job.trial = z.blocks%(gzipTrial/gzipBlock) == 0 && len(job.in) == gzipBlock
	z.blocks++
	z.queue = append(z.queue, job)
	z.work <- job
}

func (z *blockGzip) flushOldest() {
	job := z.queue[0]
	z.queue = append(z.queue[:0], z.queue[1:]...)
	<-job.done
	if job.trial {
		z.level = job.level
	}
	if z.err == nil {
		z.err = compressing(job.err)
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
	close(z.work)
	if z.err == nil {
		z.err = z.end()
	}
	return z.err
}
