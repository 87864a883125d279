package neontest_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

// Neon's proxy makes process ids up, as a pooler does, but the sessions behind it are the client's own: a session lock
// is taken in the very message that reads the versions, over one connection.
func TestALockThroughTheProxy(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{AllowedIPs: []string{"127.0.0.1"}})
	direct := uri(t, s, p.ID, "")
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	distant, err := wiretest.NewProxy(u.Host, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(distant.Close)
	through, err := distant.URL(direct)
	if err != nil {
		t.Fatal(err)
	}
	target, err := postgres.ParseTarget(through, false)
	if err != nil {
		t.Fatal(err)
	}
	versions, err := postgres.ParseTable("schema_migrations")
	if err != nil {
		t.Fatal(err)
	}
	var seen []wiretest.Traffic
	for _, lock := range []postgres.Lock{postgres.NoLock, postgres.SharedLock, postgres.ExclusiveLock} {
		distant.Reset()
		c, err := postgres.Connect(t.Context(), target, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		status, err := postgres.ReadStatus(t.Context(), c, postgres.Ledger{Table: versions}, lock)
		if err != nil || status.Locked != (lock != postgres.NoLock) {
			t.Errorf("locked: %v, %v", status.Locked, err)
		}
		seen = append(seen, distant.Traffic())
		c.Close()
	}
	if seen[0] != seen[1] || seen[0] != seen[2] || seen[0].Connections != 1 {
		t.Errorf("without the lock, sharing it and alone: %+v", seen)
	}
}

// The proxy drops settings that are parameters of their own, and passes those in options on.
func TestAnEmptySearchPathThroughTheProxy(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{AllowedIPs: []string{"127.0.0.1"}})
	through := uri(t, s, p.ID, "")
	if got := mustQuery(t, through+"&work_mem=5MB", "show work_mem"); got == "5MB" {
		t.Errorf("work_mem is passed on")
	}
	target, err := postgres.ParseTarget(through+"&search_path=public", false)
	if err != nil {
		t.Fatal(err)
	}
	c, err := postgres.Connect(t.Context(), target, postgres.Options{NoSearchPath: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		answers, err := c.Results(t.Context(), "show search_path")
		if err != nil {
			t.Fatal(err)
		}
		if got := string(answers[0][0][0]); got != "" {
			t.Errorf("the search_path is %q", got)
		}
		c.Reset(t.Context())
	}
}
