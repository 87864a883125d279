package bucket

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// abort removes the upload from the store, if there is one, and gives its memory back.
func (w *Writer) abort() error {
	w.flying.Wait()
	var err error
	if w.uploadID != "" {
		ctx, cancel := w.afterwards()
		defer cancel()
		err = w.bucket.abortUpload(ctx, w.key, w.uploadID)
		w.uploadID = ""
	}
	w.release()
	return err
}

// release gives the stream's memory and place back.
func (w *Writer) release() {
	w.cancel(errCommitted)
	if w.current != nil {
		w.land(w.current)
		w.current = nil
		w.leave()
	}
}

// abortUpload aborts an upload and looks whether that was all: a part that was on its way may arrive after it.
func (b *Bucket) abortUpload(ctx context.Context, key, id string) error {
	for range 3 {
		_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.options.Bucket, Key: &key, UploadId: &id})
		if _, code := status(err); code == "NoSuchUpload" {
			return nil
		}
		if err != nil {
			return b.wrap(err, "abort the upload of", key, "s3:AbortMultipartUpload")
		}
		out, err := b.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &b.options.Bucket, Key: &key, UploadId: &id})
		if err != nil || len(out.Parts) == 0 {
			return nil // gone, or not ours to look at
		}
	}
	return nil
}

// abortOthers aborts every upload of a key but one.
func (b *Bucket) abortOthers(ctx context.Context, key, id string) error {
	uploads, err := b.unfinished(ctx, key)
	for _, u := range uploads {
		if aws.ToString(u.Key) == key && aws.ToString(u.UploadId) != id {
			err = errors.Join(err, b.abortUpload(ctx, key, aws.ToString(u.UploadId)))
		}
	}
	return err
}
