package migration_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// inOldForm returns a database with the first n files of journal/shop, or all, applied and recorded by 0.45.
func inOldForm(t testing.TB, n int) string {
	t.Helper()
	url := pgtest.Database(t)
	files := drizzletest.Read(t, drizzletest.Journal, drizzletest.Generated(t, "journal/shop"))
	must(t, "drizzle 0.45", byThem(t, drizzletest.Journal, url, drizzletest.Write(t, drizzletest.Journal, files[:n]...)))
	return url
}

// TestBesideDrizzleUpgrade has databases of 0.45 whose repository drizzle-kit up has taken to 1.0.
func TestBesideDrizzleUpgrade(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	folder := drizzletest.Generated(t, "upgraded/shop")
	const files = 3
	for _, n := range []int{0, 2, files} {
		ours, theirs := inOldForm(t, n), inOldForm(t, n)
		got, err := byUs(t, ours, folder)
		must(t, "ours", err)
		servertest.Equal(t, "applied", len(got.Applied), files-n)
		must(t, "drizzle 1.0", byThem(t, drizzletest.Folders, theirs, folder))
		want := stateOf(t, theirs)
		if n < files {
			servertest.Equal(t, "what ours leaves", stateOf(t, ours), want)
		}
		must(t, "drizzle 1.0, after ours", byThem(t, drizzletest.Folders, ours, folder))
		servertest.Equal(t, "what drizzle leaves after ours", stateOf(t, ours), want)
		nothingLeft(t, drizzletest.Folders, ours, folder)
	}
}

// TestBesideDrizzleUpgradeStrangers has a row that belongs to no folder: both refuse, and leave the table as it is.
func TestBesideDrizzleUpgradeStrangers(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	url := inOldForm(t, 2)
	pgtest.Do(t, url, "insert into "+drizzleTable+" (hash, created_at) values ('0123', 1700000000123)")
	before := stateOf(t, url)
	folder := drizzletest.Generated(t, "upgraded/shop")
	var failed *drizzletest.Error
	if err := byThem(t, drizzletest.Folders, url, folder); !errors.As(err, &failed) {
		t.Errorf("drizzle 1.0 says %v", err)
	}
	servertest.Equal(t, "after drizzle", stateOf(t, url), before)
	var strangers *migration.StrangersError
	if _, err := byUs(t, url, folder); !errors.As(err, &strangers) {
		t.Errorf("ours says %v", err)
	}
	servertest.Equal(t, "after ours", stateOf(t, url), before)
}

// TestBesideDrizzleUpgradeTies has files of one second, which their contents tell apart.
func TestBesideDrizzleUpgradeTies(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	old := numbered(table("a"), table("b"), table("c"))
	for i := range old {
		old[i].When = old[0].When + int64(i)
	}
	// As drizzle-kit up names them: all have the date of the same second.
	folders := numbered(table("a"), table("b"), table("c"), table("d"))
	for i, name := range []string{"_2_a", "_0_b", "_1_c", "_3_d"} {
		folders[i].Name = "20260101000000" + name
	}
	folder := drizzletest.Write(t, drizzletest.Folders, folders...)
	ours, theirs := pgtest.Database(t), pgtest.Database(t)
	for _, url := range []string{ours, theirs} {
		must(t, "drizzle 0.45", byThem(t, drizzletest.Journal, url, drizzletest.Write(t, drizzletest.Journal, old...)))
	}
	must(t, "drizzle 1.0", byThem(t, drizzletest.Folders, theirs, folder))
	_, err := byUs(t, ours, folder)
	must(t, "ours", err)
	servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, theirs))
	nothingLeft(t, drizzletest.Folders, ours, folder)
}

// TestBesideDrizzleOldAfterUpgrade has an old checkout, with a journal, over a table that has been upgraded: 0.45 still
// applies files, and records them without a name. Ours knows such a row by its time, where drizzle 1.0 would apply the
// file again.
func TestBesideDrizzleOldAfterUpgrade(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	url := inOldForm(t, 2)
	files := drizzletest.Read(t, drizzletest.Folders, drizzletest.Generated(t, "upgraded/shop"))
	upgraded := drizzletest.Write(t, drizzletest.Folders, files...)
	must(t, "drizzle 1.0", byThem(t, drizzletest.Folders, url, drizzletest.Write(t, drizzletest.Folders, files[:2]...)))
	journal := drizzletest.Generated(t, "journal/shop")
	theirs := pgtest.Database(t)
	must(t, "drizzle 0.45", byThem(t, drizzletest.Journal, theirs, drizzletest.Write(t, drizzletest.Journal,
		drizzletest.Read(t, drizzletest.Journal, journal)[:2]...)))
	must(t, "drizzle 1.0", byThem(t, drizzletest.Folders, theirs, drizzletest.Write(t, drizzletest.Folders, files[:2]...)))
	_, err := byUs(t, url, journal)
	must(t, "ours, with the journal", err)
	must(t, "drizzle 0.45, with the journal", byThem(t, drizzletest.Journal, theirs, journal))
	servertest.Equal(t, "what ours leaves", stateOf(t, url), stateOf(t, theirs))
	err = byThem(t, drizzletest.Folders, theirs, upgraded)
	if err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("drizzle 1.0 says %v", err)
	}
	got, err := byUs(t, url, upgraded)
	must(t, "ours, with the folders", err)
	servertest.Equal(t, "applied", len(got.Applied), 0)
}

// TestBesideDrizzleUpgradeEdited has a file that was edited after it was applied, which the second of its time tells,
// and one whose folder was given another date, which its contents tell.
func TestBesideDrizzleUpgradeEdited(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	old := numbered(table("a"), table("b"), table("c"))
	for i := range old {
		old[i].When += 345
	}
	folders := numbered(table("a"), table("b")+" -- edited", table("c"), table("d"))
	folders[2].Name = "20260101000007_moved"
	folder := drizzletest.Write(t, drizzletest.Folders, folders...)
	ours, theirs := pgtest.Database(t), pgtest.Database(t)
	for _, url := range []string{ours, theirs} {
		must(t, "drizzle 0.45", byThem(t, drizzletest.Journal, url, drizzletest.Write(t, drizzletest.Journal, old...)))
	}
	must(t, "drizzle 1.0", byThem(t, drizzletest.Folders, theirs, folder))
	got, err := byUs(t, ours, folder)
	must(t, "ours", err)
	servertest.Equal(t, "edited", len(got.Edited), 1)
	servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, theirs))
}
