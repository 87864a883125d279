package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// connectWithoutPath opens a connection as workers share it among the schemas of a database.
func connectWithoutPath(t testing.TB, url string) *postgres.Conn {
	t.Helper()
	c, err := connect(t.Context(), url, postgres.Options{NoSearchPath: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestSchemaName(t *testing.T) {
	for _, name := range []string{
		"a", "_", "acme_corp", "ACME", "t1", "public_", "pg", "selects", strings.Repeat("x", 63),
	} {
		if err := postgres.SchemaName(name); err != nil {
			t.Errorf("%q %v", name, err)
		}
	}
	bad := append([]string{
		"", "1a", "a-b", "a b", "a.b", "ä", "naïve", "a\x00", "a'b", "a;b", "$user", "pg_a", "PG_Toast", "public",
		"Public", "information_schema", "user", "Select", "system_user", strings.Repeat("x", 64),
	}, pgtest.HostileNames...)
	for _, name := range bad {
		if err := postgres.SchemaName(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, name := range append([]string{"Acme Corp", "select"}, pgtest.HostileNames...) {
		if err := postgres.SchemaUsable(name); err != nil {
			t.Errorf("an existing schema: %q %v", name, err)
		}
	}
	for _, name := range []string{
		"", "public", "pg_temp", "pg_catalog", "information_schema", "$user", strings.Repeat("é", 32),
	} {
		if err := postgres.SchemaUsable(name); err == nil {
			t.Errorf("%q is usable", name)
		}
	}
	// Our list has every word of the server's own.
	words := pgtest.Ask(t, pgtest.Database(t), "select word from pg_get_keywords() where catcode in ('R', 'T')")
	for _, w := range words {
		if postgres.SchemaName(w) == nil {
			t.Errorf("%q is reserved by the server", w)
		}
	}
}

func TestSchemaList(t *testing.T) {
	for name, table := range map[string]string{
		"of ours":                "",
		"in a schema of its own": "",
		"of a user": "create table public.tenants (id serial primary key, name varchar(80), " +
			"at timestamptz not null default now())",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			if table != "" {
				pgtest.Do(t, url, table)
			}
			where := "public.tenants"
			if name == "in a schema of its own" {
				where = "control.tenants"
			}
			parsed, err := postgres.ParseTable(where)
			if err != nil {
				t.Fatal(err)
			}
			list, c := postgres.SchemaList{Table: parsed}, connectWithoutPath(t, url)
			if table == "" {
				missing := (*postgres.MissingListError)(nil)
				if _, _, err := list.Names(t.Context(), c); !errors.As(err, &missing) {
					t.Errorf("no list: %v", err)
				}
			}
			for time := range 2 {
				for _, n := range []string{"b", "a'"} {
					if created, err := list.Create(t.Context(), c, n); err != nil || created != (time == 0) {
						t.Errorf("created %t, %v", created, err)
					}
					if err := list.Add(t.Context(), c, n); err != nil {
						t.Error(err)
					}
				}
			}
			names, blank, err := list.Names(t.Context(), c)
			if err != nil {
				t.Error(err)
			}
			servertest.Equal(t, "names", names, []string{"a'", "b"})
			servertest.Equal(t, "blank names", blank, []string(nil))
			servertest.Equal(t, "rows", pgtest.Ask(t, url, "select count(*)::text from "+where), []string{"2"})
		})
	}
}

func TestRowsThatNameNoSchema(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, `create table public.schema_tracker (name text);
		insert into schema_tracker values ('a'), (null), (''), (null), (E' \t'), (' b')`)
	table, _ := postgres.ParseTable("public.schema_tracker")
	list, c := postgres.SchemaList{Table: table}, connectWithoutPath(t, url)
	names, blank, err := list.Names(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "names", names, []string{" b", "a"})
	servertest.Equal(t, "blank names", blank, []string{"''", "NULL", "' \t'"})
}

func TestDropSchema(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.CreateSchemas(t, url, "one", "two", "stray", "busy")
	pgtest.Do(t, url, `create table public.schema_tracker (name text primary key);
		insert into schema_tracker values ('one'), ('two'), ('busy'), ('gone'), ('public'), ('pg_toast');
		create table one.a (i int); create table two.a (i int); create table busy.a (i int)`)
	table, _ := postgres.ParseTable("public.schema_tracker")
	list, c := postgres.SchemaList{Table: table}, connectWithoutPath(t, url)
	for _, name := range []string{"one", "gone", "one"} {
		if err := list.Drop(t.Context(), c, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	unlisted := (*postgres.UnlistedError)(nil)
	if err := list.Drop(t.Context(), c, "stray"); !errors.As(err, &unlisted) || unlisted.Remedy() == "" {
		t.Errorf("unlisted: %v", err)
	}
	for _, name := range []string{"public", "pg_toast", "pg_catalog", "information_schema", ""} {
		if err := list.Drop(t.Context(), c, name); err == nil {
			t.Errorf("%q was dropped", name)
		}
	}
	// A schema that cannot be dropped keeps its entry.
	holder := pgtest.Session(t, url)
	holder("begin; lock table busy.a in access share mode")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := list.Drop(ctx, c, "busy"); err == nil {
		t.Error("a schema in use was dropped")
	}
	servertest.Equal(t, "left", pgtest.Relations(t, url), []string{"busy.a", "public.schema_tracker", "two.a"})
	servertest.Equal(t, "listed", pgtest.Ask(t, url, "select name from schema_tracker order by 1"),
		[]string{"busy", "pg_toast", "public", "two"})
}

// What depends on a schema is named, and nothing is dropped, also if it is created while the drop is at work.
func TestDropSchemaThatOthersUse(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.CreateSchemas(t, url, pgtest.HostileNames...)
	table, _ := postgres.ParseTable("public.schema_tracker")
	list, c := postgres.SchemaList{Table: table}, connectWithoutPath(t, url)
	creator, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = creator.Close(context.Background()) }()
	for _, name := range pgtest.HostileNames {
		if err := list.Add(t.Context(), c, name); err != nil {
			t.Fatal(err)
		}
		pgtest.Do(t, url, "create table "+pgtest.Identifier(name)+".a (i int)")
		const create, wants = "create view public.v as select * from ", "view public.v"
		if _, err := creator.Exec(t.Context(), "begin; "+create+pgtest.Identifier(name)+".a"); err != nil {
			t.Fatal(err)
		}
		if others, err := c.Dependents(t.Context(), name); err != nil || len(others) != 0 {
			t.Errorf("before it is committed: %v, %v", others, err)
		}
		ended := make(chan error, 1)
		go func() { ended <- list.Drop(t.Context(), c, name) }()
		for len(pgtest.Ask(t, url, "select 'x' from pg_locks where not granted and mode = 'AccessExclusiveLock'")) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if _, err := creator.Exec(t.Context(), "commit"); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{<-ended, list.Drop(t.Context(), c, name)} {
			var refused *postgres.DependentsError
			if !errors.As(err, &refused) || !slices.Equal(refused.Objects, []string{wants}) {
				t.Fatalf("%q: %v", name, err)
			}
		}
		pgtest.Do(t, url, "drop view public.v")
		servertest.Equal(t, "listed", pgtest.Ask(t, url, "select name from schema_tracker"), []string{name})
		if err := list.Drop(t.Context(), c, name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	servertest.Equal(t, "left", pgtest.Relations(t, url), []string{"public.schema_tracker"})
}

func TestDependentsErrorIsBounded(t *testing.T) {
	err := &postgres.DependentsError{Schema: "acme"}
	for i := range 13 {
		err.Objects = append(err.Objects, fmt.Sprintf("view public.v%d", i))
	}
	if text := err.Error(); !strings.HasSuffix(text, "view public.v9; and 3 more") {
		t.Error(text)
	}
}
