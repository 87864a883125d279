package bucket

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Object is what the store says of an object.
type Object struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
	ETag     string
	Metadata map[string]string // of Head and Get only

	crc32c string // base64; with "-N" the checksum of N parts' checksums; empty where the store has none
	nonce  string
}

// Head asks for an object without its contents. [IsNotFound] tells that there is none.
func (b *Bucket) Head(ctx context.Context, key string) (Object, error) {
	in := &s3.HeadObjectInput{Bucket: &b.options.Bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled}
	if b.plain.Load() {
		in.ChecksumMode = ""
	}
	out, err := b.client.HeadObject(ctx, in)
	if err != nil {
		return Object{}, b.wrap(err, "look at", key, "s3:GetObject")
	}
	o := Object{
		Key: key, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified), ETag: aws.ToString(out.ETag),
		Metadata: map[string]string{}, crc32c: aws.ToString(out.ChecksumCRC32C),
	}
	var words mime.WordDecoder
	for name, value := range out.Metadata {
		if name == nonceName {
			o.nonce = value
			continue
		}
		if text, err := words.DecodeHeader(value); err == nil {
			value = text
		}
		o.Metadata[name] = value
	}
	return o, nil
}

// maxResumes is how often a read goes on after a broken connection without having got a single byte in between.
const maxResumes = 5

// Reader reads an object. A connection that breaks is resumed where it broke, for the same version of the object only. At the
// end the size, and the checksum where the store has one of the whole, are compared before io.EOF is returned.
type Reader struct {
	Object

	bucket  *Bucket
	ctx     context.Context
	body    io.ReadCloser // nil while there is no connection
	at      int64
	crc     uint32
	resumes int
	err     error
}

// Get begins to read an object. ctx bounds the whole reading.
func (b *Bucket) Get(ctx context.Context, key string) (*Reader, error) {
	o, err := b.Head(ctx, key)
	if err != nil {
		return nil, err
	}
	r := &Reader{Object: o, bucket: b, ctx: ctx}
	if o.Size > 0 {
		if err := r.connect(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Reader) connect() error {
	in := &s3.GetObjectInput{Bucket: &r.bucket.options.Bucket, Key: &r.Key, IfMatch: &r.ETag}
	if r.at > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", r.at))
	}
	out, err := r.bucket.client.GetObject(r.ctx, in)
	if err != nil {
		return r.bucket.wrap(err, "read", r.Key, "s3:GetObject")
	}
	if r.at > 0 && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", r.at)) {
		_ = out.Body.Close()
		return &Error{Op: "read on", Bucket: r.bucket.options.Bucket, Key: r.Key, Err: errors.New("the store does not give a part of an object where it is asked for one")}
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
			r.broke(err)
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
}

// broke decides whether a broken connection ends the reading.
func (r *Reader) broke(err error) {
	_ = r.body.Close() // it is broken
	r.body = nil
	if cause := context.Cause(r.ctx); cause != nil {
		err = cause
	} else if r.resumes++; r.resumes <= maxResumes {
		return
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	r.err = &Error{Op: fmt.Sprintf("read, after %d of %d bytes,", r.at, r.Size), Bucket: r.bucket.options.Bucket, Key: r.Key, Err: err}
}

// check compares the whole with the store's checksum and returns io.EOF.
func (r *Reader) check() error {
	if want := r.crc32c; want != "" && !strings.Contains(want, "-") && want != encodeCRC(r.crc) {
		return &Error{Op: "read", Bucket: r.bucket.options.Bucket, Key: r.Key,
			Err: fmt.Errorf("the object was damaged in the store or on its way: its CRC32C is %s, and not %s", encodeCRC(r.crc), want)}
	}
	return io.EOF
}

// Close ends the reading.
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
