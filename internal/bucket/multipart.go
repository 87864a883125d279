package bucket

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	abortTimeout = 5 * time.Second
	// grace is how long a call that creates something may go on after its context ended: cut off, it would leave open
	// whether there is something to remove, and what. Together with abortTimeout it has to stay below the seven seconds
	// that a cancelled run has.
	grace     = time.Second
	nonceName = "write-id"
)

// lingering returns a context that ends a while after ctx does.
func lingering(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	linger, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(while)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-linger.Done():
		}
		cancel(context.Cause(ctx))
	})
	return linger, func() { stop(); cancel(nil) }
}

// afterwards returns a context for finding out and removing what the upload left. It does not end with the run: five seconds
// later, all calls for this upload taken together.
func (w *Writer) afterwards() (context.Context, context.CancelFunc) {
	if w.ctx.Err() == nil {
		return lingering(w.ctx, abortTimeout)
	}
	if w.deadline.IsZero() {
		w.deadline = time.Now().Add(abortTimeout)
	}
	return context.WithDeadline(context.WithoutCancel(w.ctx), w.deadline)
}

// begin starts the upload of parts. One that may have been started without our having heard so is looked for and removed.
func (w *Writer) begin() error {
	ctx, cancel := lingering(w.ctx, grace)
	defer cancel()
	in := &s3.CreateMultipartUploadInput{
		Bucket: &w.bucket.options.Bucket, Key: &w.key,
		ContentType: w.contentType(), Metadata: w.metadata(),
		StorageClass:      types.StorageClass(w.bucket.options.StorageClass),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c, ChecksumType: types.ChecksumTypeFullObject,
	}
	in.SSEKMSKeyId, in.ServerSideEncryption = w.bucket.encryption()
	if until := w.bucket.objectLockUntil(); until != nil {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeGovernance, until
	}
	var id string
	var again bool // a try before this one may have begun one too
	err := w.bucket.dialect(func(plain bool) error {
		if plain {
			in.ChecksumAlgorithm, in.ChecksumType = "", ""
		}
		out, err := w.bucket.client.CreateMultipartUpload(ctx, in)
		if err == nil {
			id = aws.ToString(out.UploadId)
			tries, _ := retry.GetAttemptResults(out.ResultMetadata)
			again = len(tries.Results) > 1
		}
		return err
	})
	w.uploadID = id
	s, _ := status(err)
	if unsure := err != nil && (s == 0 || s >= http.StatusInternalServerError); unsure || again {
		clean, cancel := w.afterwards()
		defer cancel()
		if left := w.bucket.abortOthers(clean, w.key, id); left != nil && unsure {
			return errors.Join(w.wrap(err, "begin to upload", "s3:PutObject"), left)
		}
	}
	if err == nil && w.ctx.Err() != nil {
		err = w.ctx.Err()
	}
	return w.wrap(err, "begin to upload", "s3:PutObject")
}

// wrap makes an [*Error] of what a call returned, or of what ended the upload meanwhile; nil stays nil.
func (w *Writer) wrap(err error, op, action string) error {
	s, _ := status(err)
	cause := context.Cause(w.ctx)
	if err == nil || s != 0 || cause == nil {
		return w.bucket.wrap(err, op, w.key, action)
	}
	if inner := (*Error)(nil); errors.As(cause, &inner) {
		return cause // of another part
	}
	return &Error{Op: op, Bucket: w.bucket.options.Bucket, Key: w.key, Err: cause, interrupted: true}
}

// send uploads a part.
func (w *Writer) send(t *part) error {
	sum := uploaded{crc: t.crc}
	var etag string
	err := w.bucket.dialect(func(plain bool) error {
		b := t.body()
		defer b.detach()
		in := &s3.UploadPartInput{
			Bucket: &w.bucket.options.Bucket, Key: &w.key, UploadId: &w.uploadID, PartNumber: &t.number,
			Body: b, ContentLength: &t.size,
		}
		if plain {
			digest := t.md5()
			sum.md5 = digest[:]
			in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(sum.md5))
		} else {
			in.ChecksumCRC32C = aws.String(encodeCRC(t.crc))
		}
		out, err := w.bucket.client.UploadPart(w.ctx, in, unsigned)
		if err == nil {
			etag = aws.ToString(out.ETag)
		}
		return err
	})
	if err != nil {
		return w.wrap(err, fmt.Sprintf("upload part %d of", t.number), "s3:PutObject")
	}
	sum.completed = types.CompletedPart{ETag: &etag, PartNumber: aws.Int32(t.number)}
	if sum.md5 == nil {
		sum.completed.ChecksumCRC32C = aws.String(encodeCRC(t.crc))
	}
	w.mu.Lock()
	w.parts[t.number-1] = sum
	w.mu.Unlock()
	return nil
}

