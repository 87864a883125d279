package postgres_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// existing are what a schema holds, made by SQL that names none.
var existing = map[string]struct {
	sql  string
	want postgres.Existing
}{
	"nothing":            {},
	"default privileges": {sql: "alter default privileges in schema x grant select on tables to public"},
	"dbmate's record": {sql: `create table schema_migrations (version varchar primary key);
		insert into schema_migrations values ('10'), ('20'); create table users (i serial primary key)`,
		want: postgres.Existing{Record: "x.schema_migrations", Versions: []string{"10", "20"}, Other: "table x.users"}},
	"an empty record": {sql: "create table schema_migrations (version varchar(255) primary key)",
		want: postgres.Existing{Record: "x.schema_migrations"}},
	"Ecto's record": {sql: `create table schema_migrations (version bigint primary key, inserted_at timestamp(0));
		insert into schema_migrations values (20190101000000, now())`,
		want: postgres.Existing{Record: "x.schema_migrations", Versions: []string{"20190101000000"}}},
	"golang-migrate's record": {sql: `create table schema_migrations (version bigint primary key, dirty boolean not null);
		insert into schema_migrations values (7, false)`,
		want: postgres.Existing{Record: "x.schema_migrations", Foreign: `"x"."schema_migrations" has a column "dirty", ` +
			"which must be filled and which dbmate does not know, so it is another tool's"}},
	"columns that fill themselves": {sql: `create table schema_migrations (version text, at date not null default now(),
			n int not null generated always as identity, m int not null generated always as (1) stored)`,
		want: postgres.Existing{Record: "x.schema_migrations", Other: "sequence x.schema_migrations_n_seq"}},
	"a table without versions": {sql: "create table schema_migrations (id int)",
		want: postgres.Existing{Record: "x.schema_migrations",
			Foreign: `"x"."schema_migrations" has no column version, so it is not dbmate's`}},
	"a table":    {sql: "create table users ()", want: postgres.Existing{Other: "table x.users"}},
	"a type":     {sql: "create type e as enum ()", want: postgres.Existing{Other: "type x.e"}},
	"a function": {sql: "create procedure p() language sql as ''", want: postgres.Existing{Other: "procedure x.p()"}},
	"an operator": {sql: "create operator === (leftarg = int, rightarg = int, function = int4eq)",
		want: postgres.Existing{Other: "operator x.===(integer,integer)"}},
	"a text search configuration": {sql: "create text search configuration c (parser = \"default\")",
		want: postgres.Existing{Other: "text search configuration x.c"}},
}

func TestExistingSchema(t *testing.T) {
	for name, e := range existing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, "create schema x; set search_path = x;"+e.sql)
			c := connectWithoutPath(t, url)
			for range 2 { // it leaves the session as it was
				got, err := c.ExistingSchema(t.Context(), dbmate("x", "schema_migrations"))
				if diff := cmp.Diff(e.want, got); diff != "" || err != nil || !c.Idle() {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			}
		})
	}
}

func dbmate(schema, name string) postgres.Ledger {
	return postgres.Ledger{Table: postgres.Table{Schema: schema, Name: name}}
}

func TestExistingDatabase(t *testing.T) {
	bare, qualified := dbmate("", "versions"), dbmate("odd Meta", "versions")
	for name, e := range map[string]struct {
		sql   string
		table postgres.Ledger
		want  postgres.Existing
	}{
		"nothing":  {table: bare},
		"a table":  {sql: "create table users ()", table: bare, want: postgres.Existing{Other: "table public.users"}},
		"a schema": {sql: "create schema s", table: bare, want: postgres.Existing{Other: "schema s"}},
		"a record": {sql: "create table versions (version text)", table: bare,
			want: postgres.Existing{Record: "public.versions"}},
		"elsewhere": {sql: "create schema s; create table s.versions (version text)", table: bare,
			want: postgres.Existing{Other: "schema s"}},
		"a record in a schema of its own": {
			sql:   `create schema "odd Meta"; create table "odd Meta".versions (version text)`,
			table: qualified, want: postgres.Existing{Record: `"odd Meta".versions`}},
		"a record and more": {sql: `create schema "odd Meta"; create table "odd Meta".versions (version text);
			insert into "odd Meta".versions values ('1'); create table "odd Meta".b ()`,
			table: qualified, want: postgres.Existing{
				Record: `"odd Meta".versions`, Versions: []string{"1"}, Other: `table "odd Meta".b`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, e.sql)
			c, err := connect(t.Context(), url, postgres.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			got, err := c.ExistingDatabase(t.Context(), e.table)
			if diff := cmp.Diff(e.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestExistingSchemaThatIsMissing(t *testing.T) {
	c := connectWithoutPath(t, pgtest.Database(t))
	_, err := c.ExistingSchema(t.Context(), dbmate("x", "schema_migrations"))
	if missing := (*postgres.MissingSchemaError)(nil); !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
}

// Rows that a policy hides from the role may be versions: that is an error, and no empty record.
func TestExistingRecordThatCannotBeReadWhole(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, `create schema x; create table x.schema_migrations (version text);
		insert into x.schema_migrations values ('1'); alter table x.schema_migrations enable row level security;
		alter table x.schema_migrations force row level security`)
	table := dbmate("x", "schema_migrations")
	_, err := connectWithoutPath(t, url).ExistingSchema(t.Context(), table)
	var cannot *postgres.TableError
	if !errors.As(err, &cannot) || cannot.Cause != postgres.VersionsHidden {
		t.Errorf("got %v", err)
	}
}
