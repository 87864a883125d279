package buckettest

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/servertest"
)

var shared servertest.Shared[*Server]

// Main is the body of a TestMain: it runs the tests, stops the shared server and exits.
func Main(m *testing.M) { shared.Main(m, "MinIO") }

// Shared returns the test binary's server, with TLS and without a role, started on first use.
func Shared(t testing.TB) *Server {
	t.Helper()
	s, err := shared.Get(func() (*Server, error) { return Start(context.Background(), Options{}) })
	Need(t, err)
	return s
}

// Need ends the test if a server could not be started. The test is skipped if that is for lack of MinIO, and fails
// otherwise; in CI it only skips if BUCKETTEST_MINIO asks for that.
func Need(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrNotBuilt) && (os.Getenv("CI") == "" || os.Getenv("BUCKETTEST_MINIO") == none) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Bucket creates a bucket of the test's own and returns its name. With lock, it has Object Lock.
func Bucket(t testing.TB, s *Server, lock bool) string {
	t.Helper()
	name := "test-" + strings.ToLower(rand.Text()[:12])
	if err := s.CreateBucket(context.Background(), name, lock); err != nil {
		t.Fatal(err)
	}
	return name
}

// Keys lists a bucket with up to a thousand objects.
func Keys(t testing.TB, s *Server, bucket string) []string {
	t.Helper()
	list, err := s.Client().ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range list.Contents {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys
}

// Read returns an object's content.
func Read(t testing.TB, s *Server, bucket, key string) []byte {
	t.Helper()
	got, err := s.Client().GetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	content, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
