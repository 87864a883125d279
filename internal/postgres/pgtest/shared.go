package pgtest

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

var shared servertest.Shared[*Server]

// Main is the body of a TestMain: it runs the tests, stops the shared server and whatever else they share, and exits.
func Main(m *testing.M, stops ...func() error) { shared.Main(m, "PostgreSQL", stops...) }

// Shared returns the test binary's server, started on first use. Tests that stop, kill or pause one start their own.
func Shared(t testing.TB) *Server {
	t.Helper()
	s, err := shared.Get(func() (*Server, error) { return Start(context.Background(), Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Database returns the URL of a new database on the shared server. It belongs to a role of its own, whose password
// needs escaping. Both are dropped when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	s := Shared(t)
	name := "test_" + strings.ToLower(rand.Text()[:12])
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err := s.Exec(ctx, "postgres",
			"DROP DATABASE IF EXISTS "+Identifier(name)+" WITH (FORCE)", "DROP ROLE IF EXISTS "+Identifier(name))
		if err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	url, err := s.CreateTenant(ctx, name, "p@ss:w/r%d?#& "+rand.Text()[:8], name)
	if err != nil {
		t.Fatal(err)
	}
	return url
}
