package migration_test

import (
	"errors"
	"testing"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A run through a pooler in transaction mode changes nothing, whether anything is pending or not, and the next run,
// over a direct connection, does not wait for it. In session mode a run does its work.
func TestPoolers(t *testing.T) {
	url := pgtest.Database(t)
	m := files(t, "1_a.sql", up("create table a ()"))
	transactions, sessions := pgtest.PgBouncer(t, url, "transaction"), pgtest.PgBouncer(t, url, "session")
	refused := func(m *migration.Files, o migration.Options) {
		t.Helper()
		done, err := migrate(t.Context(), transactions, m, o)
		var pooler *postgres.TransactionPoolerError
		if !errors.As(err, &pooler) || len(done.Applied) > 0 {
			t.Errorf("applied %v, %v", done.Applied, err)
		}
	}
	refused(m, options())
	o := options()
	o.LockTimeout = 0
	done, err := migrate(t.Context(), url, m, o)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "applied", len(done.Applied), 1)
	refused(m, options())
	refused(journaled(t, []any{10, "a", 30, "b", 20, "c"}, "", "", ""), drizzle())
	m = files(t, "1_a.sql", up("create table a ()"), "2_b.sql", up("create table b ()"))
	done, err = migrate(t.Context(), sessions, m, o)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "applied in session mode", len(done.Applied), 1)
}
