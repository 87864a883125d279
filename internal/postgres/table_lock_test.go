package postgres_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// A statement waits for a lock as long as it was told to, and who holds that can be found out.
func TestLockedTable(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, `create table here (i int); create schema "Other"; create table "Other".there (i int)`)
	c, err := connect(t.Context(), url, postgres.Options{ReadOnly: true, LockTimeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := postgres.LockedTable(t.Context(), c, ""); got != "" {
		t.Errorf("nothing is locked, and it says %q", got)
	}
	holder, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	for _, sql := range []string{"set application_name = 'a tool'", "begin", `lock table "Other".there`} {
		if _, err := holder.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Exec(t.Context(), `select * from "Other".there`); !postgres.HasCode(err, "55P03") {
		t.Errorf("got %v", err)
	}
	for schema, want := range map[string]string{
		"":       `^table "Other"\.there is locked by server process \d+, a tool, for \d+ s$`,
		"Other":  `^table there is locked by server process \d+, a tool, for \d+ s$`,
		"public": "^$",
	} {
		if got := postgres.LockedTable(t.Context(), c, schema); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q: got %q, want %s", schema, got, want)
		}
	}
}
