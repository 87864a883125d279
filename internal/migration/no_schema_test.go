package migration_test

import (
	"errors"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// A search_path on which no schema exists is an error at once: there is no table of versions whose lock could be taken.
func TestNoSchemaOnThePath(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, "drop schema public")
	_, err := migrate(t.Context(), url, files(t, "1_a.sql", up("create table a ()")), options())
	var table *postgres.TableError
	if !errors.As(err, &table) || table.Cause != postgres.NoSchema {
		t.Errorf("got %v", err)
	}
}
