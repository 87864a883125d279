package migration_test

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

const exampleMigrations = "../../migrations/example"

// The time that a distant database takes is that of its round trips. This test limits them, including connecting and
// SCRAM, to the least that any client could do.
func TestRoundTrips(t *testing.T) {
	server := pgtest.Shared(t)
	proxy, err := wiretest.NewProxy(net.JoinHostPort(server.Host, strconv.Itoa(server.Port)), 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	files, err := migration.Load(exampleMigrations, exampleMigrations)
	if err != nil {
		t.Fatal(err)
	}
	floorFiles, err := wiretest.FloorFiles(exampleMigrations)
	if err != nil {
		t.Fatal(err)
	}

	type migrator func(ctx context.Context, url string) (applied int, err error)
	// count runs a migrator over the proxy, and returns its traffic.
	count := func(t *testing.T, direct string, applied int, do migrator) wiretest.Traffic {
		t.Helper()
		through, err := proxy.URL(direct)
		if err != nil {
			t.Fatal(err)
		}
		proxy.Reset()
		if n, err := do(t.Context(), through); err != nil || n != applied {
			t.Fatalf("applied %d, %v, want %d", n, err, applied)
		}
		return proxy.Traffic()
	}
	floor := func(ctx context.Context, url string) (int, error) { return wiretest.Floor(ctx, url, floorFiles) }
	ours := func(ctx context.Context, url string) (int, error) {
		done, err := migrate(ctx, url, files, options())
		return len(done.Applied), err
	}
	dryRun := func(ctx context.Context, url string) (int, error) {
		o := options()
		o.DryRun = true
		done, err := migrate(ctx, url, files, o)
		return len(done.Applied), err
	}

	for _, wire := range []struct {
		name, sslmode    string
		nothing, pending int // at most
	}{
		{"plain", "disable", 5, 8},
		{"TLS", "require", 8, 11},
	} {
		t.Run(wire.name, func(t *testing.T) {
			mine := withSSLMode(t, pgtest.Database(t), wire.sslmode)
			theirs := withSSLMode(t, pgtest.Database(t), wire.sslmode)
			for _, step := range []struct {
				name       string
				applied    int
				do         migrator
				roundTrips int
			}{
				{"dry run", 0, dryRun, wire.nothing},
				{"three pending", 3, ours, wire.pending},
				{"nothing pending", 0, ours, wire.nothing},
			} {
				got, least := count(t, mine, step.applied, step.do), wiretest.Traffic{}
				if step.name == "dry run" {
					least = wiretest.Traffic{Connections: 1, RoundTrips: step.roundTrips}
				} else {
					least = count(t, theirs, step.applied, floor)
				}
				t.Logf("%s: %d connection, %d round trips; the floor %d",
					step.name, got.Connections, got.RoundTrips, least.RoundTrips)
				if got.Connections != 1 {
					t.Errorf("%s: %d connections, want 1", step.name, got.Connections)
				}
				if got.RoundTrips > step.roundTrips || got.RoundTrips > least.RoundTrips {
					t.Errorf("%s: %d round trips, want at most %d and no more than the floor's %d",
						step.name, got.RoundTrips, step.roundTrips, least.RoundTrips)
				}
			}
		})
	}
}

// withSSLMode sets a connection string's sslmode. Without TLS there is no channel to bind to.
func withSSLMode(t *testing.T, text, mode string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("sslmode", mode)
	if mode == "disable" {
		q.Del("channel_binding")
	}
	u.RawQuery = q.Encode()
	return u.String()
}
