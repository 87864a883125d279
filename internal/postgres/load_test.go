package postgres_test

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// Of a batch, the statements before the failed one run, and a text with two statements is refused as a whole.
func TestBatch(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	for name, c := range map[string]struct {
		statements []string
		done       int
		code       string
	}{
		"none": {nil, 0, ""},
		"all": {
			[]string{"select 1, 'x'", "", "create table b (i int)", "insert into b select generate_series(1, 9)"}, 4, "",
		},
		"one":   {[]string{"select 1", "select 1 / 0", "create table c (i int)"}, 1, "22012"},
		"two":   {[]string{"select 1", "create table d (i int); commit"}, 1, "42601"},
		"parse": {[]string{"selec"}, 0, "42601"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := connect(t.Context(), url, postgres.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Exec(t.Context(), "begin; create table a (i int)"); err != nil {
				t.Fatal(err)
			}
			tags, err := conn.Batch(t.Context(), c.statements)
			if len(tags) != c.done || (err == nil) != (c.code == "") || err != nil && !postgres.HasCode(err, c.code) {
				t.Errorf("done: %q, %v", tags, err)
			}
			if conn.Closed() || conn.InTransaction() != (err == nil) {
				t.Errorf("closed: %v, in a transaction: %v", conn.Closed(), conn.InTransaction())
			}
			servertest.Equal(t, "seen by others", len(pgtest.Relations(t, url)), 0)
		})
	}
}

func TestCopyFrom(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn, err := connect(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Exec(t.Context(), "create table a (i int)"); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.CopyFrom(t.Context(), "copy a from stdin", strings.NewReader("1\n2\n"))
	if rows != 2 || err != nil {
		t.Fatalf("%d rows, %v", rows, err)
	}
	rows, err = conn.CopyFrom(t.Context(), "copy a from stdin", strings.NewReader("3\nx\n"))
	if rows != 0 || !postgres.HasCode(err, "22P02") {
		t.Errorf("%d rows, %v", rows, err)
	}
	servertest.Equal(t, "rows", pgtest.Ask(t, url, "select i::text from a"), []string{"1", "2"})
	if got := conn.Parameter("standard_conforming_strings"); got != "on" {
		t.Errorf("got %q", got)
	}
}
