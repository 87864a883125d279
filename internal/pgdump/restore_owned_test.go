package pgdump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// An extension, its schema and the schema public are often a superuser's, who made them before the tenant came. A
// restore by the database's owner leaves their comments out, and does not create what is there.
func TestRestoreBesideWhatOthersOwn(t *testing.T) {
	t.Parallel()
	source := pgtest.Database(t)
	s := pgtest.Shared(t)
	const prepare = `create schema "Ext; ""1"""; create extension hstore schema "Ext; ""1"""; create extension citext;
		comment on extension citext is 'a comment; of its own'; comment on schema "Ext; ""1""" is 'another; '`
	super := superuserOf(t, source)
	pgtest.Do(t, super, prepare+"; comment on schema public is 'ours'")
	pgtest.Do(t, super, `grant usage on schema "Ext; ""1""" to public`)
	pgtest.Do(t, source, `create schema own; comment on schema own is 'mine';
		create table own.t (c public.citext primary key,
		h "Ext; ""1""".hstore); insert into own.t values ('A', 'a=>1')`)
	do := dumpOptions(t)
	do.Compression = compress.None
	for _, format := range []pgdump.Format{pgdump.Plain, pgdump.Custom} {
		do.Format = format
		whole, _ := dump(t, source, do)
		for _, overwrite := range []bool{false, true} {
			target := pgtest.Database(t)
			pgtest.Do(t, superuserOf(t, target), prepare+`; grant usage on schema "Ext; ""1""" to public;
				alter schema public owner to postgres; grant all on schema public to public`)
			if overwrite {
				pgtest.Do(t, target, "create table gone (i int); create type gone_too as (i int)")
			}
			var log bytes.Buffer
			restored, err := restoreURL(t.Context(), target, pgdump.RestoreOptions{
				Major: do.Major, Root: do.Root, Format: format, Overwrite: overwrite,
				Log: slog.New(slog.NewTextHandler(&log, nil)),
			}, bytes.NewReader(whole))
			if err != nil {
				t.Fatalf("%s, overwrite %v: %v", format, overwrite, err)
			}
			compared, err := restored.Compare(nil)
			if err != nil || compared.Tables != 1 || compared.Rows != 1 {
				t.Errorf("compared %+v, %v", compared, err)
			}
			if n := strings.Count(log.String(), "left out of the restore: another role owns it"); n < 4 {
				t.Errorf("%d left out:\n%s", n, log.String())
			}
			servertest.Equal(t, "comments", pgtest.Ask(t, target, `select obj_description(oid) from pg_namespace
				where nspname in ('own', 'Ext; "1"') order by 1`), []string{"another; ", "mine"})
		}
	}
	// The owner's own comments are restored, as they were.
	target := s.URL(databaseOf(pgtest.Database(t)))
	do.Format = pgdump.Plain
	whole, _ := dump(t, source, do)
	if _, err := restoreURL(t.Context(), target, pgdump.RestoreOptions{Major: do.Major, Format: pgdump.Plain},
		bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "the copy", contents(t, target), contents(t, source))
}

// superuserOf is the URL of a database for the server's superuser.
func superuserOf(t *testing.T, url string) string {
	t.Helper()
	return pgtest.Shared(t).URL(databaseOf(url))
}

// Only what certainly is such a statement is left out.
func TestOnlyThoseStatementsAreLeftOut(t *testing.T) {
	t.Parallel()
	_, major := clientRoot(t)
	for sql, phrase := range map[string]string{
		"CREATE SCHEMA held CREATE TABLE t (i int);\n":            "already exists",
		"CREATE SCHEMA held AUTHORIZATION current_user;\n":        "already exists",
		"CREATE SCHEMA other;\nCREATE SCHEMA held;\n":             "",
		"COMMENT ON EXTENSION citext IS 'x';\n":                   "",
		"COMMENT ON EXTENSION nothing IS 'x';\n":                  `extension "nothing" does not exist`,
		"COMMENT ON TABLE held.t IS 'x';\n":                       "permission denied",
		"COMMENT ON EXTENSION citext IS 'x' || (select 1/0);\n":   "",
		"ALTER EXTENSION citext SET SCHEMA public;\n":             "must be owner",
		"COMMENT ON /* x */ EXTENSION \"citext\" IS NULL;\n":      "",
		"COMMENT ON COLUMN extension.is IS 'x';\n":                "does not exist",
		"CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA held;": "",
	} {
		target := pgtest.Database(t)
		pgtest.Do(t, superuserOf(t, target), "create schema held; create extension citext schema held")
		_, err := restoreURL(t.Context(), target, pgdump.RestoreOptions{Major: major, Format: pgdump.Plain},
			strings.NewReader(sql+marker))
		if (err == nil) != (phrase == "") || err != nil && !strings.Contains(err.Error(), phrase) {
			t.Errorf("%s: got %v", sql, err)
		}
	}
}

