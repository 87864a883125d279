package postgres_test

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// An extension may be in a schema that is missing, or in one of the system's, which nobody may create.
func TestCreateExtensions(t *testing.T) {
	url, _ := superuserDatabase(t)
	target, err := postgres.ParseTarget(url, false)
	if err != nil {
		t.Fatal(err)
	}
	own, _ := pgtest.Extension(t, "create type kind as enum ('a')")
	systems, _ := pgtest.Extension(t, "create function pgtest_f() returns int language sql as 'select 1'")
	missing, err := postgres.CreateExtensions(t.Context(), target, []postgres.Extension{
		{Name: own, Schema: "Tools"}, {Name: "none_such", Schema: "public"}, {Name: systems, Schema: "pg_catalog"},
	})
	if err != nil || len(missing) != 1 {
		t.Errorf("missing %v, error %v", missing, err)
	}
}
