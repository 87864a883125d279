package pgdump_test

import (
	"context"
	"io"
	"testing"

	"github.com/org/neon-tenants-action/internal/pgdump"
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

// dumpURL is pgdump.Dump for a connection string.
func dumpURL(ctx context.Context, url string, o pgdump.DumpOptions, w io.Writer) (pgdump.Dumped, error) {
	target, err := postgres.ParseTrusted(url, false)
	if err != nil {
		return pgdump.Dumped{}, err
	}
	return pgdump.Dump(ctx, target, o, w)
}

// restoreURL is pgdump.Restore for a connection string.
func restoreURL(ctx context.Context, url string, o pgdump.RestoreOptions, r io.Reader) (pgdump.Restored, error) {
	target, err := postgres.ParseTrusted(url, false)
	if err != nil {
		return pgdump.Restored{}, err
	}
	return pgdump.Restore(ctx, target, o, r)
}
