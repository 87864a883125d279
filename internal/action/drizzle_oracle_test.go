package action

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A fleet of which some tenants were migrated by drizzle, some by the action and some by both moves in and out again:
// after a run drizzle finds nothing to do, and after drizzle the action does. journal/shop has three files.
func TestADrizzleFleetMovesInAndOut(t *testing.T) {
	for _, line := range drizzletest.Lines {
		t.Run(string(line), func(t *testing.T) {
			t.Parallel()
			drizzletest.Need(t)
			f := newFleet(t, named("none", "one of theirs", "all of theirs", "next of theirs")...)
			var urls []string
			for _, p := range f.projects {
				urls = append(urls, p.URL)
			}
			folder := drizzletest.Generated(t, string(line)+"/shop")
			files := drizzletest.Read(t, line, folder)
			theirs := func(folder string, urls ...string) {
				t.Helper()
				m := drizzletest.Migration{URLs: urls, AtOnce: 2, Folder: folder}
				if err := drizzletest.Migrate(t, line, m); err != nil {
					t.Fatal(err)
				}
			}
			theirs(drizzletest.Write(t, line, files[0]), urls[1])
			theirs(folder, urls[2])
			if err := os.CopyFS(filepath.Join(f.workspace, "drizzle"), os.DirFS(folder)); err != nil {
				t.Fatal(err)
			}
			o := f.run(t, t.Context(), "migrations-format=drizzle", "dry-run=true")
			o.counts(t, 3, 1, 0, 0)
			o = f.run(t, t.Context(), "migrations-format=drizzle")
			o.counts(t, 3, 1, 0, 0)
			o.says(t, "none  3 applied", "one of theirs  2 applied")
			theirs(folder, urls...)
			rows := func(url string) []string { return drizzletest.Rows(t, url, "drizzle.__drizzle_migrations") }
			for _, url := range urls {
				servertest.Equal(t, "rows", rows(url), rows(urls[2]))
			}
			drizzletest.Rewrite(t, line, filepath.Join(f.workspace, "drizzle"),
				append(files, drizzletest.File{Name: "20990101000000_last", SQL: "create table last ()", When: 4070908800000})...)
			theirs(filepath.Join(f.workspace, "drizzle"), urls[3])
			f.run(t, t.Context(), "migrations-format=drizzle").counts(t, 3, 1, 0, 0)
			f.run(t, t.Context(), "migrations-format=drizzle").counts(t, 0, 4, 0, 0)
			f.run(t, t.Context(), "migrations-format=drizzle", "mode=health-check").counts(t, 4, 0, 0, 0)
			theirs(filepath.Join(f.workspace, "drizzle"), urls...)
			for _, url := range urls {
				servertest.Equal(t, "rows", rows(url), rows(urls[3]))
			}
		})
	}
}
