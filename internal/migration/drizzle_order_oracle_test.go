package migration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// table is a migration that creates one.
func table(name string) string { return "create table " + name + " (x int)" }

// hasTables checks which tables of one letter, and so which files, are in a database.
func hasTables(t testing.TB, what, url, want string) {
	t.Helper()
	got := pgtest.Ask(t, url, "select relname::text from pg_class where relkind = 'r' and length(relname) = 1 order by 1")
	servertest.Equal(t, what, strings.Join(got, ""), want)
}

// TestBesideDrizzleLateEntry inserts a file before one that is applied. Of the journal it is never applied, and we say
// so.
func TestBesideDrizzleLateEntry(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		a, b, c := numberedAs(1, "a", table("a")), numberedAs(2, "b", table("b")), numberedAs(3, "c", table("c"))
		theirs, ours, fresh := pgtest.Database(t), pgtest.Database(t), pgtest.Database(t)
		early, all := drizzletest.Write(t, line, a, c), drizzletest.Write(t, line, a, b, c)
		must(t, "drizzle", byThem(t, line, theirs, early))
		_, err := byUs(t, ours, early)
		must(t, "ours", err)
		must(t, "drizzle, with the late file", byThem(t, line, theirs, all))
		got, err := byUs(t, ours, all)
		must(t, "ours, with the late file", err)
		want := "abc"
		if line == drizzletest.Journal {
			want = "ac"
			servertest.Equal(t, "skipped", got.Skipped, []string{b.Name + ".sql"})
			if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], b.Name) {
				t.Errorf("ours warns of %q", got.Warnings)
			}
		}
		hasTables(t, "drizzle", theirs, want)
		servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, theirs))
		_, err = byUs(t, fresh, all)
		must(t, "ours, on a fresh database", err)
		hasTables(t, "fresh", fresh, "abc")
		must(t, "drizzle, after ours", byThem(t, line, fresh, all))
		hasTables(t, "fresh, after drizzle", fresh, "abc")
	})
}

// TestBesideDrizzleDescendingTimes has a journal whose times do not ascend, and a file in it that fails at first.
// Whatever is committed before the failure, neither must lose a file afterwards.
func TestBesideDrizzleDescendingTimes(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	at := []int{1, 5, 3, 4, 9, 8}
	files := func(failing int) (all []drizzletest.File) {
		for i, second := range at {
			f := numberedAs(second, string(rune('a'+i)), table(string(rune('a'+i))))
			if i == failing {
				f.SQL = table("z") + "; select 1/0"
			}
			all = append(all, f)
		}
		return all
	}
	good := drizzletest.Write(t, drizzletest.Journal, files(-1)...)
	whole := pgtest.Database(t)
	must(t, "drizzle", byThem(t, drizzletest.Journal, whole, good))
	url := pgtest.Database(t)
	for failing, left := range map[int]string{1: "a", 2: "a", 3: "a", 5: "abcd"} {
		t.Run(string(rune('a'+failing)), func(t *testing.T) {
			pgtest.Do(t, url, "drop schema if exists drizzle cascade; drop schema public cascade; create schema public")
			bad := drizzletest.Write(t, drizzletest.Journal, files(failing)...)
			if _, err := byUs(t, url, bad); err == nil {
				t.Fatal("ours did not fail")
			}
			hasTables(t, "ours leaves", url, left)
			if failing%2 == 0 {
				must(t, "drizzle, once the file is mended", byThem(t, drizzletest.Journal, url, good))
			} else {
				_, err := byUs(t, url, good)
				must(t, "ours, once the file is mended", err)
			}
			hasTables(t, "in the end", url, "abcdef")
			servertest.Equal(t, "hashes", hashes(t, url), hashes(t, whole))
			nothingLeft(t, drizzletest.Journal, url, good)
		})
	}
}

// hashes are those that are recorded, in the order of their ids.
func hashes(t testing.TB, url string) []string {
	t.Helper()
	return pgtest.Ask(t, url, "select hash from "+drizzleTable+" order by id")
}

// TestBesideDrizzleFails leaves the files before one that fails, where drizzle leaves none, and drizzle goes on from
// there.
func TestBesideDrizzleFails(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		files := numbered(table("a"), table("b"), table("c")+"; select 1/0", table("d"))
		theirs, ours := pgtest.Database(t), pgtest.Database(t)
		bad := drizzletest.Write(t, line, files...)
		if err := byThem(t, line, theirs, bad); err == nil {
			t.Error("drizzle did not fail")
		}
		hasTables(t, "drizzle", theirs, "")
		if _, err := byUs(t, ours, bad); err == nil {
			t.Error("ours did not fail")
		}
		hasTables(t, "ours", ours, "ab")
		files[2].SQL = table("c")
		good := drizzletest.Write(t, line, files...)
		must(t, "drizzle, after ours", byThem(t, line, ours, good))
		hasTables(t, "drizzle, after ours", ours, "abcd")
		_, err := byUs(t, theirs, good)
		must(t, "ours, after drizzle", err)
		hasTables(t, "ours, after drizzle", theirs, "abcd")
		servertest.Equal(t, "hashes", hashes(t, ours), hashes(t, theirs))
		nothingLeft(t, line, ours, good)
		nothingLeft(t, line, theirs, good)
	})
}

