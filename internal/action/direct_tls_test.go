package action

import (
	"net"
	"strconv"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

// A run finds out once whether its servers take TLS begun directly, however many tenants and workers it has, and its
// catalog, which it connects to first, is one of them.
func TestARunFindsOutOnceAboutDirectTLS(t *testing.T) {
	server := pgtest.Shared(t)
	address := net.JoinHostPort(server.Host, strconv.Itoa(server.Port))
	front, err := wiretest.NewFront(address, server.TLSConfig(), wiretest.Takes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	catalog := catalogDatabase(t)
	askAll(t, catalog, "create table found_out (database text); insert into found_out select 'found_out_' || i from "+
		"generate_series(1, 8) i")
	public, err := server.PublicURL(catalog, front.Address())
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(t)
	inputs := []string{
		"neon-api-key=", "neon-api-url=", "tenant-source=catalog", "database-url=" + public, "catalog-url=" + public,
		"catalog-query=select database, database as name from found_out", "create-missing=true", "concurrency=4",
	}
	f.run(t, t.Context(), inputs...).counts(t, 8, 0, 0, 0)
	made := front.Begun()
	f.run(t, t.Context(), inputs...).counts(t, 0, 8, 0, 0)
	taken := front.Begun()
	if taken.Asking != 0 {
		t.Errorf("%d connections asked for TLS", taken.Asking)
	}
	front.Set(wiretest.Closes)
	f.run(t, t.Context(), inputs...).counts(t, 0, 8, 0, 0)
	refused := front.Begun()
	same(t, "connections that began directly in a run in which none is taken", refused.Directly-taken.Directly, 1)
	same(t, "connections that asked", refused.Asking, taken.Directly-made.Directly)
}
