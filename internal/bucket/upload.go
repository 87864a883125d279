package bucket

import (
	"bytes"
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

// Info describes an object before it is written.
type Info struct {
	// SizeEstimate is how large the object may get, in bytes. It determines the size of its parts, and with it the
	// memory that the upload takes. Zero stands for any size up to 50 GiB.
	SizeEstimate int64
	Metadata     map[string]string // names in lower case; values of any characters
	ContentType  string            // empty: application/octet-stream
	Replace      bool              // an object of one part may take the place of another of that name
}

// Stored describes an object that the store holds, complete and checked.
type Stored struct {
	Key    string
	Size   int64             // bytes
	SHA256 [sha256.Size]byte // of the stored bytes
	CRC32C uint32            // of the stored bytes
	// Checked is what was compared with the store besides the size: crc32c or md5 of the whole object, or parts if the
	// store reports neither but has checked each part.
	Checked string
}

// maxInFlight is how many parts of one stream are uploaded at once while the next one is filled.
const maxInFlight = 4

// Writer uploads one object, which becomes visible in the bucket only with Commit. It is for use by one goroutine.
type Writer struct {
	bucket           *Bucket
	key              string
	info             Info
	nonce            string // stored in the object's metadata, to recognize our own object
	ctx              context.Context
	cancel           context.CancelCauseFunc
	releaseAdmission func()

	partSize int64
	current  *part
	hash     hash.Hash
	crc      uint32
	size     int64

	uploadID        string // empty until there is more than one part
	number          int32  // of parts begun
	ended           error  // what Write returns once the upload has ended
	cleanupDeadline time.Time

	uploads sync.WaitGroup // of the parts in flight
	mu      sync.Mutex
	parts   []uploaded // by number
	// guaranteed is true while no part holds the room that the stream is guaranteed.
	guaranteed bool
	inFlight   int
	failed     error
}

// uploaded is a part that the store has.
type uploaded struct {
	completed types.CompletedPart
	crc       uint32
	md5       []byte // nil if the part was sent with its CRC32C
}

var (
	errCommitted = errors.New("the upload is already committed")
	errAborted   = errors.New("the upload was aborted")
)

// Create begins to write an object. It waits for memory and makes no request. ctx is for the whole upload: when it
// ends, Write fails. The caller must commit or abort the Writer.
func (b *Bucket) Create(ctx context.Context, key string, info Info) (*Writer, error) {
	release, err := b.budget.admit(ctx, partSize(info.SizeEstimate))
	if err != nil {
		return nil, fmt.Errorf("wait for memory to upload %s: %w", b.url(key), context.Cause(ctx))
	}
	return b.newWriter(ctx, key, info, release), nil
}

// PutSmall writes an object that does not exist yet, in one go. It does not wait for memory behind the streams.
func (b *Bucket) PutSmall(ctx context.Context, key string, contents []byte, contentType string) (Stored, error) {
	return b.putSmall(ctx, key, contents, Info{ContentType: contentType})
}

// ReplaceSmall is [Bucket.PutSmall] for an object that may exist, which it replaces.
func (b *Bucket) ReplaceSmall(ctx context.Context, key string, contents []byte, contentType string) (Stored, error) {
	return b.putSmall(ctx, key, contents, Info{ContentType: contentType, Replace: true})
}

func (b *Bucket) putSmall(ctx context.Context, key string, contents []byte, info Info) (Stored, error) {
	info.SizeEstimate = int64(len(contents))
	w := b.newWriter(ctx, key, info, func() {})
	if _, err := bytes.NewReader(contents).WriteTo(w); err != nil {
		return Stored{}, err
	}
	return w.Commit(ctx)
}

func (b *Bucket) newWriter(ctx context.Context, key string, info Info, release func()) *Writer {
	size := partSize(info.SizeEstimate)
	w := &Writer{
		bucket: b, key: key, info: info, nonce: strings.ToLower(rand.Text()),
		releaseAdmission: release, partSize: size, hash: sha256.New(),
	}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.current = &part{limit: size, chunks: &b.budget.chunks}
	return w
}

// Write adds to the object. It returns once the bytes are in memory; if memory is full, it first uploads a part. Its
// error may be that of an earlier part. After an error the upload is aborted and the Writer cannot be used any more.
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

// Size returns how many bytes have been written.
func (w *Writer) Size() int64 { return w.size }

// fail aborts the upload, and returns err joined with the abort's own error.
func (w *Writer) fail(err error) error {
	w.cancel(err)
	if abort := w.abort(); abort != nil {
		err = errors.Join(err, abort)
	}
	w.ended = err
	return err
}

// failure returns why the upload cannot go on, or nil.
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

// Abort gives up the upload and removes from the store what it already holds of it. It has five seconds for that even
// if the Writer's context has ended. After Commit, or a second time, it does nothing.
func (w *Writer) Abort() error {
	if w.ended != nil {
		return nil
	}
	w.cancel(errAborted)
	w.ended = errAborted
	return w.abort()
}
