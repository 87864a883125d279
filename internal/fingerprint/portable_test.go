package fingerprint_test

import (
	"context"
	"crypto/rand"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// unportable is what a dump does not carry, or what is printed otherwise for another name, owner or locale. {own} is
// the database's name and that of a role, {owner} its owner's.
const unportable = `
	create table accounts (id integer primary key, name text);
	insert into accounts values (1, 'a'), (2, 'a');
	create unique index accounts_name on accounts (name) where id < 2;
	update pg_index set indisvalid = false where indexrelid = 'accounts_name'::regclass;
	create table payments (account integer references accounts, own text);
	alter table payments disable trigger all;
	alter table accounts disable trigger all;
	create function of_own() returns text language sql set search_path = {own} as 'select 1::text';
	create function as_own() returns text language sql set application_name = '{own}' as 'select 1::text';
	select set_config('search_path', '"app" , $user, Other', true);
	create function public.searches() returns text language sql set search_path from current as 'select 1::text';
	set search_path = public;
	create trigger payments_touch before update on payments for each row execute function touch('{own}', '');
	alter table payments enable row level security;
	alter table payments owner to {owner};
	create policy owners on payments to {owner}, {own};
	create policy sessions on payments to current_user;
	create policy everyone on payments using (own = current_database());
	create view options with (check_option = local, security_barrier) as select * from payments where own <> 'x';
	create collation c_sorted (locale = 'C');
	create foreign data wrapper {own};
	create server {own} foreign data wrapper {own} options (dbname '{own}');
	create foreign table far_away (a integer) server {own} options (schema_name '{own}');
	create publication {own} for table accounts;
	create schema {own} authorization {owner};
	create table {own}.things (id integer);
	create extension citext schema {own};
`

// What was dumped is the same where nothing but the dump is: in a database of another name, owner, locale and encoding,
// loaded by another role.
func TestPortableFingerprintOutlivesAMove(t *testing.T) {
	corpus, err := os.ReadFile("testdata/corpus.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, major := range pgtest.Versions() {
		t.Run(strconv.Itoa(major), func(t *testing.T) {
			s := serverOf(t, major)
			name := strings.ToLower("test_" + rand.Text()[:12])
			owner, mover := name+"_owner", name+"_mover"
			do(t, s, "create database "+name+" template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'",
				"create role "+name, "create role "+owner, "create role "+mover+" superuser login password 'm'",
				"alter database "+name+" owner to "+owner)
			t.Cleanup(func() {
				_ = s.Exec(context.Background(), "postgres", "drop database "+name+" with (force)",
					"drop role "+name, "drop role "+owner)
			})
			built := s.URL(name)
			pgtest.Do(t, built, string(corpus)+strings.NewReplacer("{owner}", owner, "{own}", name).Replace(unportable))

			to := databaseOf(t, s, mover, "m")
			dumpAndLoad(t, s, built, to)
			sameSchemas(t, "moved", built, to, fingerprint.Options{Portable: true})
			f, before := look(t, built, fingerprint.Options{})
			moved, after := look(t, to, fingerprint.Options{})
			if f.Hash == moved.Hash {
				t.Error("without Portable the two are equal")
			}
			diff := strings.Join(fingerprint.Diff(before, after), "\n")
			for _, want := range []string{
				"database locale", "index accounts_name", "not checked", "of_own", "as_own", "searches", "owners",
				"sessions", "payments_touch", "server", "view options", "collation c_sorted",
			} {
				if !strings.Contains(diff, want) {
					t.Errorf("%q is no difference without Portable in\n%s", want, diff)
				}
			}
		})
	}
}

// A schema's dump leaves out what is around the schema, even if the fingerprint of a tenant that is a schema has it.
func TestPortableFingerprintOfASchema(t *testing.T) {
	s := pgtest.Shared(t)
	corpus, err := os.ReadFile("testdata/corpus.sql")
	if err != nil {
		t.Fatal(err)
	}
	built, to := newDatabase(t, s, "built"), newDatabase(t, s, "moved")
	buildSchema(t, built, "tenant", string(corpus)+`
		create function of_own() returns text language sql set search_path = tenant, pg_catalog as 'select 1::text';
		create extension citext schema tenant;
		create publication feed for table customers`)
	dumpAndLoad(t, s, built, to, "--schema", "tenant")
	sameSchemas(t, "moved", built, to, fingerprint.Options{Schema: "tenant", Portable: true})
	f, _ := look(t, built, fingerprint.Options{Schema: "tenant"})
	if moved, _ := look(t, to, fingerprint.Options{Schema: "tenant"}); f.Hash == moved.Hash {
		t.Error("without Portable the two are equal")
	}
}

func do(t *testing.T, s *pgtest.Server, statements ...string) {
	t.Helper()
	if err := s.Exec(t.Context(), "postgres", statements...); err != nil {
		t.Fatal(err)
	}
}

// databaseOf creates an empty database of a role that connects to it. Both are dropped when the test ends.
func databaseOf(t *testing.T, s *pgtest.Server, role, password string) string {
	t.Helper()
	do(t, s, "create database "+role+" template template0 owner "+role)
	t.Cleanup(func() {
		_ = s.Exec(context.Background(), "postgres", "drop database "+role+" with (force)", "drop role "+role)
	})
	return s.TenantURL(role, password, role)
}
