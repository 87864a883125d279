package bucket

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	batchSize     = 1000 // S3's limit
	singleDeletes = 8    // at once
)

// Deleted is what became of keys that were to be deleted.
type Deleted struct {
	Keys     []string // gone
	Retained []string // kept by the store, which was told to (Object Lock, a retention policy)
}

// Delete deletes objects. Deleting what is not there is no error, and neither is a retained object; errors of single keys
// are joined.
func (b *Bucket) Delete(ctx context.Context, keys []string) (Deleted, error) {
	var d Deleted
	var errs []error
	remove := b.deleteBatch
	if b.custom {
		remove = b.deleteSingly // not every store has batches, nor the checksums that they need
	}
	for batch := range slices.Chunk(keys, batchSize) {
		removed, retained, err := remove(ctx, batch)
		d.Keys, d.Retained = append(d.Keys, removed...), append(d.Retained, retained...)
		errs = append(errs, err)
	}
	return d, errors.Join(errs...)
}

func (b *Bucket) deleteBatch(ctx context.Context, keys []string) (gone, retained []string, err error) {
	in := &s3.DeleteObjectsInput{Bucket: &b.options.Bucket, Delete: &types.Delete{Quiet: aws.Bool(true)}}
	for _, key := range keys {
		in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: aws.String(key)})
	}
	out, err := b.client.DeleteObjects(ctx, in)
	if err != nil {
		return nil, nil, b.wrap(err, "delete objects of", "", "s3:DeleteObject")
	}
	left := map[string]bool{}
	var errs []error
	for _, e := range out.Errors {
		one := &Error{Op: "delete", Bucket: b.options.Bucket, Key: aws.ToString(e.Key), Code: aws.ToString(e.Code), Message: aws.ToString(e.Message),
			Status: http.StatusOK, action: "s3:DeleteObject"}
		if one.Code == "AccessDenied" {
			one.Status = http.StatusForbidden
		}
		left[one.Key] = true
		if isRetained(one) {
			retained = append(retained, one.Key)
		} else {
			errs = append(errs, one)
		}
	}
	gone = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return left[key] })
	return gone, retained, errors.Join(errs...)
}

func (b *Bucket) deleteSingly(ctx context.Context, keys []string) (gone, retained []string, err error) {
	errs := make([]error, len(keys))
	var group errgroup.Group
	group.SetLimit(singleDeletes)
	for i, key := range keys {
		group.Go(func() error {
			_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.options.Bucket, Key: &key})
			errs[i] = b.wrap(err, "delete", key, "s3:DeleteObject")
			return nil
		})
	}
	_ = group.Wait() // it has none
	for i, key := range keys {
		e := (*Error)(nil)
		switch {
		case errs[i] == nil || IsNotFound(errs[i]):
			gone, errs[i] = append(gone, key), nil
		case errors.As(errs[i], &e) && isRetained(e):
			retained, errs[i] = append(retained, key), nil
		}
	}
	return gone, retained, errors.Join(errs...)
}

// isRetained tells an object that must stay from one that we may not delete: AWS's code for both is AccessDenied, MinIO
// says InvalidRequest, R2 and Google have codes of their own.
func isRetained(e *Error) bool {
	switch e.Code {
	case "ObjectLockedByBucketPolicy", "RetentionPolicyNotMet", "ObjectLocked":
		return true
	case "AccessDenied", "InvalidRequest":
		text := strings.ToLower(e.Message)
		return strings.Contains(text, "object lock") || strings.Contains(text, "worm protected") || strings.Contains(text, "retention")
	}
	return false
}

// PutSmall writes a small object that must not be there yet, whole or not at all. It does not queue for memory
// behind streams.
func (b *Bucket) PutSmall(ctx context.Context, key string, contents []byte, contentType string) (Stored, error) {
	w := b.newWriter(ctx, key, Info{SizeEstimate: int64(len(contents)), ContentType: contentType}, func() {})
	if _, err := bytes.NewReader(contents).WriteTo(w); err != nil {
		return Stored{}, err
	}
	return w.Commit(ctx)
}
