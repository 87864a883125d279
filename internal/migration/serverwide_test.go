package migration_test

import "testing"

func TestServerWide(t *testing.T) {
	m := files(t, "001_a.sql", up("create table a (role text); create user mapping for current_user server s;"),
		"002_b.sql", up("select 1; CREATE  ROLE app;"), "003_c.sql", up("alter system set work_mem = '1MB';"))
	for _, c := range []struct {
		names []string
		path  string
		what  string
	}{
		{[]string{"001_a.sql"}, "", ""},
		{[]string{"001_a.sql", "002_b.sql", "003_c.sql"}, "db/migrations/002_b.sql", "CREATE ROLE"},
		{[]string{"003_c.sql"}, "db/migrations/003_c.sql", "ALTER SYSTEM"},
	} {
		path, what, ok := m.ServerWide(c.names)
		if path != c.path || what != c.what || ok != (c.path != "") {
			t.Errorf("%v: %q, %q, %t", c.names, path, what, ok)
		}
	}
}
