package action

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// The tenants' data is nobody's business, whatever a query makes of it.
const owner = "ana@example.com"

// checked has what a query could tell of a tenant or do to the server.
const checked = `create table users (email text); insert into users values ('` + owner + `'), ('` + owner + `');
	create table hidden (id int); insert into hidden values (1); alter table hidden enable row level security;
	alter table hidden force row level security;
	create function shout() returns bool language plpgsql as $f$ declare e text := (select email from users limit 1);
		begin raise notice 'notice %', e; raise warning 'warning %', e; return true; end $f$;
	create function tell() returns bool language plpgsql as $f$ begin
		raise exception using errcode = '42000', message = (select email from users limit 1); end $f$;
	create function seize() returns bool language plpgsql as $f$ begin
		perform set_config('transaction_read_only', 'off', true);
		create role neon_tenants_seized; return true; end $f$`

// Whatever check-sql does to the server, it is read-only, and whatever it finds, nothing of that is shown.
func TestCheckSQL(t *testing.T) {
	s, on := newDrillSite(t, checked), verifier(t)
	for query, says := range map[string]string{
		"select count(*) = 50 from orders": "", "-- all\nwith u as (table users) select count(*) = 2 from u;": "",
		"values (true)": "", "select shout()": "",
		"select false":                                    "restores, but check-sql returned false",
		"select '" + owner + "'":                          "returned a value that is not a boolean",
		"select null::bool":                               "returned null",
		"select true where false":                         "returned no row",
		"select true, true":                               "returned 2 columns",
		"select email from users":                         "returned more than one row",
		"select generate_series(1, 10000000000) > 0":      "returned more than one row",
		"select bool_and(email::int > 0) from users":      "failed with SQLSTATE 22P02, a data exception",
		"select bool_and(email::regclass > 0) from users": "failed with SQLSTATE 3F000",
		"select tell()":                                   "failed with SQLSTATE 42000",
		"select nobody from users":                        `failed: column "nobody" does not exist (SQLSTATE 42703)`,
		"with x as (insert into users values ('x') returning true) select true from x": "in a read-only transaction " +
			"(SQLSTATE 25006)",
		"select seize()": "failed with SQLSTATE 25",
	} {
		o := s.run(t, t.Context(), s.drillInputs(on, "check-sql="+query)...)
		o.hides(t, owner)
		if says != "" {
			o.counts(t, 0, 0, 1, 0)
			o.says(t, says)
			continue
		}
		o.counts(t, 1, 0, 0, 0)
		if p := s.proof(t, s.key); p.CheckSQL != sum([]byte(query)) {
			t.Errorf("%s: the proof is %+v", query, p)
		}
	}
	same(t, "roles", column(t, on, "select rolname from pg_roles where rolname = 'neon_tenants_seized'"), []string{})
	same(t, "left behind", scratchesOf(t, on), []string{})
}

// A role that policies apply to is told so, and does not see a part of the rows.
func TestCheckSQLUnderPolicies(t *testing.T) {
	s, on := newDrillSite(t, checked), pgtest.Database(t)
	role := pgtest.Identifier(column(t, on, "select current_user")[0])
	column(t, superuserURL(t, "postgres"), "alter role "+role+" createdb")
	o := s.run(t, t.Context(), s.drillInputs(on, "check-sql=select count(*) = 0 from hidden")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, `failed: query would be affected by row-level security policy for table "hidden" (SQLSTATE 42501)`)
}

// What is no query, and the inputs that would prove the same tenants every time, are mistakes before the first call.
func TestDrillMistakes(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	const seize = "do $$ begin perform set_config('default_transaction_read_only', 'off', false); commit; " +
		"create role neon_tenants_seized; end $$"
	for _, query := range []string{
		seize, "select true; select true", "delete from users returning true", "-- select", ";",
	} {
		o := f.run(t, t.Context(), v.drillInputs(pgtest.Shared(t).URL("postgres"), "check-sql="+query)...)
		o.says(t, "input check-sql: has to be one query that begins with select, with, values or table")
	}
	o := f.run(t, t.Context(), v.drillInputs(pgtest.Shared(t).URL("postgres"), "canary=1", "waves=1, 100%",
		"wave-pause=1m")...)
	o.says(t, "3 mistakes in the inputs")
	for _, name := range []string{"canary", "waves", "wave-pause"} {
		if !strings.Contains(o.log, name+": has no meaning in mode verify-backups") {
			t.Errorf("%s is taken: %s", name, o.log)
		}
	}
	same(t, "roles", column(t, superuserURL(t, "postgres"),
		"select rolname from pg_roles where rolname = 'neon_tenants_seized'"), []string{})
}
