package migration_test

import (
	"fmt"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// The other tests use the newest server that is installed; this one goes from empty to unchanged on each.
func TestEveryServerVersion(t *testing.T) {
	for _, version := range pgtest.Versions() {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			server, err := pgtest.Start(t.Context(), pgtest.Options{Version: version})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Stop() })
			url, err := server.CreateTenant(t.Context(), "tenant", "p@ss:/%word", "tenant")
			if err != nil {
				t.Fatal(err)
			}
			m := files(t,
				"1_a.sql", up("create table a (i int primary key);\ninsert into a values (1)"),
				"2_b.sql", alone("create index concurrently on a (i)"),
				"3_bad.sql", up("insert into a values (1)"))
			got, err := migrate(t.Context(), url, m, options())
			if err == nil {
				t.Error("no error")
			}
			servertest.Equal(t, "applied", appliedFiles(got), []string{"1_a.sql", "2_b.sql"})
			servertest.Equal(t, "recorded", recorded(t, url), []string{"1", "2"})
			m = files(t, "1_a.sql", up("select 1"), "2_b.sql", up("select 1"))
			got, err = migrate(t.Context(), url, m, options())
			if err != nil || len(got.Applied) > 0 || got.After != "2" {
				t.Errorf("again: %+v, %v", got, err)
			}
		})
	}
}
