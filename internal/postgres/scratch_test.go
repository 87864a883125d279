package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// scratchServer is a server on which a role of its own may create databases, and the role's connection string.
func scratchServer(t *testing.T) (server postgres.Target, url, role string) {
	t.Helper()
	url = pgtest.Database(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	role = pgtest.Identifier(config.User)
	if err := pgtest.Shared(t).Exec(t.Context(), "postgres", "alter role "+role+" createdb"); err != nil {
		t.Fatal(err)
	}
	if server, err = postgres.ParseTrusted(url, false); err != nil {
		t.Fatal(err)
	}
	return server, url, role
}

func isGone(t *testing.T, url, name string) {
	t.Helper()
	servertest.Equal(t, "left", pgtest.Ask(t, url, "select datname::text from pg_database where datname = "+
		pgtest.Literal(name)), []string{})
}

// A throwaway database is dropped though a process is in it that its role may not end, as autovacuum's at any moment.
// Here it is a session of another role, which ends a little later.
func TestScratchDatabaseWithAnotherRolesProcess(t *testing.T) {
	t.Parallel()
	server, own, _ := scratchServer(t)
	other := pgtest.Database(t)
	var name string
	err := postgres.WithScratchDatabase(t.Context(), server, "", func(scratch postgres.Target) error {
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
	isGone(t, own, name)
}

// A cancelled run drops its throwaway database on a server that has no room for one more connection.
func TestScratchDatabaseWithoutAnotherConnection(t *testing.T) {
	t.Parallel()
	server, url, role := scratchServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	var name string
	err := postgres.WithScratchDatabase(ctx, server, "", func(scratch postgres.Target) error {
		name = scratch.Database()
		cancel()
		return pgtest.Shared(t).Exec(t.Context(), "postgres", "alter role "+role+" connection limit 1")
	})
	// A session that was closed counts on the server for a moment longer.
	if err := errors.Join(err, pgtest.Shared(t).Exec(t.Context(), "postgres", "alter role "+role+
		" connection limit -1")); err != nil {
		t.Error(err)
	}
	isGone(t, url, name)
}

// If the connection that made it is gone, another drops it.
func TestScratchDatabaseWhoseConnectionIsGone(t *testing.T) {
	t.Parallel()
	server, url, _ := scratchServer(t)
	var name string
	err := postgres.WithScratchDatabase(t.Context(), server, "", func(scratch postgres.Target) error {
		name = scratch.Database()
		pgtest.Do(t, url, "select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user "+
			"and pid <> pg_backend_pid()")
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	isGone(t, url, name)
}

// Throwaway databases of runs that were killed are dropped a day later. Younger ones, other roles', those in use and
// those that only look alike stay.
func TestScratchDatabasesOfKilledRuns(t *testing.T) {
	t.Parallel()
	server, url, _ := scratchServer(t)
	_, other, _ := scratchServer(t)
	now, err := strconv.ParseInt(pgtest.Ask(t, url, "select extract(epoch from now())::bigint::text")[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	name := func(age time.Duration) string { // by the server's clock, which decides
		return fmt.Sprintf("neon_tenants_scratch_%d_%s", now-int64(age.Seconds()), strings.ToLower(rand.Text()[:16]))
	}
	old, used, young, theirs := name(25*time.Hour), name(48*time.Hour), name(23*time.Hour), name(48*time.Hour)
	alike := "neon_tenants_scratch_" + strings.ToLower(rand.Text()[:16])
	for database, owner := range map[string]string{old: url, used: url, young: url, alike: url, theirs: other} {
		pgtest.Do(t, owner, "create database "+database+" template template0")
		t.Cleanup(func() {
			_ = pgtest.Shared(t).Exec(context.Background(), "postgres", "drop database if exists "+database+" with (force)")
		})
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.Database = used
	session, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close(context.Background()) }()
	err = postgres.WithScratchDatabase(t.Context(), server, "", func(postgres.Target) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	isGone(t, url, old)
	for _, database := range []string{used, young, alike, theirs} {
		servertest.Equal(t, "kept", pgtest.Ask(t, url, "select datname::text from pg_database where datname = "+
			pgtest.Literal(database)), []string{database})
	}
}
