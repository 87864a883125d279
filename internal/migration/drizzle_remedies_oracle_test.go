package migration_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// What errors and warnings tell people to do is done here, and drizzle has to go along with it.

// TestRemedyForLateEntry gives an entry that is skipped a later time and a place at the end. Both then apply it, also
// where it was applied before, so it has to be repeatable.
func TestRemedyForLateEntry(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	a, b, c := numberedAs(1, "a", table("a")), numberedAs(2, "b", table("b")), numberedAs(3, "c", table("c"))
	moved := numberedAs(4, "b", table("b"))
	for who, by := range bothTools {
		with, without := pgtest.Database(t), pgtest.Database(t)
		must(t, who, by(t, with, drizzletest.Write(t, drizzletest.Journal, a, b, c)))
		must(t, who, by(t, without, drizzletest.Write(t, drizzletest.Journal, a, c)))
		if err := by(t, with, drizzletest.Write(t, drizzletest.Journal, a, c, moved)); err == nil {
			t.Errorf("%s does not apply it again", who)
		}
		folder := drizzletest.Write(t, drizzletest.Journal, a, c, numberedAs(4, "b", repeatable(b.SQL)))
		for _, url := range []string{with, without} {
			must(t, who, by(t, url, folder))
			hasTables(t, who, url, "abc")
			must(t, "drizzle, afterwards", byThem(t, drizzletest.Journal, url, folder))
			got, err := byUs(t, url, folder)
			must(t, "ours, afterwards", err)
			if len(got.Applied)+len(got.Skipped)+len(got.Warnings) > 0 {
				t.Errorf("ours finds something to do: %+v", got)
			}
		}
	}
}

// bothTools are ways to migrate with files in a journal.
var bothTools = map[string]func(testing.TB, string, string) error{
	"drizzle": func(t testing.TB, url, folder string) error { return byThem(t, drizzletest.Journal, url, folder) },
	"ours": func(t testing.TB, url, folder string) error {
		_, err := byUs(t, url, folder)
		return err
	},
}

// TestRemedyForEqualTimes has databases that have both files of one time, only the first, or none. The second one's SQL
// goes into a new file.
func TestRemedyForEqualTimes(t *testing.T) {
	t.Parallel()
	servertest.Long(t)
	drizzletest.Need(t)
	a, b, c := numberedAs(1, "a", table("a")), numberedAs(2, "b", table("b")), numberedAs(2, "c", table("c"))
	_, err := byUs(t, pgtest.Database(t), drizzletest.Write(t, drizzletest.Journal, a, b, c))
	var files *migration.FilesError
	if !errors.As(err, &files) || !strings.Contains(err.Error(), "have the same when") {
		t.Fatalf("ours says %v", err)
	}
	folder := drizzletest.Write(t, drizzletest.Journal, a, b, numberedAs(3, "d", repeatable(c.SQL)))
	for _, applied := range [][]drizzletest.File{{a, b, c}, {a, b}, {a}} {
		for who, by := range bothTools {
			url := pgtest.Database(t)
			must(t, "drizzle", byThem(t, drizzletest.Journal, url, drizzletest.Write(t, drizzletest.Journal, applied...)))
			must(t, who, by(t, url, folder))
			hasTables(t, who, url, "abc")
			nothingLeft(t, drizzletest.Journal, url, folder)
		}
	}
}

// repeatable makes the SQL of [table] so.
func repeatable(sql string) string { return strings.Replace(sql, "table", "table if not exists", 1) }

// TestRemedyForBothLayouts finishes drizzle-kit up where a folder of 1.0 is beside the files of 0.x.
func TestRemedyForBothLayouts(t *testing.T) {
	t.Parallel()
	servertest.Long(t)
	p := drizzletest.NewProject(t, drizzletest.Folders)
	p.Use(t, drizzletest.Generated(t, "journal/shop"))
	url := pgtest.Database(t)
	must(t, "drizzle 0.45", byThem(t, drizzletest.Journal, url, p.Folder()))
	stray := filepath.Join(p.Folder(), "20300101000000_stray")
	must(t, "write", os.MkdirAll(stray, 0o755))
	must(t, "write", os.WriteFile(filepath.Join(stray, "migration.sql"), []byte("select 1"), 0o600))
	if _, err := byUs(t, url, p.Folder()); err == nil || !strings.Contains(err.Error(), "finish drizzle-kit up") {
		t.Fatalf("ours says %v", err)
	}
	p.Up(t)
	got, err := byUs(t, url, p.Folder())
	must(t, "ours, after up", err)
	servertest.Equal(t, "applied", len(got.Applied), 1)
	nothingLeft(t, drizzletest.Folders, url, p.Folder())
}

