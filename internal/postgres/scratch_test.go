package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A throwaway database is dropped though a process is in it that its role may not end, as autovacuum's at any moment.
// Here it is a session of another role, which ends a little later.
func TestScratchDatabaseWithAnotherRolesProcess(t *testing.T) {
	t.Parallel()
	own, other := pgtest.Database(t), pgtest.Database(t)
	config, err := pgx.ParseConfig(own)
	if err != nil {
		t.Fatal(err)
	}
	if err := pgtest.Shared(t).Exec(t.Context(), "postgres",
		"alter role "+pgtest.Identifier(config.User)+" createdb"); err != nil {
		t.Fatal(err)
	}
	server, err := postgres.ParseTrusted(own, false)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	err = postgres.WithScratchDatabase(t.Context(), server, "", func(scratch postgres.Target) error {
		name = scratch.Database()
		theirs, err := pgx.ParseConfig(other)
		if err != nil {
			return err
		}
		theirs.Database = name
		session, err := pgx.ConnectConfig(t.Context(), theirs)
		if err != nil {
			return err
		}
		time.AfterFunc(300*time.Millisecond, func() { _ = session.Close(context.Background()) })
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	servertest.Equal(t, "left", pgtest.Ask(t, own, "select datname::text from pg_database where datname = "+
		pgtest.Literal(name)), []string{})
}
