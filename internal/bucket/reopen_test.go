package bucket_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// An object that was read once is read again only if it is the same.
func TestReopen(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	o := custom(t, s)
	b := open(t, o)
	key := b.Folder("acme") + "x"
	put := func(text string) {
		t.Helper()
		in := &s3.PutObjectInput{Bucket: &o.Bucket, Key: &key, Body: strings.NewReader(text)}
		if _, err := s.Client().PutObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	put("first")
	seen, err := b.Head(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	put("first") // again, with the same bytes
	r, err := b.Reopen(t.Context(), seen)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if text, err := io.ReadAll(r); err != nil || string(text) != "first" {
		t.Errorf("got %q, %v", text, err)
	}
	put("other")
	_, err = b.Reopen(t.Context(), seen)
	var replaced *bucket.Error
	if !errors.As(err, &replaced) || replaced.Cause() != bucket.ObjectReplaced {
		t.Errorf("got %v", err)
	}
}
