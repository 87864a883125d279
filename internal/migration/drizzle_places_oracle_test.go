package migration_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// TestBesideDrizzleOtherTable records elsewhere, by names that must be quoted.
func TestBesideDrizzleOtherTable(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		folder := drizzletest.Generated(t, string(line)+"/shop")
		for _, at := range []struct{ schema, table string }{
			{"public", "__drizzle_migrations"}, {"Record of", "what's, \"done\""},
		} {
			theirs, ours := pgtest.Database(t), pgtest.Database(t)
			o := drizzleOptions()
			o.Table.Table = postgres.Table{Schema: at.schema, Name: at.table}
			m, err := migration.Load(folder, "drizzle", postgres.Drizzle)
			must(t, "ours", err)
			them := func(url string) {
				t.Helper()
				must(t, "drizzle", drizzletest.Migrate(t, line, drizzletest.Migration{URLs: []string{url}, Folder: folder,
					Schema: at.schema, Table: at.table}))
			}
			them(theirs)
			_, err = migrate(t.Context(), ours, m, o)
			must(t, "ours", err)
			name := o.Table.Quoted()
			servertest.Equal(t, "rows", drizzletest.Rows(t, ours, name), drizzletest.Rows(t, theirs, name))
			servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, theirs))
			them(ours)
			got, err := migrate(t.Context(), theirs, m, o)
			must(t, "ours, after drizzle", err)
			servertest.Equal(t, "applied after drizzle", len(got.Applied), 0)
			servertest.Equal(t, "after both", stateOf(t, ours), stateOf(t, theirs))
		}
	})
}

// TestBesideDrizzleSchemas has tenants that are schemas of one database, as with two configurations: public for what
// they share, and one for each, whose names search_path gives and whose record is in its own schema.
func TestBesideDrizzleSchemas(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		public, tenant := drizzletest.Generated(t, string(line)+"/public"), drizzletest.Generated(t, string(line)+"/tenant")
		theirs, ours := pgtest.Database(t), pgtest.Database(t)
		must(t, "drizzle, public", byThem(t, line, theirs, public))
		_, err := byUs(t, ours, public)
		must(t, "ours, public", err)
		schemas := []string{"tenant_a", "Tenant B"}
		for i, name := range schemas {
			pgtest.CreateSchemas(t, theirs, name)
			pgtest.CreateSchemas(t, ours, name)
			inTenantSchema(t, line, theirs, tenant, name, true)
			// The first in turns, the second by us alone.
			files := drizzletest.Read(t, line, tenant)
			inTenantSchema(t, line, ours, drizzletest.Write(t, line, files[0]), name, i == 0)
			inTenantSchema(t, line, ours, tenant, name, false)
		}
		servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, theirs))
		for _, name := range schemas {
			inTenantSchema(t, line, ours, tenant, name, true)
			inTenantSchema(t, line, theirs, tenant, name, false)
			record := pgtest.Identifier(name) + ".__drizzle_migrations"
			servertest.Equal(t, name, drizzletest.Rows(t, ours, record), drizzletest.Rows(t, theirs, record))
		}
		servertest.Equal(t, "after both once more", stateOf(t, ours), stateOf(t, theirs))
	})
}

// inTenantSchema migrates one schema of a database, by drizzle or by us.
func inTenantSchema(t testing.TB, line drizzletest.Line, url, folder, schema string, theirs bool) {
	t.Helper()
	if theirs {
		must(t, "drizzle, "+schema, drizzletest.Migrate(t, line, drizzletest.Migration{URLs: []string{url}, Folder: folder,
			Schema: schema, SearchPath: schema}))
		return
	}
	m, err := migration.Load(folder, "drizzle", postgres.Drizzle)
	must(t, "ours, "+schema, err)
	c, err := connect(t.Context(), url, postgres.Options{NoSearchPath: true})
	must(t, "ours, "+schema, err)
	defer c.Close()
	o := drizzleOptions()
	o.Table.Schema, o.Schema = "", schema
	_, err = migration.Migrate(t.Context(), c, m, o)
	must(t, "ours, "+schema, err)
}

// TestBesideDrizzleTwoOfOurs runs four of ours at once, of which one applies the files.
func TestBesideDrizzleTwoOfOurs(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		url := pgtest.Database(t)
		folder := drizzletest.Generated(t, string(line)+"/shop")
		var all sync.WaitGroup
		counts, errs := make([]int, 4), make([]error, 4)
		for i := range counts {
			all.Go(func() {
				got, err := byUs(t, url, folder)
				counts[i], errs[i] = len(got.Applied), err
			})
		}
		all.Wait()
		sum := 0
		for i, err := range errs {
			must(t, "ours", err)
			sum += counts[i]
		}
		servertest.Equal(t, "files applied", sum, 3)
		nothingLeft(t, line, url, folder)
	})
}

// TestBesideDrizzleMeanwhile starts ours while drizzle, which takes no lock, is in the middle of its transaction. Ours
// waits for what drizzle has locked, and then fails at what is there already. Nothing is lost or recorded twice.
func TestBesideDrizzleMeanwhile(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		url := pgtest.Database(t)
		pgtest.Do(t, url, "create table gate ()")
		folder := drizzletest.Write(t, line, numbered(table("a"), "lock table gate; "+table("b"))...)
		gate, err := connect(t.Context(), url, postgres.Options{})
		must(t, "the gate", err)
		defer gate.Close()
		_, err = gate.Exec(t.Context(), "begin; lock table gate")
		must(t, "the gate", err)
		theirs, ours := make(chan error, 1), make(chan error, 1)
		go func() { theirs <- byThem(t, line, url, folder) }()
		waiting(t, url, 1)
		go func() {
			_, err := byUs(t, url, folder)
			ours <- err
		}()
		waiting(t, url, 2)
		_, err = gate.Exec(context.WithoutCancel(t.Context()), "commit")
		must(t, "the gate", err)
		must(t, "drizzle", <-theirs)
		if err := <-ours; err == nil || !strings.Contains(err.Error(), "already exists") {
			t.Errorf("ours says %v", err)
		}
		servertest.Equal(t, "hashes", len(hashes(t, url)), 2)
		hasTables(t, "in the end", url, "ab")
		nothingLeft(t, line, url, folder)
	})
}

// waiting waits until so many sessions of a database wait for a lock.
func waiting(t testing.TB, url string, sessions int) {
	t.Helper()
	servertest.WaitFor(t, func() bool {
		got := pgtest.Ask(t, url, `select count(distinct pid)::text from pg_locks where not granted
			and pid in (select pid from pg_stat_activity where datname = current_database())`)
		return got[0] == string(rune('0'+sessions))
	})
}

// TestBesideDrizzleDoubleRows has rows that two runs of drizzle have written at once, as they may with files that can
// be applied twice.
func TestBesideDrizzleDoubleRows(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		url := pgtest.Database(t)
		files := numbered("select 1", "select 1", table("a"))
		must(t, "drizzle", byThem(t, line, url, drizzletest.Write(t, line, files[:2]...)))
		columns := "hash, created_at"
		if line == drizzletest.Folders {
			columns += ", name"
		}
		pgtest.Do(t, url, "insert into "+drizzleTable+" ("+columns+") select "+columns+" from "+drizzleTable)
		folder := drizzletest.Write(t, line, files...)
		got, err := byUs(t, url, folder)
		must(t, "ours", err)
		servertest.Equal(t, "applied", len(got.Applied), 1)
		nothingLeft(t, line, url, folder)
	})
}
