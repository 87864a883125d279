package migration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// adopting are options with a baseline; check may be nil.
func adopting(version string, check func(context.Context, *postgres.Conn) error) migration.Options {
	o := options()
	if check == nil {
		check = func(context.Context, *postgres.Conn) error { return nil }
	}
	o.Baseline = &migration.Baseline{Version: version, Check: check}
	return o
}

func TestBaseline(t *testing.T) {
	three := files(t, "001_a.sql", up("create table a ()"), "002_b.sql", up("create table b ()"),
		"003_c.sql", up("create table c ()"))
	t.Run("recorded and gone on from", func(t *testing.T) {
		url := pgtest.Database(t)
		o := adopting("002", nil)
		o.Strict = true
		got, err := migrate(t.Context(), url, three, o)
		if err != nil || got.Before != "" || got.After != "003" || len(got.OutOfOrder) > 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		servertest.Equal(t, "recorded", got.Recorded, []string{"001_a.sql", "002_b.sql"})
		servertest.Equal(t, "applied", appliedFiles(got), []string{"003_c.sql"})
		servertest.Equal(t, "versions", recorded(t, url), []string{"001", "002", "003"})
		servertest.Equal(t, "tables", pgtest.Ask(t, url,
			"select relname::text from pg_class where relname in ('a', 'b', 'c')"), []string{"c"})
	})
	t.Run("a dry run", func(t *testing.T) {
		url := pgtest.Database(t)
		o := adopting("003", func(context.Context, *postgres.Conn) error { return errors.New("asked") })
		o.DryRun = true
		got, err := migrate(t.Context(), url, three, o)
		if err != nil || len(got.Recorded) != 3 || len(got.Pending) > 0 {
			t.Errorf("%+v, %v", got, err)
		}
		servertest.Equal(t, "table", pgtest.Ask(t, url, "select (to_regclass('schema_migrations') is null)::text"),
			[]string{"true"})
	})
	t.Run("what has a record is asked for none", func(t *testing.T) {
		url := pgtest.Database(t)
		if _, err := migrate(t.Context(), url, three, options()); err != nil {
			t.Fatal(err)
		}
		got, err := migrate(t.Context(), url, three, adopting("002", func(context.Context, *postgres.Conn) error {
			return errors.New("asked")
		}))
		if err != nil || len(got.Recorded) > 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		url, refused := pgtest.Database(t), errors.New("another schema")
		_, err := migrate(t.Context(), url, three, adopting("002", func(context.Context, *postgres.Conn) error {
			return refused
		}))
		if !errors.Is(err, refused) {
			t.Error(err)
		}
		servertest.Equal(t, "relations", pgtest.Ask(t, url, "select relname::text from pg_class where relnamespace = "+
			"'public'::regnamespace"), []string{})
	})
}

// Of two runs at once one records the baseline, under the lock, and the other finds it.
func TestBaselineOfTwoRuns(t *testing.T) {
	url := pgtest.Database(t)
	one := files(t, "001_a.sql", up("create table a ()"))
	checking, checked := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := migrate(t.Context(), url, one, adopting("001", func(context.Context, *postgres.Conn) error {
			close(checking)
			<-checked
			return nil
		}))
		first <- err
	}()
	<-checking
	o := adopting("001", func(context.Context, *postgres.Conn) error { return errors.New("both check") })
	o.LockTimeout = time.Minute
	second := make(chan error, 1)
	go func() {
		_, err := migrate(t.Context(), url, one, o)
		second <- err
	}()
	close(checked)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
	servertest.Equal(t, "versions", recorded(t, url), []string{"001"})
}

// A shared connection is left as the next schema must find it, whether something was pending after the baseline or not.
func TestBaselineOfSchemas(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create schema acme; create schema umbra")
	two := files(t, "001_a.sql", up("create table a ()"), "002_b.sql", up("create table b ()"))
	c, err := connect(t.Context(), url, postgres.Options{NoSearchPath: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for schema, version := range map[string]string{"acme": "001", "umbra": "002"} {
		o := adopting(version, nil)
		o.Schema = schema
		if _, err := migration.Migrate(t.Context(), c, two, o); err != nil {
			t.Error(err)
		}
		locks, err := c.Results(t.Context(), "select count(*) from pg_locks where locktype = 'advisory' and pid = "+
			"pg_backend_pid(); select pg_catalog.current_setting('search_path')")
		if err != nil || string(locks[0][0][0]) != "0" || string(locks[1][0][0]) != "" {
			t.Errorf("%s: %q, %v", schema, locks, err)
		}
	}
	servertest.Equal(t, "tables", pgtest.Ask(t, url, "select schemaname || '.' || tablename from pg_tables where "+
		"schemaname in ('acme', 'umbra') order by 1"),
		[]string{"acme.b", "acme.schema_migrations", "umbra.schema_migrations"})
}