// complete makes the object out of its parts.
func (w *Writer) complete(ctx context.Context) error {
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &w.bucket.options.Bucket, Key: &w.key, UploadId: &w.uploadID,
		MultipartUpload: &types.CompletedMultipartUpload{}, MpuObjectSize: &w.size,
		ChecksumCRC32C: aws.String(encodeCRC(w.crc)), ChecksumType: types.ChecksumTypeFullObject,
		IfNoneMatch: aws.String("*"),
	}
	for _, p := range w.parts {
		in.MultipartUpload.Parts = append(in.MultipartUpload.Parts, p.completed)
	}
	return w.bucket.dialect(func(plain bool) error {
		if plain {
			if err := w.absent(ctx); err != nil {
				return err
			}
			in.ChecksumCRC32C, in.ChecksumType, in.MpuObjectSize, in.IfNoneMatch = nil, "", nil, nil
			for i := range in.MultipartUpload.Parts {
				in.MultipartUpload.Parts[i].ChecksumCRC32C = nil
			}
		}
		_, err := w.bucket.client.CompleteMultipartUpload(ctx, in)
		return err
	})
}

// put writes an object of one part.
func (w *Writer) put(ctx context.Context) error {
	in := &s3.PutObjectInput{
		Bucket: &w.bucket.options.Bucket, Key: &w.key, ContentLength: &w.size,
		ContentType: w.contentType(), Metadata: w.metadata(),
		StorageClass:   types.StorageClass(w.bucket.options.StorageClass),
		ChecksumCRC32C: aws.String(encodeCRC(w.crc)), IfNoneMatch: aws.String("*"),
	}
	in.SSEKMSKeyId, in.ServerSideEncryption = w.bucket.encryption()
	if until := w.bucket.objectLockUntil(); until != nil {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeGovernance, until
	}
	sum := uploaded{crc: w.current.crc}
	err := w.bucket.dialect(func(plain bool) error {
		b := w.current.body()
		defer b.detach()
		in.Body = b
		if plain {
			if err := w.absent(ctx); err != nil {
				return err
			}
			digest := w.current.md5()
			sum.md5 = digest[:]
			in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(sum.md5))
			in.ChecksumCRC32C, in.IfNoneMatch = nil, nil
		}
		_, err := w.bucket.client.PutObject(ctx, in, unsigned)
		return err
	})
	w.parts = []uploaded{sum}
	return err
}

// absent is what a conditional write would ask of the store.
func (w *Writer) absent(ctx context.Context) error {
	_, err := w.bucket.Head(ctx, w.key)
	switch {
	case err == nil:
		return &Error{Op: "write", Bucket: w.bucket.options.Bucket, Key: w.key, Status: http.StatusPreconditionFailed,
			Code: "PreconditionFailed", Message: "there is an object of this name"}
	case IsNotFound(err):
		return nil
	}
	return err
}

// dialect makes a call, and where a store that is not AWS refuses it for a header that it does not know, makes it once more
// without checksums of today's kind (Content-MD5 is as old as S3) and without conditions. A store that takes the
// second is spoken to in that way from then on.
func (b *Bucket) dialect(call func(plain bool) error) error {
	plain := b.plain.Load()
	err := call(plain)
	if err == nil || plain || !b.custom {
		return err
	}
	s, code := status(err)
	if s != http.StatusNotImplemented && (s != http.StatusBadRequest || !slices.Contains([]string{
		"InvalidArgument", "InvalidRequest", "NotImplemented", "MalformedXML", "XAmzContentSHA256Mismatch"}, code)) {
		return err
	}
	if again := call(true); again != nil {
		return err // the first refusal says more
	}
	b.plain.Store(true)
	return nil
}

func (b *Bucket) encryption() (*string, types.ServerSideEncryption) {
	if b.options.KMSKeyID == "" {
		return nil, ""
	}
	return &b.options.KMSKeyID, types.ServerSideEncryptionAwsKms
}

func (w *Writer) contentType() *string {
	return aws.String(cmp.Or(w.info.ContentType, "application/octet-stream"))
}

// metadata encodes what is not ASCII as AWS itself does when it shows such values.
func (w *Writer) metadata() map[string]string {
	m := map[string]string{nonceName: w.nonce}
	for name, value := range w.info.Metadata {
		m[name] = strings.ReplaceAll(mime.QEncoding.Encode("utf-8", value), "\r\n", "")
	}
	return m
}