// TestRemedyForStrangers takes the folder back to which a row belongs, or deletes the row.
func TestRemedyForStrangers(t *testing.T) {
	servertest.Long(t)
	eachLine(t, func(t *testing.T, line drizzletest.Line) { // either may be the first to go on
		files := drizzletest.Read(t, drizzletest.Folders, drizzletest.Generated(t, "upgraded/shop"))
		next := drizzletest.File{Name: "20300101000000_next", SQL: table("n")}
		lost := drizzletest.Write(t, drizzletest.Folders, files[0], files[2], next)
		whole := drizzletest.Write(t, drizzletest.Folders, append(files, next)...)
		for _, folder := range []string{whole, lost} {
			url := inOldForm(t, len(files))
			_, err := byUs(t, url, lost)
			var strangers *migration.StrangersError
			if !errors.As(err, &strangers) || len(strangers.Rows) != 1 {
				t.Fatalf("ours says %v", err)
			}
			if folder == lost {
				pgtest.Do(t, url, "delete from "+drizzleTable+" where created_at = "+strangers.Rows[0])
			}
			if line == drizzletest.Folders {
				err = byThem(t, drizzletest.Folders, url, folder)
			} else {
				_, err = byUs(t, url, folder)
			}
			must(t, "going on", err)
			hasTables(t, "going on", url, "n")
			nothingLeft(t, drizzletest.Folders, url, folder)
		}
	})
}

// TestRemedyForOneDate renames folders whose order depends on the language, in drizzle's table too.
func TestRemedyForOneDate(t *testing.T) {
	t.Parallel()
	servertest.Long(t)
	drizzletest.Need(t)
	a := drizzletest.File{Name: "20260101000000_ä", SQL: table("a")}
	b := drizzletest.File{Name: "20260101000000_b", SQL: table("b")}
	old := drizzletest.Write(t, drizzletest.Folders, a, b)
	url := pgtest.Database(t)
	must(t, "drizzle", byThem(t, drizzletest.Folders, url, old))
	if _, err := byUs(t, url, old); err == nil || !strings.Contains(err.Error(), "have the same date") {
		t.Fatalf("ours says %v", err)
	}
	a.Name = "20260101000000_a"
	folder := drizzletest.Write(t, drizzletest.Folders, a, b)
	if err := byThem(t, drizzletest.Folders, url, folder); err == nil {
		t.Error("drizzle does not apply the renamed folder again")
	}
	pgtest.Do(t, url, "update "+drizzleTable+" set name = '20260101000000_a' where name = '20260101000000_ä'")
	nothingLeft(t, drizzletest.Folders, url, folder)
}

// TestRemedyForSiblingFolders gives a database whose record names a folder of its own, generated from the same schema a
// little later, the record of another one. Without it, both would apply everything again.
func TestRemedyForSiblingFolders(t *testing.T) {
	t.Parallel()
	servertest.Long(t)
	drizzletest.Need(t)
	files := numbered(table("a"), table("b"))
	sibling := []drizzletest.File{numberedAs(3, "sibling0", files[0].SQL), numberedAs(4, "sibling1", files[1].SQL)}
	folder, next := drizzletest.Write(t, drizzletest.Folders, files...), numberedAs(5, "next", table("c"))
	first, other := pgtest.Database(t), pgtest.Database(t)
	must(t, "drizzle", byThem(t, drizzletest.Folders, first, folder))
	must(t, "drizzle", byThem(t, drizzletest.Folders, other, drizzletest.Write(t, drizzletest.Folders, sibling...)))
	for who, err := range map[string]error{"drizzle": byThem(t, drizzletest.Folders, other, folder),
		"ours": errOf(byUs(t, other, folder))} {
		if err == nil || !strings.Contains(err.Error(), "already exists") {
			t.Errorf("%s says %v", who, err)
		}
	}
	record := pgtest.Ask(t, first, "select format('(%L, %L, %L)', hash, created_at, name) from "+drizzleTable)
	pgtest.Do(t, other, "truncate "+drizzleTable+"; insert into "+drizzleTable+" (hash, created_at, name) values "+
		strings.Join(record, ", "))
	nothingLeft(t, drizzletest.Folders, other, folder)
	_, err := byUs(t, other, drizzletest.Write(t, drizzletest.Folders, append(files, next)...))
	must(t, "ours, with another file", err)
	hasTables(t, "in the end", other, "abc")
}

func errOf(_ migration.Result, err error) error { return err }
