package bucket

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// abort removes the unfinished upload from the store, if it was begun, and releases the writer's memory.
func (w *Writer) abort() error {
	w.uploads.Wait()
	var err error
	if w.uploadID != "" {
		ctx, cancel := w.cleanupContext()
		defer cancel()
		err = w.bucket.abortUpload(ctx, w.key, w.uploadID)
		w.uploadID = ""
	}
	w.release()
	return err
}

// release releases the writer's memory and its admission.
func (w *Writer) release() {
	w.cancel(errCommitted)
	if w.current != nil {
		w.releasePart(w.current)
		w.current = nil
		w.releaseAdmission()
	}
}

// abortUpload aborts an upload, and repeats that while the store still lists parts of it: one that was in transit may
// arrive after the abort.
func (b *Bucket) abortUpload(ctx context.Context, key, id string) error {
	for range 3 {
		_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &b.options.Bucket, Key: &key, UploadId: &id,
		})
		if _, code := status(err); code == "NoSuchUpload" {
			return nil
		}
		if err != nil {
			return b.wrap(err, "abort the upload of", key, "s3:AbortMultipartUpload")
		}
		out, err := b.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &b.options.Bucket, Key: &key, UploadId: &id})
		if err != nil || len(out.Parts) == 0 {
			return nil // the upload is gone, or we may not list its parts
		}
	}
	return nil
}

// abortOthers aborts all uploads of a key except the one with the given id.
func (b *Bucket) abortOthers(ctx context.Context, key, id string) error {
	uploads, err := b.listUploads(ctx, key)
	for _, u := range uploads {
		if aws.ToString(u.Key) == key && aws.ToString(u.UploadId) != id {
			err = errors.Join(err, b.abortUpload(ctx, key, aws.ToString(u.UploadId)))
		}
	}
	return err
}
