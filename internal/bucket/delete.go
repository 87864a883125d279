package bucket

import (
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
	batchSize         = 1000 // S3's limit
	concurrentDeletes = 8
)

// Deleted is the outcome of a [Bucket.Delete].
type Deleted struct {
	Keys     []string // deleted, or not there in the first place
	Retained []string // kept by the store because of Object Lock or a retention policy
}

// Delete deletes objects. A key without an object is no error, nor is a retained object. The errors of single keys are
// joined; the other keys are deleted nevertheless.
func (b *Bucket) Delete(ctx context.Context, keys []string) (Deleted, error) {
	var d Deleted
	var errs []error
	deleteKeys := b.deleteBatch
	if b.custom {
		deleteKeys = b.deleteEach // not every store supports batches and the checksum that they need
	}
	for batch := range slices.Chunk(keys, batchSize) {
		deleted, retained, err := deleteKeys(ctx, batch)
		d.Keys, d.Retained = append(d.Keys, deleted...), append(d.Retained, retained...)
		errs = append(errs, err)
	}
	return d, errors.Join(errs...)
}

func (b *Bucket) deleteBatch(ctx context.Context, keys []string) (deleted, retained []string, err error) {
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
		err := &Error{
			Op: "delete", Bucket: b.options.Bucket, Key: aws.ToString(e.Key), Status: http.StatusOK,
			Code: aws.ToString(e.Code), Message: aws.ToString(e.Message), action: "s3:DeleteObject",
		}
		if err.Code == "AccessDenied" {
			err.Status = http.StatusForbidden
		}
		left[err.Key] = true
		if isRetained(err) {
			retained = append(retained, err.Key)
		} else {
			errs = append(errs, err)
		}
	}
	deleted = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return left[key] })
	return deleted, retained, errors.Join(errs...)
}

func (b *Bucket) deleteEach(ctx context.Context, keys []string) (deleted, retained []string, err error) {
	errs := make([]error, len(keys))
	var group errgroup.Group
	group.SetLimit(concurrentDeletes)
	for i, key := range keys {
		group.Go(func() error {
			_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.options.Bucket, Key: &key})
			errs[i] = b.wrap(err, "delete", key, "s3:DeleteObject")
			return nil
		})
	}
	_ = group.Wait() // always nil
	for i, key := range keys {
		e := (*Error)(nil)
		switch {
		case errs[i] == nil || IsNotFound(errs[i]):
			deleted, errs[i] = append(deleted, key), nil
		case errors.As(errs[i], &e) && isRetained(e):
			retained, errs[i] = append(retained, key), nil
		}
	}
	return deleted, retained, errors.Join(errs...)
}

// isRetained tells a retained object from one that we lack the permission to delete. AWS has the code AccessDenied for
// both, MinIO InvalidRequest; R2 and Google have codes of their own.
func isRetained(e *Error) bool {
	switch e.Code {
	case "ObjectLockedByBucketPolicy", "RetentionPolicyNotMet", "ObjectLocked":
		return true
	case "AccessDenied", "InvalidRequest":
		text := strings.ToLower(e.Message)
		return strings.Contains(text, "object lock") || strings.Contains(text, "worm protected") ||
			strings.Contains(text, "retention")
	}
	return false
}
