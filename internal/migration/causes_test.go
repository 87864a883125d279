package migration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// What the server lacks is not blamed on the file. These errors are raised, as nothing here can fill a server's disk.
func TestWhatTheServerLacks(t *testing.T) {
	for code, cause := range map[string]postgres.Cause{
		"53100": migration.DiskFull, "53200": migration.LimitReached, "53400": migration.LimitReached,
		"25006": migration.ReadOnly, "42501": migration.PrivilegeMissing, "P0001": migration.RolledBack,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			sql := "create table a ();\ndo $$ begin\n  raise exception 'no' using errcode = '" + code + "';\nend $$"
			_, err := migrate(t.Context(), url, files(t, "1_a.sql", up(sql)), options())
			if causeOf(t, err) != cause || !strings.Contains(remedies.Of(err), "rolled back") ||
				!strings.HasPrefix(err.Error(), "db/migrations/1_a.sql:4:3: no (SQLSTATE "+code+")") {
				t.Errorf("%v, %s", err, remedies.Of(err))
			}
			servertest.Equal(t, "tables", pgtest.Relations(t, url), []string{})
		})
	}
}

func TestTableThatStaysLocked(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create table a ()")
	holder := pgtest.Session(t, url)
	holder("begin; lock table a")
	o := options()
	o.StatementLockTimeout = 20 * time.Millisecond
	_, err := migrate(t.Context(), url, files(t, "1_a.sql", up("select 1;\nalter table a add i int")), o)
	if causeOf(t, err) != migration.TableLocked ||
		!strings.HasPrefix(err.Error(), "db/migrations/1_a.sql:3:1: canceling") {
		t.Errorf("got %v", err)
	}
}

// A file is not blamed for the table of versions that cannot be created before it.
func TestRecordThatMayNotBeCreated(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Do(t, url, "revoke create on schema public from public, pg_database_owner")
	_, err := migrate(t.Context(), url, files(t, "1_a.sql", up("select 1")), options())
	if causeOf(t, err) != migration.PrivilegeMissing || !strings.HasPrefix(err.Error(), "db/migrations/1_a.sql: the "+
		`table of versions, "public"."schema_migrations", could not be created: permission denied for schema public`) {
		t.Errorf("got %v", err)
	}
}

// The message of a record that may not be written names the table.
func TestRecordThatMayNotBeWritten(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create table schema_migrations (version varchar); "+
		"revoke insert on schema_migrations from current_user")
	_, err := migrate(t.Context(), url, files(t, "1_a.sql", up("create table a ()")), options())
	const want = `db/migrations/1_a.sql: its version could not be recorded in "public"."schema_migrations": ` +
		"permission denied"
	if causeOf(t, err) != migration.PrivilegeMissing || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	pgtest.Do(t, url, "grant insert on schema_migrations to current_user; "+
		"revoke select on schema_migrations from current_user")
	_, err = migrate(t.Context(), url, files(t, "1_a.sql", up("create table a ()")), options())
	if !strings.Contains(remedies.Of(err), "grant it select and insert") {
		t.Errorf("unreadable: %v, %s", err, remedies.Of(err))
	}
}
