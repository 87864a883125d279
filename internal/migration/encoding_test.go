package migration_test

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// Files are UTF-8, whatever encoding the role, the database or the connection string has for clients.
func TestFilesAreUTF8(t *testing.T) {
	for name, c := range map[string]struct{ sql, parameter string }{
		"the role's": {sql: "alter role current_user set client_encoding = 'LATIN1'"},
		"the database's": {sql: "do $$ begin execute format('alter database %I set client_encoding = %L', " +
			"current_database(), 'LATIN1'); end $$"},
		"the connection string's": {sql: "select 1", parameter: "LATIN1"},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Database(t)
			pgtest.Do(t, url, c.sql)
			through := url
			if c.parameter != "" {
				through = withParameter(t, url, "client_encoding", c.parameter)
			}
			m := files(t, "1_a.sql", up("create table größe (name text); insert into größe values ('日本')"))
			if _, err := migrate(t.Context(), through, m, options()); err != nil {
				t.Fatal(err)
			}
			utf8 := withParameter(t, url, "client_encoding", "UTF8")
			servertest.Equal(t, "table", pgtest.Ask(t, utf8, "select name from größe"), []string{"日本"})
		})
	}
}
