package postgres_test

import (
	"context"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// connect is postgres.Connect for a connection string.
func connect(ctx context.Context, url string, o postgres.Options) (*postgres.Conn, error) {
	target, err := postgres.ParseTrusted(url, false)
	if err != nil {
		return nil, err
	}
	return postgres.Connect(ctx, target, o)
}
