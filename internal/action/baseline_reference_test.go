package action

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// A file after the baseline may make what a whole server has once: it does so when the tenants are migrated, and not
// before, whether or not there is a tenant of another version.
func TestBaselineBeforeAFileThatMakesARole(t *testing.T) {
	f := newFleet(t, named("acme", "behind")...)
	acme, behind := f.projects[0], f.projects[1]
	superuser := superuserURL(t, query(t, acme, "select current_database()"))
	role := pgtest.Identifier("made by " + query(t, acme, "select current_database()"))
	defer column(t, superuser, "drop role if exists "+role)
	column(t, superuser, "alter role "+query(t, acme, "select quote_ident(current_user)")+" createrole")
	query(t, acme, byHand(t, 3))
	query(t, behind, byHand(t, 1))
	f.write(t, "20250101090300_role.sql", "create role "+role+";")
	o := f.run(t, t.Context(), "baseline="+third, "concurrency=1", "tenants=behind,acme")
	o.says(t, "its schema is that of the files up to 20250101090000, not up to "+third, "acme  3 recorded, 1 applied")
}

// Files that only change rows leave the schema of the file before them.
func TestBaselineAmongFilesThatChangeRows(t *testing.T) {
	f := newFleet(t, named("acme")...)
	query(t, f.projects[0], byHand(t, 2))
	f.write(t, "20250101090101_rows.sql", "update users set name = upper(name);")
	f.write(t, "20250101090102_rows.sql", "update users set name = lower(name);")
	o := f.run(t, t.Context(), "baseline="+third)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "its schema is that of the files up to any from "+second+" to 20250101090102, not up to "+third,
		"rows are not compared: give it as baseline the last of these versions whose data it has")
}

// The log ends after so many differences, and says so.
func TestBaselineWithManyDifferences(t *testing.T) {
	f := newFleet(t, named("acme")...)
	query(t, f.projects[0], byHand(t, 2)+`; do $$ begin for i in 1..130 loop
		execute 'create table more' || i || ' ()'; end loop; end $$`)
	o := f.run(t, t.Context(), "baseline="+second)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "schema: and 30 more", "its log has the first 100 lines of the differences")
}

// A role that may have two connections is enough for any number of tenants, which wait for the reference without one.
func TestBaselineWithFewConnections(t *testing.T) {
	e := newEstate(t, "acme", "umbra", "soylent", "initech", "hooli")
	e.createdb(t)
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"acme", "umbra", "soylent", "initech", "hooli"} {
		e.do(t, "set search_path = "+tenant+"; "+byHand(t, 2))
	}
	// Making the reference takes long enough for all tenants to be there.
	e.write(t, "20250101090099_slow.sql", "select pg_sleep(1);")
	limit := "alter role " + pgtest.Identifier(u.User.Username()) + " connection limit %d"
	if err := pgtest.Shared(t).Exec(t.Context(), "postgres", fmt.Sprintf(limit, 2)); err != nil {
		t.Fatal(err)
	}
	o := e.run(t, "baseline="+second, "concurrency=5", "tenant-timeout=60s")
	o.counts(t, 5, 0, 0, 0)
	if strings.Count(o.log, "connecting failed") > 3 {
		t.Error(o.log)
	}
	if err := pgtest.Shared(t).Exec(t.Context(), "postgres", fmt.Sprintf(limit, -1)); err != nil {
		t.Fatal(err)
	}
	same(t, "versions", e.do(t, "select count(*) from hooli.schema_migrations"), []string{"4"})
}

// A role's or a database's own search_path leads to the same schema in the throwaway database.
func TestBaselineWithASearchPath(t *testing.T) {
	for name, at := range map[string][2]string{ // the schema, and whose setting it is
		"role": {"own", "role"}, "database": {"own", "database"}, "odd": {`own \"place"`, "database"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, named("acme")...)
			acme := f.projects[0]
			schema, whose := pgtest.Identifier(at[0]), "role current_user"
			if at[1] == "database" {
				whose = "database " + pgtest.Identifier(query(t, acme, "select current_database()"))
			}
			query(t, acme, "create schema "+schema+"; alter "+whose+" set search_path = "+schema+", public")
			query(t, acme, byHand(t, 2))
			o := f.run(t, t.Context(), "baseline="+second)
			o.counts(t, 1, 0, 0, 0)
			o.says(t, "acme  2 recorded, 1 applied")
			same(t, "schemas", query(t, acme, "select string_agg(distinct schemaname, ' ') from pg_tables "+
				"where tablename in ('users', 'schema_migrations', 'tasks')"), at[0])
		})
	}
}

// Settings of the role and missing privileges are not the files' fault.
func TestBaselineThatTheServerRefuses(t *testing.T) {
	const nothing = "nothing was changed"
	for name, c := range map[string]struct {
		file, set string
		want      []string
	}{
		"read-only": {"select 1;", "alter role current_user set default_transaction_read_only = on", []string{
			"in a read-only transaction", "default_transaction_read_only", nothing,
		}},
		"timeout": {"select pg_sleep(case when current_database() ~ 'scratch' then 9 else 0 end);",
			"alter role current_user set statement_timeout = '3s'", []string{
				"canceling statement due to statement timeout", "alter role … set statement_timeout", nothing,
			}},
		"privilege": {"create extension if not exists pageinspect;", "", []string{
			"permission denied to create extension", "not trusted takes a superuser", nothing,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, named("acme")...)
			acme := f.projects[0]
			query(t, acme, byHand(t, 2))
			if c.set != "" {
				query(t, acme, c.set)
			}
			f.write(t, "20250101090099_more.sql", c.file)
			o := f.run(t, t.Context(), "baseline="+second)
			o.counts(t, 0, 0, 1, 0)
			o.says(t, c.want...)
			if strings.Contains(o.log, "correct the files") {
				t.Error(o.log)
			}
		})
	}
}
