package migration_test

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

const exampleMigrations = "../../migrations/example"

// The time that a distant database takes is that of its round trips. This test limits them, including connecting and
// SCRAM, to the least that any client could do.
func TestRoundTrips(t *testing.T) {
	server := pgtest.Shared(t)
	address := net.JoinHostPort(server.Host, strconv.Itoa(server.Port))
	plain := distant(t, address)
	direct := plain
	if server.Version < 17 { // which does not take TLS begun directly
		front, err := wiretest.NewFront(address, server.TLSConfig(), wiretest.Takes)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(front.Close)
		direct = distant(t, front.Address())
	}
	files, err := migration.Load(exampleMigrations, exampleMigrations, postgres.Dbmate)
	if err != nil {
		t.Fatal(err)
	}
	floorFiles, err := wiretest.FloorFiles(exampleMigrations)
	if err != nil {
		t.Fatal(err)
	}

	type migrator func(ctx context.Context, url string) (applied int, err error)
	// count runs a migrator over a proxy, and returns its traffic.
	count := func(t *testing.T, proxy *wiretest.Proxy, through string, applied int, do migrator) wiretest.Traffic {
		t.Helper()
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

	// public is the connection string of a host that the TLS policy verifies in full, which alone makes ours begin TLS
	// directly; the floor has to be told.
	public := func(t *testing.T, url string, proxy *wiretest.Proxy) string {
		t.Helper()
		url, err := server.PublicURL(url, proxy.Address())
		if err != nil {
			t.Fatal(err)
		}
		return url
	}
	private := func(sslmode string) func(*testing.T, string, *wiretest.Proxy) string {
		return func(t *testing.T, url string, proxy *wiretest.Proxy) string {
			t.Helper()
			through, err := proxy.URL(withSSLMode(t, url, sslmode))
			if err != nil {
				t.Fatal(err)
			}
			return through
		}
	}
	for _, wire := range []struct {
		name             string
		proxy            *wiretest.Proxy
		url              func(t *testing.T, url string, proxy *wiretest.Proxy) string
		floorToo         string
		nothing, pending int // at most
	}{
		{"plain", plain, private("disable"), "", 5, 8},
		{"TLS", plain, private("require"), "", 8, 11},
		{"TLS begun directly", direct, public, "&sslnegotiation=direct", 7, 10},
	} {
		t.Run(wire.name, func(t *testing.T) {
			mine := wire.url(t, pgtest.Database(t), wire.proxy)
			theirs := wire.url(t, pgtest.Database(t), wire.proxy) + wire.floorToo
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
				got, least := count(t, wire.proxy, mine, step.applied, step.do), wiretest.Traffic{}
				if step.name == "dry run" {
					least = wiretest.Traffic{Connections: 1, RoundTrips: step.roundTrips}
				} else {
					least = count(t, wire.proxy, theirs, step.applied, floor)
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

// distant returns a proxy for a server, far enough away for its count to be exact.
func distant(t *testing.T, address string) *wiretest.Proxy {
	t.Helper()
	proxy, err := wiretest.NewProxy(address, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return proxy
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

// Drizzle's files take no more round trips than dbmate's: one to look, and one for each file that is pending.
func TestRoundTripsOfDrizzle(t *testing.T) {
	server := pgtest.Shared(t)
	proxy := distant(t, net.JoinHostPort(server.Host, strconv.Itoa(server.Port)))
	a, b, c := "create table a (i int);"+breakpoint+"\ncreate index on a (i);", "create table b ()", "-- nothing"
	old := []any{1735689600000, "0000_a", 1735689600001, "0001_b", 1735689600002, "0002_c"}
	dbmates := files(t, "1_a.sql", up(a), "2_b.sql", up(b), "3_c.sql", up(c))
	for name, m := range map[string]*migration.Files{
		"journal": journaled(t, old, a, b, c),
		"folders": foldered(t, "20250101000000_a", a, "20250101000000_b", b, "20250101000000_c", c),
	} {
		t.Run(name, func(t *testing.T) {
			trips := func(m *migration.Files, o migration.Options) (seen []int) {
				through, err := proxy.URL(withSSLMode(t, pgtest.Database(t), "disable"))
				if err != nil {
					t.Fatal(err)
				}
				for _, applied := range []int{3, 0} {
					proxy.Reset()
					if got, err := migrate(t.Context(), through, m, o); err != nil || len(got.Applied) != applied {
						t.Fatalf("%+v, %v", got, err)
					}
					if n := proxy.Traffic().Connections; n != 1 {
						t.Errorf("%d connections", n)
					}
					seen = append(seen, proxy.Traffic().RoundTrips)
				}
				return seen
			}
			got, want := trips(m, drizzle()), trips(dbmates, options())
			if got[0] > want[0] || got[1] > want[1] || want[0] > 8 || want[1] > 5 {
				t.Errorf("three pending and none: %v, and dbmate's %v", got, want)
			}
		})
	}
}
