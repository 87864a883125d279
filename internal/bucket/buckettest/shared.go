package buckettest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/servertest"
)

var shared servertest.Shared[*Server]

// Main is the body of a TestMain: it runs the tests, stops the shared server and exits.
func Main(m *testing.M) {
	code := m.Run()
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the shared MinIO server:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Shared returns the test binary's server, with TLS and without a role, started on first use.
func Shared(t testing.TB) *Server {
	t.Helper()
	s, err := shared.Get(func() (*Server, error) { return Start(context.Background(), Options{}) })
	Need(t, err)
	return s
}

// Need ends the test where a server could not be started: skipped where there is no MinIO to start, which in CI is a failure
// too, unless there is to be none.
func Need(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrNotBuilt) && (os.Getenv("CI") == "" || os.Getenv("BUCKETTEST_MINIO") == none) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Bucket makes a bucket of the test's own on a server, and returns its name.
func Bucket(t testing.TB, s *Server, lock bool) string {
	t.Helper()
	name := "test-" + strings.ToLower(rand.Text()[:12])
	if err := s.CreateBucket(context.Background(), name, lock); err != nil {
		t.Fatal(err)
	}
	return name
}