// TestBesideDrizzleEditedFile edits an applied file: neither applies it, and ours tells. New line endings are no edit.
func TestBesideDrizzleEditedFile(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		url := pgtest.Database(t)
		files := numbered(table("a")+";\n"+table("b")+";\n", table("c"))
		must(t, "drizzle", byThem(t, line, url, drizzletest.Write(t, line, files...)))
		before := stateOf(t, url)
		files[0].SQL = strings.ReplaceAll(files[0].SQL, "\n", "\r\n")
		nothingLeft(t, line, url, drizzletest.Write(t, line, files...))
		files[0].SQL = table("d")
		edited := drizzletest.Write(t, line, files...)
		must(t, "drizzle, with an edited file", byThem(t, line, url, edited))
		got, err := byUs(t, url, edited)
		must(t, "ours, with an edited file", err)
		servertest.Equal(t, "after the edit", stateOf(t, url), before)
		if len(got.Edited) != 1 || len(got.Applied) > 0 {
			t.Errorf("ours tells of no edit: %+v", got)
		}
	})
}

// TestBesideDrizzleRenamed renames an applied file: of the journal the time counts, of folders the name, which is
// applied once more.
func TestBesideDrizzleRenamed(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		theirs, ours := pgtest.Database(t), pgtest.Database(t)
		files := numbered("create table if not exists a (x int)", table("b"))
		first := drizzletest.Write(t, line, files...)
		must(t, "drizzle", byThem(t, line, theirs, first))
		_, err := byUs(t, ours, first)
		must(t, "ours", err)
		files[0].Name += "_renamed"
		renamed := drizzletest.Write(t, line, files...)
		must(t, "drizzle, with another name", byThem(t, line, theirs, renamed))
		_, err = byUs(t, ours, renamed)
		must(t, "ours, with another name", err)
		servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, theirs))
	})
}

// TestBesideDrizzleDeletedFile deletes an applied file, which neither minds.
func TestBesideDrizzleDeletedFile(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		url := pgtest.Database(t)
		files := numbered(table("a"), table("b"), table("c"))
		_, err := byUs(t, url, drizzletest.Write(t, line, files[:2]...))
		must(t, "ours", err)
		some := drizzletest.Write(t, line, files[0], files[2])
		got, err := byUs(t, url, some)
		must(t, "ours, without a file", err)
		servertest.Equal(t, "records without a file", len(got.Unknown), 1)
		before := stateOf(t, url)
		must(t, "drizzle, without a file", byThem(t, line, url, some))
		servertest.Equal(t, "after drizzle", stateOf(t, url), before)
		hasTables(t, "in the end", url, "abc")
	})
}

// TestBesideDrizzleOddJournals has journals and folders that nobody wrote in one go.
func TestBesideDrizzleOddJournals(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	for name, change := range map[string]func(journal string) string{
		"gaps in idx": replace(`"idx": 2`, `"idx": 17`),
		"equal idx":   replace(`"idx": 2`, `"idx": 1`),
		"no idx, an unknown field, an old version and no breakpoints": replace(`"idx": 1,`, `"note": {"a": [1]},`,
			`"version": "7"`, `"version": "5"`, `"breakpoints": true`, `"breakpoints": false`),
		"CRLF, without the dialect": replace("\n", "\r\n", `"dialect": "postgresql",`, ``),
		"gaps in when":              replace("1767225602000", "1797225602123", "1767225600000", "1"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := numbered(table("a"), table("b"), table("c"))
			folder := drizzletest.Write(t, drizzletest.Journal, files...)
			path := filepath.Join(folder, "meta", "_journal.json")
			text, err := os.ReadFile(path)
			if err == nil {
				changed := change(string(text))
				if changed == string(text) {
					t.Fatal("nothing is changed")
				}
				err = os.WriteFile(path, []byte(changed), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			theirs, ours := pgtest.Database(t), pgtest.Database(t)
			must(t, "drizzle", byThem(t, drizzletest.Journal, theirs, folder))
			_, err = byUs(t, ours, folder)
			must(t, "ours", err)
			servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, theirs))
		})
	}
}

func replace(oldAndNew ...string) func(string) string {
	return strings.NewReplacer(oldAndNew...).Replace
}

// TestBesideDrizzleFolderOrder has names that bytes order otherwise than drizzle does.
func TestBesideDrizzleFolderOrder(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	const second = "20260101000000"
	names := []string{"_b", "_B", "_a", "_A", "", "_", "__", "-a", "_a_b", "_a-b", "_ab", "_aB", "_10", "_9", "_a9",
		"_a10", "1", "_Z"}
	var files []drizzletest.File
	for _, name := range names {
		files = append(files, drizzletest.File{Name: second + name, SQL: "select '" + name + "'"})
	}
	files = append(files, drizzletest.File{Name: "20251231235960_x", SQL: "select 1"},
		drizzletest.File{Name: "20261301000000_month_13", SQL: "select 2"},
		drizzletest.File{Name: "20260230000000_february_30", SQL: "select 3"})
	folder := drizzletest.Write(t, drizzletest.Folders, files...)
	snapshot := filepath.Join(folder, "20260101000009_snapshot_only")
	if err := os.MkdirAll(snapshot, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(snapshot, "snapshot.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, ours := pgtest.Database(t), pgtest.Database(t)
	must(t, "drizzle", byThem(t, drizzletest.Folders, theirs, folder))
	_, err := byUs(t, ours, folder)
	must(t, "ours", err)
	servertest.Equal(t, "what ours leaves", stateOf(t, ours), stateOf(t, theirs))
}
