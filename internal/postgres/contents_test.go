package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// everyKind creates one object of every kind that a database can hold by itself, by the type that pg_identify_object
// gives it.
var everyKind = []struct{ kind, sql string }{
	{"schema", `create schema "Odd; schema"`},
	{"table", `create table t (id int primary key, n int, t text); create table "Odd; schema"."T" (i serial)`},
	{"table", `create table parted (id int) partition by range (id);
		create table parted_1 partition of parted default; create unlogged table unlogged ()`},
	{"foreign-data wrapper", "create foreign data wrapper wrapper"},
	{"server", "create server elsewhere foreign data wrapper wrapper; create user mapping for public server elsewhere"},
	{"foreign table", "create foreign table far (i int) server elsewhere"},
	{"view", "create view v as select * from t"},
	{"materialized view", "create materialized view m as select * from t"},
	{"sequence", "create sequence s"},
	{"type", "create type composite as (a int, b text)"},
	{"type", "create type mood as enum ('fine'); create type span as range (subtype = float8)"},
	{"type", `create type shell`},
	{"type", "create domain short as text check (length(value) < 9)"},
	{"function", "create function f(int) returns int language sql as 'select 1'"},
	{"procedure", "create procedure p() language sql as 'select 1'"},
	{"aggregate", "create aggregate total (int) (sfunc = int4pl, stype = int)"},
	{"collation", `create collation c (locale = 'C')`},
	{"conversion", "create conversion conv for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8"},
	{"operator", "create operator === (leftarg = int, rightarg = int, function = int4eq)"},
	{"operator family", "create operator family family using btree"},
	{"operator class", "create operator class class for type int using btree as operator 1 <, " +
		"function 1 btint4cmp(int, int)"},
	{"text search dictionary", "create text search dictionary dict (template = simple)"},
	{"text search configuration", "create text search configuration conf (copy = simple)"},
	{"text search parser", `create text search parser parser (start = prsd_start, gettoken = prsd_nexttoken,
		end = prsd_end, lextypes = prsd_lextype)`},
	{"text search template", "create text search template template (lexize = dsimple_lexize)"},
	{"statistics object", "create statistics st on id, n from t"},
	{"language", "create language lingo handler plpgsql_call_handler"},
	{"access method", "create access method method type table handler heap_tableam_handler"},
	{"cast", "create cast (mood as text) with inout"},
	{"transform", `create function from_int(internal) returns internal language internal as 'boolin' immutable strict;
		create transform for int language lingo (from sql with function from_int(internal))`},
	{"large object", "select lo_from_bytea(4242, 'a')"},
	{"publication", "create publication pub for table t"},
	{"subscription", `create subscription "Sub" connection 'host=nowhere.invalid' publication pub
		with (connect = false, slot_name = 'kept')`},
	{"event trigger", `create function watch() returns event_trigger language plpgsql
		as $$ begin raise exception 'nothing is dropped here'; end $$;
		create event trigger watching on sql_drop execute function watch()`},
}

// withObjects are the kinds that come and go with one of the above, or that are not the database's alone.
var withObjects = []string{
	"table column", "index", "table constraint", "domain constraint", "default value", "toast table", "composite type",
	"operator of access method", "function of access method", "rule", "trigger", "policy", "user mapping",
	"publication relation", "publication namespace", "view column",
	// of the whole server, or of its administrator
	"role", "database", "tablespace", "parameter ACL", "role membership",
	// no work of the user's, see the query's comment
	"extension", "default acl",
}

// kindsOf are PostgreSQL's own kinds of objects, from its source's list of what may be an object's class.
func kindsOf(t *testing.T, url string) []string {
	t.Helper()
	return pgtest.Ask(t, url, `select distinct o.type from pg_depend d,
		lateral pg_identify_object(d.classid, d.objid, d.objsubid) o where d.objid >= 16384
		union select 'subscription' from pg_subscription
		union select 'large object' from pg_largeobject_metadata`)
}

func superuserDatabase(t *testing.T) (url, name string) {
	t.Helper()
	name = pgtest.Ask(t, pgtest.Database(t), "select current_database()::text")[0]
	return pgtest.Shared(t).URL(name), name
}

// fill creates everything in everyKind.
func fill(t *testing.T, url string) {
	t.Helper()
	for _, c := range everyKind {
		pgtest.Do(t, url, c.sql)
	}
}

