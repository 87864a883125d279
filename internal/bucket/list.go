package bucket

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// List returns all objects directly in a folder, ordered by key. folder is what [Bucket.Folder] returns: it ends in a
// slash, or is empty for the top of the bucket. If the beginning of a name follows, only those objects are returned.
func (b *Bucket) List(ctx context.Context, folder string) ([]Object, error) {
	var objects []Object
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{
		Bucket: &b.options.Bucket, Prefix: &folder, Delimiter: aws.String("/"),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.wrap(err, "list", folder, "s3:ListBucket")
		}
		for _, o := range page.Contents {
			objects = append(objects, Object{
				Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size),
				Modified: aws.ToTime(o.LastModified), ETag: aws.ToString(o.ETag),
			})
		}
	}
	return objects, nil
}

// Folders returns the names of the folders directly in a folder, without slashes.
func (b *Bucket) Folders(ctx context.Context, folder string) ([]string, error) {
	var names []string
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{
		Bucket: &b.options.Bucket, Prefix: &folder, Delimiter: aws.String("/"),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.wrap(err, "list", folder, "s3:ListBucket")
		}
		for _, p := range page.CommonPrefixes {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(aws.ToString(p.Prefix), folder), "/"))
		}
	}
	return names, nil
}

// Unfinished is a multipart upload that was neither completed nor aborted.
type Unfinished struct {
	Key   string
	id    string
	begun time.Time // zero if the store does not tell
}

// Unfinished returns the unfinished uploads of all keys with a prefix.
func (b *Bucket) Unfinished(ctx context.Context, prefix string) ([]Unfinished, error) {
	uploads, err := b.listUploads(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var found []Unfinished
	for _, u := range uploads {
		found = append(found, Unfinished{
			Key: aws.ToString(u.Key), id: aws.ToString(u.UploadId), begun: aws.ToTime(u.Initiated),
		})
	}
	return found, nil
}

// AbortStale aborts the unfinished uploads of our keys that were begun more than olderThan ago, and returns their keys.
// A killed process leaves such an upload behind, and the store charges for its parts.
func (b *Bucket) AbortStale(
	ctx context.Context, uploads []Unfinished, olderThan time.Duration, ours func(key string) bool,
) ([]string, error) {
	var aborted []string
	limit := b.Now().Add(-olderThan)
	for _, u := range uploads {
		if !ours(u.Key) || u.begun.IsZero() || u.begun.After(limit) {
			continue
		}
		if err := b.abortUpload(ctx, u.Key, u.id); err != nil {
			return aborted, err
		}
		aborted = append(aborted, u.Key)
	}
	return aborted, nil
}

func (b *Bucket) listUploads(ctx context.Context, prefix string) ([]types.MultipartUpload, error) {
	var uploads []types.MultipartUpload
	pages := s3.NewListMultipartUploadsPaginator(b.client, &s3.ListMultipartUploadsInput{
		Bucket: &b.options.Bucket, Prefix: &prefix,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return uploads, b.wrap(err, "list unfinished uploads of", prefix, "s3:ListBucketMultipartUploads")
		}
		uploads = append(uploads, page.Uploads...)
	}
	return uploads, nil
}
