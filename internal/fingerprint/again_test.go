package fingerprint_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestAgain(t *testing.T) {
	t.Parallel()
	dropped := &pgconn.PgError{Code: "XX000", Message: "could not open relation with OID 1"}
	locked := &pgconn.PgError{Code: "55P03", Message: "canceling statement due to lock timeout"}
	for name, c := range map[string]struct {
		errs  []error // of each look
		looks int
		want  string // the error
	}{
		"quiet":          {[]error{nil}, 1, ""},
		"changed once":   {[]error{fingerprint.ErrChanged, nil}, 2, ""},
		"dropped once":   {[]error{dropped, nil}, 2, ""},
		"always changed": {[]error{dropped, dropped, dropped, dropped, dropped, nil}, 5, "was changed each time it was read"},
		"locked a while": {[]error{locked, locked, locked, locked, locked, locked, locked, nil}, 8, ""},
		"both":           {[]error{locked, dropped, locked, nil}, 4, ""},
		"a deadlock":     {[]error{&pgconn.PgError{Code: "40P01"}, nil}, 2, ""},
		"another error":  {[]error{errors.New("gone")}, 1, "gone"},
	} {
		looks := 0
		_, err := fingerprint.Again(0, func() (int, error) { looks++; return looks, c.errs[looks-1] })
		if looks != c.looks || (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d looks, %v", name, looks, err)
		}
	}
}

// Patience begins with the first lock that is not to be had, however long a look takes.
func TestPatience(t *testing.T) {
	t.Parallel()
	const patience = 300 * time.Millisecond
	looks := 0
	_, err := fingerprint.Again(patience, func() (int, error) {
		looks++
		time.Sleep(patience)
		return 0, &pgconn.PgError{Code: "55P03"}
	})
	if looks != 2 || !postgres.Locked(err) {
		t.Errorf("%d looks, %v", looks, err)
	}
}

// A migration locks a table and then the view that it drops, while the view and then the table are read.
func TestALookIsNoDeadlock(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(*postgres.Conn) error{
		"take": func(c *postgres.Conn) error {
			_, err := fingerprint.Take(t.Context(), c, fingerprint.Options{})
			return err
		},
		"describe": func(c *postgres.Conn) error {
			_, err := fingerprint.Describe(t.Context(), c, fingerprint.Options{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Do(t, url, "create table t (a integer); create view v as select a from t")
			migration := pgtest.Session(t, url)
			migration("begin; lock table t in access exclusive mode")
			// The look's own session shall not be the one that notices, so that the migration would be ended.
			late := "alter database " + pgtest.Identifier(databaseName(t, url)) + " set deadlock_timeout = '1h'"
			if err := pgtest.Shared(t).Exec(t.Context(), "postgres", late); err != nil {
				t.Fatal(err)
			}
			c, err := connect(t.Context(), url, postgres.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			done := make(chan error, 1)
			go func() { done <- read(c) }()
			servertest.WaitFor(t, func() bool { // the look waits for the table
				return pgtest.Ask(t, url, "select count(*) from pg_locks where not granted and relation = 't'::regclass")[0] != "0"
			})
			migration("drop view v; drop table t; commit")
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A table that stays locked is an error in the end, by which the caller can tell.
func TestALookAtWhatStaysLocked(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Do(t, url, "create table t (a integer); create view v as select a from t")
	holder := pgtest.Session(t, url)
	holder("begin; lock table t in access exclusive mode")
	c, err := connect(t.Context(), url, postgres.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fingerprint.Take(t.Context(), c, fingerprint.Options{}); !postgres.HasCode(err, "55P03") {
		t.Errorf("got %v", err)
	}
	holder("rollback")
	if _, err := fingerprint.Take(t.Context(), c, fingerprint.Options{}); err != nil {
		t.Errorf("after the end of the lock: %v", err)
	}
}
