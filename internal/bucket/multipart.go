package bucket

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/org/neon-tenants-action/internal/grace"
)

const (
	// cleanupTimeout is how long removing a failed upload may take, all requests together.
	cleanupTimeout = 5 * time.Second
	// createGrace is how long a request that creates something may go on after its context has ended. Cutting it off
	// would leave open whether there is something to remove. Together with cleanupTimeout it must stay below the seven
	// seconds that a cancelled run has.
	createGrace = time.Second
	nonceName   = "write-id"
)

// cleanupContext returns a context for finding and removing what the upload left in the store. It outlives the Writer's
// context by cleanupTimeout, which all cleaning up of this upload shares.
func (w *Writer) cleanupContext() (context.Context, context.CancelFunc) {
	if w.ctx.Err() == nil {
		return grace.Context(w.ctx, cleanupTimeout)
	}
	if w.cleanupDeadline.IsZero() {
		w.cleanupDeadline = time.Now().Add(cleanupTimeout)
	}
	return context.WithDeadline(context.WithoutCancel(w.ctx), w.cleanupDeadline)
}

// begin begins a multipart upload. If the store may have begun another one, whose id was lost with its response, that
// one is aborted.
func (w *Writer) begin() error {
	ctx, cancel := grace.Context(w.ctx, createGrace)
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
	var retried bool // an earlier attempt may have begun an upload too
	err := w.bucket.withFallback(func(fallback bool) error {
		if fallback {
			in.ChecksumAlgorithm, in.ChecksumType = "", ""
		}
		out, err := w.bucket.client.CreateMultipartUpload(ctx, in)
		if err == nil {
			id = aws.ToString(out.UploadId)
			attempts, _ := retry.GetAttemptResults(out.ResultMetadata)
			retried = len(attempts.Results) > 1
		}
		return err
	})
	w.uploadID = id
	s, _ := status(err)
	if unsure := err != nil && (s == 0 || s >= http.StatusInternalServerError); unsure || retried {
		cleanup, cancel := w.cleanupContext()
		defer cancel()
		if left := w.bucket.abortOthers(cleanup, w.key, id); left != nil && unsure {
			return errors.Join(w.wrap(err, "begin to upload", "s3:PutObject"), left)
		}
	}
	if err == nil && w.ctx.Err() != nil {
		err = w.ctx.Err()
	}
	return w.wrap(err, "begin to upload", "s3:PutObject")
}

// wrap makes an [*Error] of a request's error, or of what ended the upload in the meantime; nil stays nil.
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

// uploadPart uploads a part and waits for the response.
func (w *Writer) uploadPart(t *part) error {
	done := uploaded{crc: t.crc}
	var etag string
	err := w.bucket.withFallback(func(fallback bool) error {
		b := t.body()
		defer b.detach()
		in := &s3.UploadPartInput{
			Bucket: &w.bucket.options.Bucket, Key: &w.key, UploadId: &w.uploadID, PartNumber: &t.number,
			Body: b, ContentLength: &t.size,
		}
		if fallback {
			digest := t.md5()
			done.md5 = digest[:]
			in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(done.md5))
		} else {
			in.ChecksumCRC32C = aws.String(encodeCRC(t.crc))
		}
		out, err := w.bucket.client.UploadPart(w.ctx, in, unsignedPayload)
		if err == nil {
			etag = aws.ToString(out.ETag)
		}
		return err
	})
	if err != nil {
		return w.wrap(err, fmt.Sprintf("upload part %d of", t.number), "s3:PutObject")
	}
	done.completed = types.CompletedPart{ETag: &etag, PartNumber: aws.Int32(t.number)}
	if done.md5 == nil {
		done.completed.ChecksumCRC32C = aws.String(encodeCRC(t.crc))
	}
	w.mu.Lock()
	w.parts[t.number-1] = done
	w.mu.Unlock()
	return nil
}

// complete has the store make the object out of its parts.
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
	return w.bucket.withFallback(func(fallback bool) error {
		if fallback {
			if err := w.checkAbsent(ctx); err != nil {
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
		ChecksumCRC32C: aws.String(encodeCRC(w.crc)),
	}
	if !w.info.Replace {
		in.IfNoneMatch = aws.String("*")
	}
	in.SSEKMSKeyId, in.ServerSideEncryption = w.bucket.encryption()
	if until := w.bucket.objectLockUntil(); until != nil {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeGovernance, until
	}
	done := uploaded{crc: w.current.crc}
	err := w.bucket.withFallback(func(fallback bool) error {
		b := w.current.body()
		defer b.detach()
		in.Body = b
		if fallback {
			if !w.info.Replace {
				if err := w.checkAbsent(ctx); err != nil {
					return err
				}
			}
			digest := w.current.md5()
			done.md5 = digest[:]
			in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(done.md5))
			in.ChecksumCRC32C, in.IfNoneMatch = nil, nil
		}
		_, err := w.bucket.client.PutObject(ctx, in, unsignedPayload)
		return err
	})
	w.parts = []uploaded{done}
	return err
}

func (b *Bucket) encryption() (*string, types.ServerSideEncryption) {
	if b.options.KMSKeyID == "" {
		return nil, ""
	}
	return &b.options.KMSKeyID, types.ServerSideEncryptionAwsKms
}

// objectLockUntil returns until when an object that is written now must be retained, nil if the bucket decides.
func (b *Bucket) objectLockUntil() *time.Time {
	if b.options.ObjectLockDays <= 0 {
		return nil
	}
	return aws.Time(b.Now().UTC().AddDate(0, 0, b.options.ObjectLockDays))
}

func (w *Writer) contentType() *string {
	return aws.String(cmp.Or(w.info.ContentType, "application/octet-stream"))
}

// metadata returns the object's metadata. Values that are not ASCII are encoded per RFC 2047, as S3 returns them.
func (w *Writer) metadata() map[string]string {
	m := map[string]string{nonceName: w.nonce}
	for name, value := range w.info.Metadata {
		m[name] = strings.ReplaceAll(mime.QEncoding.Encode("utf-8", value), "\r\n", "")
	}
	return m
}
