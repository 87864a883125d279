package bucket

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Object describes a stored object.
type Object struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
	ETag     string
	Metadata map[string]string // only with Head and Get

	retained time.Time // Object Lock: until when it cannot be deleted
	legal    bool      // Object Lock: a legal hold, without an end

	crc32c string // base64; "…-N" is the checksum of the N parts' checksums; empty if the store has none
	nonce  string
}

// Held reports whether Object Lock keeps the object from being deleted, as far as the store tells: AWS does so only
// with the permission s3:GetObjectRetention.
func (o Object) Held(now time.Time) bool { return o.legal || o.retained.After(now) }

// Head describes an object. [IsNotFound] recognizes the error if there is none.
func (b *Bucket) Head(ctx context.Context, key string) (Object, error) {
	in := &s3.HeadObjectInput{Bucket: &b.options.Bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled}
	if b.fallback.Load() {
		in.ChecksumMode = ""
	}
	out, err := b.client.HeadObject(ctx, in)
	if err != nil {
		return Object{}, b.wrap(err, "look at", key, "s3:GetObject")
	}
	o := Object{
		Key: key, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified),
		ETag: aws.ToString(out.ETag), Metadata: map[string]string{}, crc32c: aws.ToString(out.ChecksumCRC32C),
		retained: aws.ToTime(out.ObjectLockRetainUntilDate),
		legal:    out.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn,
	}
	var decoder mime.WordDecoder
	for name, value := range out.Metadata {
		if name == nonceName {
			o.nonce = value
			continue
		}
		if text, err := decoder.DecodeHeader(value); err == nil {
			value = text
		}
		o.Metadata[name] = value
	}
	return o, nil
}

// maxResumes is how often in a row a read may lose its connection without receiving a byte in between.
const maxResumes = 5

// Reader reads an object. If its connection breaks, it resumes at that byte, provided that the object is still the
// same. Before it returns io.EOF it compares the size, and the checksum if the store has one of the whole object.
type Reader struct {
	Object

	bucket  *Bucket
	ctx     context.Context
	body    io.ReadCloser // nil while disconnected
	at      int64
	crc     uint32
	resumes int
	err     error
}

// Get begins to read an object. ctx is for the whole read. [IsNotFound] recognizes the error if there is no such
// object. The caller must close the Reader.
func (b *Bucket) Get(ctx context.Context, key string) (*Reader, error) {
	o, err := b.Head(ctx, key)
	if err != nil {
		return nil, err
	}
	return b.Reopen(ctx, o)
}

// Reopen begins to read an object that [Bucket.Get] or [Bucket.Head] described, and no other: if it has been replaced
// since, the error has the cause [ObjectReplaced].
func (b *Bucket) Reopen(ctx context.Context, o Object) (*Reader, error) {
	r := &Reader{Object: o, bucket: b, ctx: ctx}
	if o.Size > 0 {
		if err := r.connect(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// ErrTooLarge is wrapped by the error of [Bucket.GetSmall] for an object that is larger than it may be.
var ErrTooLarge = errors.New("it is larger than expected")

// GetSmall reads an object of at most limit bytes with one request. [IsNotFound] recognizes the error if there is none.
func (b *Bucket) GetSmall(ctx context.Context, key string, limit int64) ([]byte, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.options.Bucket, Key: &key})
	if err != nil {
		return nil, b.wrap(err, "read", key, "s3:GetObject")
	}
	defer func() { _ = out.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(out.Body, limit+1))
	switch {
	case err != nil:
		return nil, b.wrap(err, "read", key, "s3:GetObject")
	case int64(len(data)) > limit:
		return nil, &Error{Op: "read", Bucket: b.options.Bucket, Key: key,
			Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)}
	}
	return data, nil
}

func (r *Reader) connect() error {
	in := &s3.GetObjectInput{Bucket: &r.bucket.options.Bucket, Key: &r.Key}
	if r.ETag != "" {
		in.IfMatch = &r.ETag
	}
	if r.at > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", r.at))
	}
	out, err := r.bucket.client.GetObject(r.ctx, in)
	if err != nil {
		err = r.bucket.wrap(err, "read", r.Key, "s3:GetObject")
		if e := (*Error)(nil); errors.As(err, &e) && e.Status == http.StatusPreconditionFailed {
			e.cause = ObjectReplaced
		}
		return err
	}
	if r.at > 0 && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", r.at)) {
		_ = out.Body.Close()
		return &Error{Op: "resume reading", Bucket: r.bucket.options.Bucket, Key: r.Key, cause: NoRanges,
			Err: errors.New("the store does not support reading a part of an object")}
	}
	r.body = out.Body
	return nil
}

func (r *Reader) Read(p []byte) (int, error) {
	for {
		if r.err != nil {
			return 0, r.err
		}
		if r.at == r.Size {
			r.err = r.check()
			continue
		}
		if r.body == nil {
			if r.err = r.connect(); r.err != nil {
				continue
			}
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.Size-r.at)])
		r.crc = crc32.Update(r.crc, castagnoli, p[:n])
		r.at += int64(n)
		if n > 0 {
			r.resumes = 0
		}
		if err != nil && r.at < r.Size {
			r.disconnected(err)
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
}

// disconnected handles a broken connection: it sets r.err, unless the next Read is to reconnect.
func (r *Reader) disconnected(err error) {
	_ = r.body.Close() // its connection is broken anyway
	r.body = nil
	interrupted := context.Cause(r.ctx)
	if interrupted != nil {
		err = interrupted
	} else if r.resumes++; r.resumes <= maxResumes {
		return
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	r.err = &Error{
		Op: fmt.Sprintf("read, after %d of %d bytes,", r.at, r.Size), Bucket: r.bucket.options.Bucket, Key: r.Key, Err: err,
		interrupted: interrupted != nil,
	}
}

// check returns io.EOF if what was read has the store's checksum, else an error with the cause [ObjectDamaged].
func (r *Reader) check() error {
	if want := r.crc32c; want != "" && !strings.Contains(want, "-") && want != encodeCRC(r.crc) {
		return &Error{Op: "read", Bucket: r.bucket.options.Bucket, Key: r.Key, cause: ObjectDamaged,
			Err: fmt.Errorf("the object was damaged in the store or in transit: its CRC32C is %s, not %s",
				encodeCRC(r.crc), want)}
	}
	return io.EOF
}

// Close closes the connection. Reading fails afterwards.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = errors.New("the object is closed")
	}
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body = nil
	return err
}