// Of a name that is an extension's, the remedy does not say what has been done already.
func TestRestoreOverAnExtensionsName(t *testing.T) {
	t.Parallel()
	_, major := clientRoot(t)
	extension, _ := pgtest.Extension(t, "create table settings (i int)")
	target := superuserOf(t, pgtest.Database(t))
	pgtest.Do(t, target, "create extension "+extension)
	for overwrite, want := range map[bool]string{false: "set overwrite: true", true: "drop that extension"} {
		_, err := restoreURL(t.Context(), target, pgdump.RestoreOptions{
			Major: major, Format: pgdump.Plain, Overwrite: overwrite,
		}, strings.NewReader("CREATE TABLE public.settings (i int);\n"+marker))
		if err == nil || !strings.Contains(remedies.Of(err), want) {
			t.Errorf("got %v (%s)", err, remedies.Of(err))
		}
	}
}

// A server that has no room for the locks of a transaction says so, how much it has, and what to do.
func TestNoRoomForLocks(t *testing.T) {
	t.Parallel()
	small, err := pgtest.Start(t.Context(), pgtest.Options{Settings: map[string]string{
		"max_locks_per_transaction": "10", "max_connections": "20", "max_worker_processes": "2",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = small.Stop() })
	const tables = 2000
	create := func(url string) {
		for from := 1; from < tables; from += 50 { // a transaction each
			pgtest.Do(t, url, fmt.Sprintf(`do $$ begin for i in %d .. %d loop
				execute format('create table a_table_with_a_name_%%s (i int primary key, t text)', i); end loop; end $$`,
				from, from+49))
		}
	}
	var urls []string
	for _, name := range []string{"full", "empty"} {
		url, err := small.CreateTenant(t.Context(), name, "a password", name)
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, url)
	}
	create(urls[0])
	do := dumpOptions(t)
	do.Compression = compress.None
	_, err = dumpURL(t.Context(), urls[0], do, new(bytes.Buffer))
	if err == nil || !strings.Contains(err.Error(), "You might need to increase max_locks_per_transaction") ||
		len(err.Error()) > 1000 || !strings.Contains(remedies.Of(err), "raise max_locks_per_transaction there") {
		t.Errorf("dump: %v (%s)", err, remedies.Of(err))
	}
	source := pgtest.Database(t)
	create(source)
	whole, _ := dump(t, source, do)
	checked, err := pgdump.Check(context.Background(), bytes.NewReader(whole), pgdump.CheckOptions{Format: pgdump.Plain})
	if err != nil || checked.Relations != 2*tables {
		t.Errorf("%d relations, %v", checked.Relations, err)
	}
	for i, url := range urls {
		var log bytes.Buffer
		_, err := restoreURL(t.Context(), url, pgdump.RestoreOptions{
			Major: do.Major, Root: do.Root, Format: pgdump.Plain, Overwrite: i == 0, Relations: checked.Relations,
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		}, bytes.NewReader(whole))
		var failed *pgdump.RestoreError
		if !errors.As(err, &failed) || failed.Cause() != pgdump.RestoreLocks ||
			!strings.Contains(err.Error(), "hint: You might need to increase max_locks_per_transaction.; the server has "+
				"room for about 200 locks (max_locks_per_transaction = 10, times max_connections + "+
				"max_prepared_transactions = 20)") ||
			!strings.Contains(remedies.Of(err), "on the target's server") {
			t.Errorf("restore: %v (%s)", err, remedies.Of(err))
		}
		if !strings.Contains(log.String(), "may fail for want of room") {
			t.Errorf("the log says %s", log.String())
		}
	}
	conn, err := connect(t.Context(), urls[0], postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if objects, err := conn.Objects(t.Context()); err != nil || len(objects) != tables {
		t.Errorf("%d left, %v", len(objects), err)
	}
}
