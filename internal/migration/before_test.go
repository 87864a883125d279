package migration_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// Before is called once, while nobody else can migrate and before anything is changed; never if nothing is pending.
func TestBefore(t *testing.T) {
	three := files(t, "001_a.sql", up("create table a ()"), "002_b.sql", up("create table b ()"),
		"003_c.sql", up("create table c ()"))
	first, _ := three.UpTo("001")
	var seen [][]string
	watching := func(o migration.Options, url string, failed error) migration.Options {
		o.Before = func(_ context.Context, c *postgres.Conn, s postgres.Status) error {
			seen = append(seen, slices.Sorted(maps.Keys(s.Versions)))
			if holder, _ := postgres.LockHolder(t.Context(), c, o.Table.In("public").Table); holder == "" {
				t.Error("the lock is not held")
			}
			servertest.Equal(t, "tables", pgtest.Ask(t, url,
				"select relname::text from pg_class where relname in ('b', 'c')"), []string{})
			return failed
		}
		return o
	}

	url := pgtest.Database(t)
	if _, err := migrate(t.Context(), url, first, watching(options(), url, nil)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no room")
	got, err := migrate(t.Context(), url, three, watching(options(), url, broken))
	if !errors.Is(err, broken) || len(got.Applied) > 0 || len(got.Pending) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	servertest.Equal(t, "after a failure", recorded(t, url), []string{"001"})
	dry := watching(options(), url, nil)
	dry.DryRun = true
	for _, o := range []migration.Options{dry, watching(options(), url, nil), watching(options(), url, broken)} {
		if _, err := migrate(t.Context(), url, three, o); err != nil {
			t.Error(err)
		}
	}
	servertest.Equal(t, "calls", seen, [][]string{nil, {"001"}, {"001"}})

	t.Run("before a baseline is recorded", func(t *testing.T) {
		url := pgtest.Database(t)
		seen = nil
		if _, err := migrate(t.Context(), url, three, watching(adopting("002", nil), url, broken)); !errors.Is(err, broken) {
			t.Error(err)
		}
		servertest.Equal(t, "table", pgtest.Ask(t, url, "select (to_regclass('schema_migrations') is null)::text"),
			[]string{"true"})
		if _, err := migrate(t.Context(), url, three, watching(adopting("002", nil), url, nil)); err != nil {
			t.Error(err)
		}
		servertest.Equal(t, "calls", seen, [][]string{nil, nil})
	})
}
