package migration_test

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// What every schema's file creates if it does not exist, two workers may create at the same moment. The second meets
// the first in the server's own catalog, and finds the object there when it tries again.
func TestCreatedByTwoAtOnce(t *testing.T) {
	for name, sql := range map[string]string{
		"an extension":          "create extension if not exists citext schema public",
		"a table":               "create table if not exists public.shared (i int)",
		"a function's new body": "create or replace function public.f() returns int language sql return 2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, "create function public.f() returns int language sql return 1")
			holder := pgtest.Session(t, url)
			holder("begin; " + sql)
			done := make(chan error, 1)
			m := files(t, "1_a.sql", up(sql))
			go func() {
				_, err := migrate(t.Context(), url, m, options())
				done <- err
			}()
			servertest.WaitFor(t, func() bool {
				return len(pgtest.Ask(t, url, "select 1::text from pg_stat_activity where datname = current_database() "+
					"and wait_event_type = 'Lock'")) > 0
			})
			holder("commit")
			if err := <-done; err != nil {
				t.Error(err)
			}
			servertest.Equal(t, "recorded", recorded(t, url), []string{"1"})
		})
	}
}
