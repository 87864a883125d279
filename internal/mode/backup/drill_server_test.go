package backup

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A connection that the server has closed since the drill before is no reason for the next one to fail.
func TestServerConnectsAgain(t *testing.T) {
	url := pgtest.Shared(t).URL("postgres")
	target, err := postgres.ParseTrusted(url, false)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := postgres.Connect(t.Context(), target, postgres.Options{Idles: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{target: target, idle: []*postgres.Conn{conn}}
	rows, err := conn.Query(t.Context(), "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Do(t, url, "select pg_terminate_backend("+string(rows.Values[0][0])+", 60000)")
	used := 0
	for range 2 {
		if err := s.withScratch(t.Context(), "", func(postgres.Target) error { used++; return nil }); err != nil {
			t.Error(err)
		}
	}
	if used != 2 || len(s.idle) != 1 {
		t.Errorf("used %d times, and left %d connections", used, len(s.idle))
	}
	s.idle[0].Close()
}
