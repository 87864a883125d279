package bucket_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

func TestMain(m *testing.M) { buckettest.Main(m) }

const mebibyte = 1 << 20

var environment sync.Once

// setEnvironment gives the AWS default chain the shared server's root account and nothing of this machine. It does so
// for the whole process, so that tests can run in parallel.
func setEnvironment(t *testing.T, s *buckettest.Server) {
	t.Helper()
	environment.Do(func() {
		for name, value := range map[string]string{
			"AWS_ACCESS_KEY_ID": s.AccessKey, "AWS_SECRET_ACCESS_KEY": s.SecretKey, "AWS_SESSION_TOKEN": "",
			"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
			"AWS_REGION": "", "AWS_PROFILE": "", "AWS_CA_BUNDLE": "",
			"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT_URL_STS": "",
		} {
			if err := os.Setenv(name, value); err != nil { //nolint:usetesting // for all tests
				t.Fatal(err)
			}
		}
	})
}

// custom returns options that make a server a store that is not AWS.
func custom(t *testing.T, s *buckettest.Server) bucket.Options {
	t.Helper()
	setEnvironment(t, s)
	return bucket.Options{
		Bucket: buckettest.Bucket(t, s, false), Prefix: "nightly", Region: buckettest.Region,
		Endpoint: s.URL, PathStyle: true, CABundle: s.CA,
	}
}

// amazon returns options that make a server look like AWS: its host names, virtual hosts and checksums.
func amazon(t *testing.T, s *buckettest.Server) bucket.Options {
	t.Helper()
	o := custom(t, s)
	o.Endpoint, o.PathStyle = "", false
	return bucket.WithDial(o, s.Address())
}

func open(t *testing.T, o bucket.Options) *bucket.Bucket {
	t.Helper()
	b, err := bucket.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.BudgetInUse() {
			t.Error("memory of the budget was not released")
		}
		b.Close()
	})
	return b
}

// bytesOf returns pseudo-random bytes, always the same ones for a size.
func bytesOf(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)}), size)
}

// write writes and commits an object of a size, in pieces of the size that a compressor writes.
func write(ctx context.Context, b *bucket.Bucket, key string, size int64, info bucket.Info) (bucket.Stored, error) {
	w, err := b.Create(ctx, key, info)
	if err != nil {
		return bucket.Stored{}, err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, bytesOf(size), make([]byte, 48<<10)); err != nil {
		return bucket.Stored{}, errors.Join(err, w.Abort())
	}
	return w.Commit(ctx)
}

func keyAt(b *bucket.Bucket, folder string, at time.Time) string {
	return b.Folder(folder) + at.UTC().Format("20060102T150405Z") + "-pg17.sql.gz"
}
