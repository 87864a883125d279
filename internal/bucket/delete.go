package bucket

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

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
	// Marked are those of Keys that the store only hides behind a delete marker, because the bucket keeps the versions
	// of its objects. They are still stored, and billed.
	Marked []string
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
		deleted, err := deleteKeys(ctx, batch)
		d.Keys, d.Retained = append(d.Keys, deleted.Keys...), append(d.Retained, deleted.Retained...)
		d.Marked = append(d.Marked, deleted.Marked...)
		errs = append(errs, err)
	}
	return d, errors.Join(errs...)
}

// deleteBatch deletes objects with one request, and once more those for which the store had a passing trouble: such a
// response is a success as a whole, so the client does not try it again.
func (b *Bucket) deleteBatch(ctx context.Context, keys []string) (Deleted, error) {
	d, failed, err := b.deleteObjects(ctx, keys)
	var again []string
	var errs []error
	for _, e := range failed {
		if e.Cause() == ServerError {
			again = append(again, e.Key)
		} else {
			errs = append(errs, e)
		}
	}
	if len(again) > 0 {
		select { // the store may have asked for fewer requests
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		var more Deleted
		more, failed, err = b.deleteObjects(ctx, again)
		d.Keys, d.Retained = append(d.Keys, more.Keys...), append(d.Retained, more.Retained...)
		d.Marked = append(d.Marked, more.Marked...)
		for _, e := range failed {
			errs = append(errs, e)
		}
	}
	return d, errors.Join(append(errs, err)...)
}

// keyStatus is the status of the codes with which a batch's response, itself a success, says that a key was refused.
var keyStatus = map[string]int{
	"AccessDenied": http.StatusForbidden, "InternalError": http.StatusInternalServerError,
	"SlowDown": http.StatusServiceUnavailable, "ServiceUnavailable": http.StatusServiceUnavailable,
}

// deleteObjects makes one request. failed are the keys that the store refused.
func (b *Bucket) deleteObjects(ctx context.Context, keys []string) (d Deleted, failed []*Error, err error) {
	in := &s3.DeleteObjectsInput{Bucket: &b.options.Bucket, Delete: &types.Delete{Quiet: aws.Bool(false)}}
	for _, key := range keys {
		in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: aws.String(key)})
	}
	out, err := b.client.DeleteObjects(ctx, in)
	if err != nil {
		return d, nil, b.wrap(err, "delete objects of", "", "s3:DeleteObject")
	}
	left := map[string]bool{}
	for _, e := range out.Errors {
		err := &Error{
			Op: "delete", Bucket: b.options.Bucket, Key: aws.ToString(e.Key),
			Status: cmp.Or(keyStatus[aws.ToString(e.Code)], http.StatusOK),
			Code:   aws.ToString(e.Code), Message: aws.ToString(e.Message), action: "s3:DeleteObject",
		}
		left[err.Key] = true
		if isRetained(err) {
			d.Retained = append(d.Retained, err.Key)
		} else {
			failed = append(failed, err)
		}
	}
	d.Keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return left[key] })
	for _, one := range out.Deleted {
		if aws.ToBool(one.DeleteMarker) {
			d.Marked = append(d.Marked, aws.ToString(one.Key))
		}
	}
	return d, failed, nil
}

func (b *Bucket) deleteEach(ctx context.Context, keys []string) (d Deleted, err error) {
	errs, marked := make([]error, len(keys)), make([]bool, len(keys))
	var group errgroup.Group
	group.SetLimit(concurrentDeletes)
	for i, key := range keys {
		group.Go(func() error {
			out, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.options.Bucket, Key: &key})
			errs[i] = b.wrap(err, "delete", key, "s3:DeleteObject")
			marked[i] = err == nil && aws.ToBool(out.DeleteMarker)
			return nil
		})
	}
	_ = group.Wait() // always nil
	for i, key := range keys {
		e := (*Error)(nil)
		switch {
		case errs[i] == nil || IsNotFound(errs[i]):
			d.Keys, errs[i] = append(d.Keys, key), nil
		case errors.As(errs[i], &e) && isRetained(e):
			d.Retained, errs[i] = append(d.Retained, key), nil
		}
		if marked[i] {
			d.Marked = append(d.Marked, key)
		}
	}
	return d, errors.Join(errs...)
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
