package migration_test

import (
	"context"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// connect is postgres.Connect for a connection string.
func connect(ctx context.Context, url string, o postgres.Options) (*postgres.Conn, error) {
	target, err := postgres.ParseTrusted(url, false)
	if err != nil {
		return nil, err
	}
	return postgres.Connect(ctx, target, o)
}
