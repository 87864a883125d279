package bucket

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Info is what is known of an object before it is written.
type Info struct {
	// SizeEstimate is about how large it may get, in bytes. The size of its parts follows from it, and how much memory the
	// stream has: see partSize. Zero: below 50 GiB.
	SizeEstimate int64
	Metadata     map[string]string // names in lower case; values of any characters
	ContentType  string            // empty: application/octet-stream
}

// Stored is an object that the store has, whole and checked.
type Stored struct {
	Key    string
	Size   int64             // bytes
	SHA256 [sha256.Size]byte // of the stored bytes
	CRC32C uint32            // of the stored bytes
	// Checked is how the store's own word was compared with ours beyond the size: crc32c, md5, or parts where it told
	// nothing about the whole but had checked every part.
	Checked string
}

const maxInFlight = 4 // parts of one stream, beside the one that is being filled

// Writer uploads one object. Nothing is visible in the bucket before Commit, which alone completes it. One goroutine uses it.
type Writer struct {
	bucket *Bucket
	key    string
	info   Info
	nonce  string // kept in the object's metadata, to know our own object again
	ctx    context.Context
	cancel context.CancelCauseFunc
	leave  func() // gives the stream's place back

	partSize int64
	current  *part
	hash     hash.Hash
	crc      uint32
	size     int64

	uploadID string    // empty until there is more than one part
	number   int32     // of parts begun
	ended    error     // what Write says after the end
	deadline time.Time // of cleaning up, once that has begun

	flying sync.WaitGroup
	mu     sync.Mutex
	parts  []uploaded // by number
	// reserved is true while the place of the one certain part is free.
	reserved bool
	inFlight int
	failed   error
}

// uploaded is a part that the store has.
type uploaded struct {
	completed types.CompletedPart
	crc       uint32
	md5       []byte // where the store was given one
}

var (
	errCommitted = errors.New("the upload is already committed")
	errAborted   = errors.New("the upload was aborted")
)

// Create begins an object. It waits for memory, and asks the store nothing yet. ctx bounds the whole upload: when it ends,
// Write fails. Every Writer must be committed or aborted.
func (b *Bucket) Create(ctx context.Context, key string, info Info) (*Writer, error) {
	release, err := b.budget.admit(ctx, partSize(info.SizeEstimate))
	if err != nil {
		return nil, fmt.Errorf("wait for memory to upload %s: %w", b.url(key), context.Cause(ctx))
	}
	return b.newWriter(ctx, key, info, release), nil
}

func (b *Bucket) newWriter(ctx context.Context, key string, info Info, release func()) *Writer {
	size := partSize(info.SizeEstimate)
	w := &Writer{
		bucket: b, key: key, info: info, nonce: strings.ToLower(rand.Text()), leave: release, partSize: size, hash: sha256.New(),
	}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.current = &part{limit: size, pool: &b.budget.chunks}
	return w
}

// Write adds to the object. It returns once the bytes are in memory, or, where that is full, when a part was uploaded. After
// an error, which may be that of an earlier part, the upload is aborted and the writer of no further use.
func (w *Writer) Write(p []byte) (int, error) {
	if w.ended != nil {
		return 0, w.ended
	}
	written := 0
	for {
		err := w.failure()
		if err == nil && len(p) > 0 && w.current.full() {
			err = w.next()
		}
		n := 0
		if err == nil {
			n, err = w.current.fill(p)
		}
		if err != nil {
			return written, w.fail(err)
		}
		w.hash.Write(p[:n])
		w.crc = crc32.Update(w.crc, castagnoli, p[:n])
		w.size += int64(n)
		written += n
		if p = p[n:]; len(p) == 0 {
			return written, nil
		}
	}
}

// Size is how many bytes were written.
func (w *Writer) Size() int64 { return w.size }

// fail aborts, and returns err with what the abort had to say.
func (w *Writer) fail(err error) error {
	w.cancel(err)
	if abort := w.abort(); abort != nil {
		err = errors.Join(err, abort)
	}
	w.ended = err
	return err
}

// failure returns why the upload cannot go on.
func (w *Writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return w.failed
	}
	if w.ctx.Err() != nil {
		return w.wrap(w.ctx.Err(), "upload", "")
	}
	return nil
}

// Abort gives the upload up and removes from the store what it already has, under a time of its own, five seconds, also
// where the writer's context has ended. After Commit, or a second time, it does nothing.
func (w *Writer) Abort() error {
	if w.ended != nil {
		return nil
	}
	w.cancel(errAborted)
	w.ended = errAborted
	return w.abort()
}

// next sends the full part on its way and makes room for the next.
func (w *Writer) next() error {
	if w.uploadID == "" {
		if err := w.begin(); err != nil {
			return err
		}
	}
	full := w.current
	if err := w.count(full); err != nil {
		return err
	}
	if size := grownSize(w.partSize, w.number+1, w.bucket.custom); size > w.partSize {
		return w.nextGrown(size)
	}
	if extra, ok := w.room(); ok {
		w.fly(full)
		w.current = &part{limit: w.partSize, pool: full.pool, extra: extra}
		return nil
	}
	if err := w.send(full); err != nil {
		return err
	}
	full.free()
	return nil
}

// count numbers a part.
func (w *Writer) count(t *part) error {
	if w.number == maxParts {
		return &Error{Op: "upload", Bucket: w.bucket.options.Bucket, Key: w.key,
			Err:    fmt.Errorf("the object is larger than %d parts of %d MiB", maxParts, w.partSize>>20),
			remedy: "the size of parts follows from the database's size, and the backup became much larger than that: compress it, or use a store that allows parts of unequal size"}
	}
	w.number++
	t.number = w.number
	w.mu.Lock()
	w.parts = append(w.parts, uploaded{})
	w.mu.Unlock()
	return nil
}

// room finds a place for another part without waiting: the certain one, or one of the shared budget.
func (w *Writer) room() (extra int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.inFlight >= maxInFlight:
		return 0, false
	case w.reserved:
		w.reserved = false
		return 0, true
	case w.bucket.budget.extra.TryAcquire(w.partSize):
		return w.partSize, true
	}
	return 0, false
}

// fly uploads a part beside what else happens.
func (w *Writer) fly(t *part) {
	w.mu.Lock()
	w.inFlight++
	w.mu.Unlock()
	w.flying.Go(func() {
		err := w.send(t)
		w.mu.Lock()
		w.inFlight--
		if err != nil && w.failed == nil {
			w.failed = err
			w.cancel(err)
		}
		w.mu.Unlock()
		w.land(t)
	})
}

// land gives a part's memory and place back.
func (w *Writer) land(t *part) {
	t.free()
	if t.extra > 0 {
		w.bucket.budget.extra.Release(t.extra)
		t.extra = 0
		return
	}
	w.mu.Lock()
	w.reserved = true
	w.mu.Unlock()
}

// nextGrown uploads the full part and makes room for a larger one, out of the shared budget as far as that reaches. The
// stream then holds nothing else of the budget, so that nobody can wait for it in turn.
func (w *Writer) nextGrown(size int64) error {
	err := w.send(w.current)
	w.flying.Wait()
	w.land(w.current)
	w.mu.Lock()
	w.reserved = false
	w.mu.Unlock()
	w.current = &part{limit: w.partSize, pool: w.current.pool}
	if err != nil {
		return err
	}
	extra := min(size-w.partSize, extraBytes)
	if err := w.bucket.budget.extra.Acquire(w.ctx, extra); err != nil {
		return w.wrap(err, "wait for memory to upload", "")
	}
	w.current.limit, w.current.extra = size, extra
	return nil
}
