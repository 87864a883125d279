package drizzletest

import (
	"context"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// processes are those that all tests of a package use. They end with the test binary, which holds their standard input.
var (
	mu        sync.Mutex
	processes = map[Line]*servertest.Shared[*Process]{}
)

// installTimeout bounds what takes seconds once a machine, and nothing afterwards.
const installTimeout = 5 * time.Minute

// Need ends the test where node or npm are missing. It is skipped, but in CI it fails.
func Need(t testing.TB) {
	t.Helper()
	err := Missing()
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("needs node and npm: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func installed(t testing.TB, line Line) string {
	t.Helper()
	Need(t)
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	dir, err := Install(ctx, line)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func shared(t testing.TB, line Line) *Process {
	t.Helper()
	Need(t)
	mu.Lock()
	one := processes[line]
	if one == nil {
		one = &servertest.Shared[*Process]{}
		processes[line] = one
	}
	mu.Unlock()
	p, err := one.Get(func() (*Process, error) {
		ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
		defer cancel()
		return Start(ctx, line)
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Migrate runs drizzle-orm's migrate() of a line. The error is an [*Error] if it is drizzle's.
func Migrate(t testing.TB, line Line, m Migration) error {
	t.Helper()
	for i, text := range m.URLs {
		m.URLs[i] = plain(t, text)
	}
	_, err := shared(t, line).Migrate(t.Context(), m)
	return err
}

// plain is a connection string of pgtest without TLS, on which the server does not insist: node would refuse the
// certificate.
func plain(t testing.TB, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal("a connection string is not a URL")
	}
	u.RawQuery = "sslmode=disable"
	return u.String()
}

// Rows are those of a record that drizzle or this project wrote, in the order of their ids, as JSON. Only whether there
// is an applied_at is told.
func Rows(t testing.TB, url, table string) []string {
	t.Helper()
	return pgtest.Ask(t, url, `select (to_jsonb(m) || case when to_jsonb(m) ? 'applied_at' then jsonb_build_object(
		'applied_at', to_jsonb(m) ->> 'applied_at' is not null) else '{}' end)::text from `+table+` m order by id`)
}
