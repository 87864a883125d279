package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// Whatever a session is first used for finds the settings made; in ReadStatus they cost no message of their own.
func TestLateSettings(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	status := func(lock postgres.Lock) func(c *postgres.Conn) error {
		return func(c *postgres.Conn) error {
			s, err := postgres.ReadStatus(ctx, c, dbmate("", "schema_migrations"), lock)
			if s.Locked != (lock != postgres.NoLock) {
				t.Errorf("the lock is held: %v", s.Locked)
			}
			return err
		}
	}
	for name, use := range map[string]func(*postgres.Conn) error{
		"a status":          status(postgres.NoLock),
		"a status and lock": status(postgres.SharedLock),
		"a message":         func(c *postgres.Conn) error { _, err := c.Exec(ctx, "select"); return err },
		"a query":           func(c *postgres.Conn) error { _, err := c.Query(ctx, "select"); return err },
		"a batch":           func(c *postgres.Conn) error { _, err := c.Batch(ctx, []string{"select"}); return err },
		"a write":           func(c *postgres.Conn) error { return refused(c.Exec(ctx, "create table t ()")) },
		"a batch that writes": func(c *postgres.Conn) error {
			return refused(c.Batch(ctx, []string{"create table t ()"}))
		},
		"rows": func(c *postgres.Conn) error {
			_, err := c.CopyFrom(ctx, "copy other from stdin", strings.NewReader("1\n"))
			return refused(nil, err)
		},
		"a reset":        func(c *postgres.Conn) error { c.Reset(ctx); return nil },
		"a failed query": func(c *postgres.Conn) error { _, _ = c.Query(ctx, "select 1 / 0"); return nil },
	} {
		for _, table := range []string{"", "create table schema_migrations (version varchar(128) primary key)"} {
			database := pgtest.Database(t)
			pgtest.Do(t, database, "create table other (i integer); "+table)
			conn, err := connect(ctx, database, postgres.Options{ReadOnly: true, LockTimeout: time.Second, Late: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := use(conn); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			servertest.Equal(t, name, settings(t, conn), []string{"neon-tenants-action", "on", "1s"})
			conn.Close()
		}
	}
}

// Nor does a lock that is asked for in the same message get lost where a pooler refused or dropped the session's mark.
func TestLateSettingsAndALockInAPool(t *testing.T) {
	t.Parallel()
	for _, more := range [][]string{nil, {"ignore_startup_parameters = options"}} {
		direct := pgtest.Database(t)
		pgtest.Do(t, direct, "create table schema_migrations (version varchar(128) primary key)")
		conn, err := connect(t.Context(), pgtest.PgBouncer(t, direct, "session", more...), postgres.Options{
			ReadOnly: true, LockTimeout: time.Second, Late: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s, err := postgres.ReadStatus(t.Context(), conn, dbmate("", "schema_migrations"), postgres.SharedLock)
		if !s.Locked || err != nil {
			t.Errorf("locked: %v, %v", s.Locked, err)
		}
		servertest.Equal(t, "locks", pgtest.Ask(t, direct, advisoryLocks), []string{"1"})
		servertest.Equal(t, "settings", settings(t, conn), []string{"neon-tenants-action", "on", "1s"})
	}
}

// Nothing of them is left in a session that may be another client's next: where a pooler refused the mark of a session,
// or dropped it.
func TestLateSettingsLeaveNothingInAPool(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, "create table schema_migrations (version varchar(128) primary key)")
	for _, more := range [][]string{nil, {"ignore_startup_parameters = options"}} {
		conn, err := connect(t.Context(), pgtest.PgBouncer(t, direct, "session", more...), postgres.Options{
			ReadOnly: true, LockTimeout: time.Second, Idles: true, Late: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		got, err := postgres.AfterStatus(t.Context(), conn, postgres.Table{Name: "schema_migrations"}, `select
			string_agg(name, ', ') from pg_settings where source = 'session' and name not like 'transaction\_%'
			and name <> 'application_name'`) // which PgBouncer sets
		if got != "" || err != nil {
			t.Errorf("set in the session: %s; %v", got, err)
		}
	}
}

// refused is nil if a write was refused.
func refused(_ any, err error) error {
	if postgres.HasCode(err, "25006") {
		return nil
	}
	return fmt.Errorf("a write: %w", err)
}

// The first message itself writes nothing, and does not wait for locks for long.
func TestLateSettingsHoldForTheFirstMessage(t *testing.T) {
	t.Parallel()
	ctx, database := t.Context(), pgtest.Database(t)
	pgtest.Do(t, database, `create table seen (); create function see() returns text language sql
		as $$ insert into seen default values; select '1' $$; create view schema_migrations as select see() as version`)
	read := func(o postgres.Options) error {
		conn, err := connect(ctx, database, o)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = postgres.ReadStatus(ctx, conn, dbmate("", "schema_migrations"), postgres.NoLock)
		return err
	}
	late := postgres.Options{ReadOnly: true, LockTimeout: 100 * time.Millisecond, Late: true}
	if err := read(late); !postgres.HasCode(err, "25006") {
		t.Errorf("a write: %v", err)
	}
	if err := read(postgres.Options{}); err != nil {
		t.Errorf("this test's table: %v", err)
	}
	pgtest.Session(t, database)("begin; lock table schema_migrations")
	if err := read(late); !postgres.Locked(err) {
		t.Errorf("a lock: %v", err)
	}
}
