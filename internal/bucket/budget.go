package bucket

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"
)

const (
	chunkSize   = 256 << 10
	minPartSize = 8 << 20
	// extraBytes is what all streams together may hold beyond the one part that each has for certain. It is what lets a
	// stream be compressed on while its last part is still on its way.
	extraBytes = 64 << 20
)

// budget bounds the memory of all streams of a bucket. Each admitted stream has room for one part, which is what it needs
// to go on, so no two can wait for each other; extra parts are taken only where there is room at once.
type budget struct {
	admission *semaphore.Weighted
	room      int64 // of the admission
	extra     *semaphore.Weighted
	chunks    chunks
}

func newBudget(streams int) *budget {
	room := int64(streams) * minPartSize
	return &budget{admission: semaphore.NewWeighted(room), room: room, extra: semaphore.NewWeighted(extraBytes), chunks: chunks{keep: room + extraBytes}}
}

// admit waits until a stream with parts of that size has its place. One with parts larger than all the room (above 128 MiB, of
// databases of a terabyte) has almost all of it: two small streams go on beside it.
func (b *budget) admit(ctx context.Context, partSize int64) (release func(), err error) {
	weight := min(partSize, max(b.room-2*minPartSize, minPartSize))
	if err := b.admission.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { b.admission.Release(weight) }, nil
}

// chunks are pieces of memory of 256 KiB, so that a small object takes little of it. They come from the operating system
// and not from Go's heap: the collector lets that grow to twice what is in use, which the budget would have to count for.
type chunks struct {
	mu   sync.Mutex
	free [][]byte
	keep int64 // bytes kept for the next stream
}

func (c *chunks) get() ([]byte, error) {
	c.mu.Lock()
	if n := len(c.free); n > 0 {
		chunk := c.free[n-1]
		c.free = c.free[:n-1]
		c.mu.Unlock()
		return chunk, nil
	}
	c.mu.Unlock()
	return unix.Mmap(-1, 0, chunkSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

func (c *chunks) put(used [][]byte) {
	c.mu.Lock()
	c.free = append(c.free, used...)
	c.mu.Unlock()
	c.trim(c.keep)
}

// trim gives memory back to the system until so many bytes are kept.
func (c *chunks) trim(keep int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for int64(len(c.free))*chunkSize > keep {
		n := len(c.free)
		_ = unix.Munmap(c.free[n-1]) // fails for no memory that Mmap returned
		c.free = c.free[:n-1]
	}
}
