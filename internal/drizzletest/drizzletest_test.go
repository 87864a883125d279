package drizzletest_test

import (
	"errors"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestMigrate(t *testing.T) {
	for _, line := range drizzletest.Lines {
		t.Run(string(line), func(t *testing.T) {
			t.Parallel()
			url, other := pgtest.Database(t), pgtest.Database(t)
			folder := drizzletest.Generated(t, string(line)+"/shop")
			for range 2 {
				m := drizzletest.Migration{URLs: []string{url, other}, AtOnce: 2, Folder: folder}
				if err := drizzletest.Migrate(t, line, m); err != nil {
					t.Fatal(err)
				}
			}
			rows := drizzletest.Rows(t, url, "drizzle.__drizzle_migrations")
			servertest.Equal(t, "number of rows", len(rows), 3)
			servertest.Equal(t, "rows", drizzletest.Rows(t, other, "drizzle.__drizzle_migrations"), rows)
		})
	}
}

func TestMigrateFails(t *testing.T) {
	for _, line := range drizzletest.Lines {
		t.Run(string(line), func(t *testing.T) {
			t.Parallel()
			folder := drizzletest.Write(t, line, drizzletest.File{Name: "20260101000000_bad", SQL: "select nothing", When: 1})
			m := drizzletest.Migration{URLs: []string{pgtest.Database(t)}, Folder: folder}
			err := drizzletest.Migrate(t, line, m)
			var failed *drizzletest.Error
			if !errors.As(err, &failed) || failed.Code != "42703" {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestKit runs drizzle-kit migrate, which is slow, once.
func TestKit(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	p := drizzletest.NewProject(t, drizzletest.Journal)
	p.Use(t, drizzletest.Generated(t, "journal/shop"))
	if said, err := p.Migrate(t, url, "MIGRATIONS_SCHEMA=mine", "MIGRATIONS_TABLE=ours"); err != nil {
		t.Fatal(err, said)
	}
	servertest.Equal(t, "number of rows", len(drizzletest.Rows(t, url, "mine.ours")), 3)
}
