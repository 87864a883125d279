package pgdump_test

import (
	"log/slog"
	"testing"

	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// What pg_dump writes about the schema public is left out, whatever its comment and the functions look like.
func TestCopyDefinitionsOfNamedSchemas(t *testing.T) {
	t.Parallel()
	source, target := pgtest.Database(t), pgtest.Database(t)
	const body = "\nCREATE SCHEMA public;\nCOMMENT ON SCHEMA public IS 'no';\nselect 1\n"
	pgtest.Do(t, superuserOf(t, source), "comment on schema public is 'one;\nit''s two\nthree'")
	pgtest.Do(t, source, "create schema own; create table own.t (i int); create table public.shared (i int); "+
		"create function own.f() returns int language sql as $$"+body+"$$")
	from, err := postgres.ParseTrusted(source, false)
	if err != nil {
		t.Fatal(err)
	}
	to, err := postgres.ParseTrusted(target, false)
	if err != nil {
		t.Fatal(err)
	}
	major := pgtest.Shared(t).Version
	err = pgdump.CopyDefinitions(t.Context(), from, to, major, []string{"public", "own"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "copied", pgtest.Ask(t, target, "select tablename::text from pg_tables "+
		"where schemaname in ('own', 'public') order by 1"), []string{"shared", "t"})
	servertest.Equal(t, "body", pgtest.Ask(t, target, "select prosrc from pg_proc where proname = 'f'"), []string{body})
}
