package source

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

func TestAdopt(t *testing.T) {
	const record, other = "acme.schema_migrations", "table acme.users"
	recorded := func(versions ...string) postgres.Existing {
		return postgres.Existing{Record: record, Versions: versions, Other: other}
	}
	for name, c := range map[string]struct {
		holds postgres.Existing
		why   string // it is refused; empty: it is adopted
	}{
		"empty":                       {},
		"an empty record alone":       {holds: postgres.Existing{Record: record}},
		"the first of our files":      {holds: recorded("10")},
		"a part of them, in no order": {holds: recorded("20", "10")},
		"all of them":                 {holds: recorded("10", "20", "30")},
		"a part, and no object":       {holds: postgres.Existing{Record: record, Versions: []string{"10"}}},

		"something else": {holds: postgres.Existing{Other: other},
			why: "it holds something that no migration created: table acme.users"},
		"an empty record, and something else": {holds: recorded(),
			why: "it holds something that no migration created: table acme.users"},
		"another tool's table": {
			holds: postgres.Existing{Record: record, Foreign: `"acme"."r" has a column`},
			why:   `"acme"."r" has a column`},
		"another application's versions": {holds: recorded("11", "5"),
			why: "acme.schema_migrations records what no file in migrations-path has: version 11, 5"},
		"ours and another's": {holds: recorded("10", "99"),
			why: "acme.schema_migrations records what no file in migrations-path has: version 99"},
		"many of another's": {holds: recorded("1", "2", "3", "4", "5"),
			why: "acme.schema_migrations records what no file in migrations-path has: version 1, 2, 3 and 2 more"},
		"the same number in another form": {holds: recorded("010"),
			why: "acme.schema_migrations records what no file in migrations-path has: version 010"},
		"not from the beginning": {holds: recorded("20"),
			why: "acme.schema_migrations records later versions but not 10, so it is no beginning of the files in " +
				"migrations-path"},
		"a gap": {holds: recorded("10", "30"),
			why: "acme.schema_migrations records later versions but not 20, so it is no beginning of the files in " +
				"migrations-path"},
	} {
		e := existing{name: `the database has a schema "acme"`, list: "public.tracker", register: "list it", holds: c.holds}
		err := e.adopt([]string{"10", "20", "30"})
		switch {
		case c.why == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.why != "" && (err == nil ||
			err.Error() != `the database has a schema "acme" that public.tracker does not list, and `+c.why ||
			fleet.Remedy(err) != "choose another name; or, if it is that tenant's, list it"):
			t.Errorf("%s: got %v (%s)", name, err, fleet.Remedy(err))
		}
	}
}