// Every kind of object makes a database count as not empty, and nothing that pg_dump would dump is left of it.
func TestObjectsOfEveryKindAreSeenAndCleared(t *testing.T) {
	t.Parallel()
	empty, _ := superuserDatabase(t)
	url, name := superuserDatabase(t)
	for _, u := range []string{empty, url} { // an extension is not the user's work
		pgtest.Do(t, u, "create schema held; create extension hstore schema held; create extension citext")
	}
	conn, err := connect(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	nothing, err := conn.Objects(t.Context())
	if err != nil || len(nothing) > 0 {
		t.Errorf("an empty database holds %v, %v", nothing, err)
	}
	t.Cleanup(func() { // a subscription would keep the database from being dropped
		_ = pgtest.Shared(t).Exec(context.Background(), name, `alter subscription "Sub" set (slot_name = none)`,
			`drop subscription "Sub"`)
	})
	fill(t, url)
	objects, err := conn.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, o := range objects {
		listed = append(listed, o.Type)
	}
	for _, c := range everyKind {
		if !slices.Contains(listed, c.kind) {
			t.Errorf("no %s in %v", c.kind, objects)
		}
	}
	for _, kind := range kindsOf(t, url) {
		if !slices.Contains(listed, kind) && !slices.Contains(withObjects, kind) {
			t.Errorf("nobody thought of a %s", kind)
		}
	}
	if _, err := conn.Exec(t.Context(), "begin; "+postgres.ClearSQL+"commit"); err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "what pg_dump dumps of it", dumped(t, url), dumped(t, empty))
	if left, err := conn.Objects(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Whoever empties a database is told which slots its subscriptions leave on their publishers.
func TestClearedSubscriptions(t *testing.T) {
	url, name := superuserDatabase(t)
	pgtest.Do(t, url, "create subscription one connection 'host=nowhere.invalid' publication p "+
		"with (connect = false, slot_name = 'kept'); create subscription two connection 'host=nowhere.invalid' "+
		"publication p with (connect = false, slot_name = none)")
	t.Cleanup(func() { // nothing if the test succeeds
		_ = pgtest.Shared(t).Exec(context.Background(), name, "alter subscription one set (slot_name = none)",
			"drop subscription one", "drop subscription two")
	})
	var log strings.Builder
	conn, err := connect(t.Context(), url, postgres.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Exec(t.Context(), "begin; "+postgres.ClearSQL+"commit"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"the subscription one is dropped, and its slot kept stays on the publisher: drop it there",
		"the subscription two is dropped; it had no slot on the publisher",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in\n%s", want, log.String())
		}
	}
}

// Each kind by itself, too, because another may hide it or take it along.
func TestObjectsOfEachKindByItself(t *testing.T) {
	t.Parallel()
	for kind, sql := range map[string]string{
		"type": "create type composite as (a int, b text)", "access method": everyKindSQL("access method"),
		"language": everyKindSQL("language"), "collation": everyKindSQL("collation"),
		"large object": everyKindSQL("large object"), "publication": "create publication all_of_it for all tables",
		"operator": everyKindSQL("operator"), "sequence": everyKindSQL("sequence"),
		"transform": `create function from_int(internal) returns internal language internal as 'boolin' immutable
			strict; create transform for int language plpgsql (from sql with function from_int(internal))`,
	} {
		url, _ := superuserDatabase(t)
		pgtest.Do(t, url, sql)
		conn, err := connect(t.Context(), url, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		objects, err := conn.Objects(t.Context())
		if err != nil || !slices.ContainsFunc(objects, func(o postgres.Object) bool { return o.Type == kind }) {
			t.Errorf("%s: got %v, %v", kind, objects, err)
		}
		if _, err := conn.Exec(t.Context(), "begin; "+postgres.ClearSQL+"commit"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		conn.Close()
	}
}

func everyKindSQL(kind string) string {
	for _, c := range everyKind {
		if c.kind == kind {
			return c.sql
		}
	}
	panic(fmt.Sprintf("no %s", kind))
}

// dumped is what pg_dump says about a database, privileges and owners included, and blanks that differ.
func dumped(t *testing.T, url string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(pgtest.Shared(t).BinDir, "pg_dump"),
		"--dbname="+url).Output()
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`\\(un)?restrict \w+`).ReplaceAllString(strings.TrimSpace(string(out)), "")
}
