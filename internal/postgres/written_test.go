package postgres_test

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestRowsWritten(t *testing.T) {
	url := pgtest.Database(t)
	target, err := postgres.ParseTarget(url, true)
	if err != nil {
		t.Fatal(err)
	}
	read := func() postgres.Written {
		c, err := postgres.Connect(t.Context(), target, postgres.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		w, err := postgres.ReadWritten(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	before := read()
	pgtest.Do(t, url, "create table t as select i from generate_series(1, 1000) i; update t set i = 0 where i <= 10; "+
		"delete from t where i > 990; insert into t values (1)")
	servertest.WaitFor(t, func() bool { // a session's count arrives with its end
		rows, known := read().After(before)
		if !known {
			t.Fatalf("%+v", before)
		}
		return rows >= 1000
	})
	later := before
	later.Since += "x"
	if _, known := later.After(before); known {
		t.Error("the counts of two statistics are compared")
	}
	if _, known := (postgres.Written{}).After(postgres.Written{}); known {
		t.Error("nothing is compared with nothing")
	}
}
