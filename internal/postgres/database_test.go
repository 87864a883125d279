package postgres_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

func TestTargetAtADatabaseOfAnyName(t *testing.T) {
	server := pgtest.Shared(t)
	admin, err := connect(t.Context(), server.URL("postgres"), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, name := range []string{
		`a"b'c; drop database postgres; --`, "select", "Großkunde 東京 🐘", " blanks ", `a/b\c?d=e#f@g:h&i%20`,
		"dbname=postgres", "postgresql://x", strings.Repeat("ü", 31) + "x",
	} {
		t.Cleanup(func() {
			_ = server.Exec(context.Background(), "postgres", "drop database if exists "+pgtest.Identifier(name))
		})
		for i, want := range []bool{true, false} {
			if created, err := postgres.CreateDatabase(t.Context(), admin, name); err != nil || created != want {
				t.Errorf("%q, time %d: created %v, %v", name, i+1, created, err)
			}
		}
		postgresTarget, err := postgres.ParseTarget(server.URL("postgres")+"&dbname=postgres", false)
		if err != nil {
			t.Fatal(err)
		}
		target, err := postgresTarget.At(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := postgres.Connect(t.Context(), target, postgres.Options{})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		rows, err := c.Query(t.Context(), "select current_database() where $1 = 'x'", "x")
		if err != nil || string(rows.Values[0][0]) != name {
			t.Errorf("%q: in %q, %v", name, rows, err)
		}
		if target.Database() != name {
			t.Errorf("%q: its name is %q", name, target.Database())
		}
		// Other parsers of URLs, which follow libpq's rules, find the same one.
		if cfg, err := pgx.ParseConfig(target.Reveal()); err != nil || cfg.Database != name {
			t.Errorf("%q: pgx reads %v, %v", name, cfg, err)
		}
		for range 2 { // the first ends the session
			if err := postgres.DropDatabase(t.Context(), admin, name); err != nil {
				t.Error(err)
			}
		}
		c.Close()
	}
}

func TestDatabaseNamesThatAreRefused(t *testing.T) {
	server := pgtest.Shared(t)
	admin, err := connect(t.Context(), server.URL("postgres"), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for name, want := range map[string]string{
		"": "empty", strings.Repeat("x", 64): "64 bytes", strings.Repeat("ü", 32): "64 bytes",
		"a\x00b": "control character", "a\nb": "control character", "a\xff": "not UTF-8",
		"postgres": "every server", "template0": "every server", "template1": "every server",
	} {
		created, err := postgres.CreateDatabase(t.Context(), admin, name)
		if created || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("create %q: %v, %v", name, created, err)
		}
		if err := postgres.DropDatabase(t.Context(), admin, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("drop %q: %v", name, err)
		}
	}
}

func TestConcurrentCreationsOfOneDatabase(t *testing.T) {
	server := pgtest.Shared(t)
	const name = "created at once"
	t.Cleanup(func() {
		_ = server.Exec(context.Background(), "postgres", "drop database if exists "+pgtest.Identifier(name))
	})
	var creations atomic.Int32
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			c, err := connect(t.Context(), server.URL("postgres"), postgres.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			first, err := postgres.CreateDatabase(t.Context(), c, name)
			if err != nil {
				t.Error(err)
			}
			if first {
				creations.Add(1)
			}
		})
	}
	wg.Wait()
	if n := creations.Load(); n != 1 {
		t.Errorf("%d say that they created it", n)
	}
}

func TestTargetNamesItsPlace(t *testing.T) {
	const server = "ep-cool-1.eu-central-1.aws.neon.tech:5432"
	for url, want := range map[string][2]string{
		"postgresql://u:p@ep-cool-1-pooler.eu-central-1.aws.neon.tech/catalog?sslmode=require": {server, "catalog"},
		"postgres://u:p@EP-COOL-1.eu-central-1.aws.neon.tech:5432/other":                       {server, "other"},
		"postgres://u:p@127.0.0.1:6543/a%2Fb?dbname=c":                                         {"127.0.0.1:6543", "c"},
	} {
		target, err := postgres.ParseTarget(url, false)
		if err != nil || target.Server() != want[0] || target.Database() != want[1] {
			t.Errorf("%s: %s, %v", url, target, err)
		}
	}
	_, err := postgres.ParseTarget("mysql://u:hush@h/d", false)
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
}
