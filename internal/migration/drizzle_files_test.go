package migration_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/servertest"
)

const breakpoint = "--> statement-breakpoint"

// tree writes files, given as alternating names and contents, into a directory.
func tree(t testing.TB, namesAndContents ...string) string {
	t.Helper()
	dir := t.TempDir()
	for pair := range slices.Chunk(namesAndContents, 2) {
		name := filepath.Join(dir, filepath.FromSlash(pair[0]))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(pair[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// entries is the text of a journal, of alternating times and tags.
func entries(whensAndTags ...any) string {
	var all []string
	for pair := range slices.Chunk(whensAndTags, 2) {
		all = append(all, fmt.Sprintf(`{"idx": 0, "version": "7", "when": %v, "tag": %q, "breakpoints": true}`, pair...))
	}
	return `{"version": "7", "dialect": "postgresql", "entries": [` + strings.Join(all, ", ") + `]}`
}

// journaled loads a directory of drizzle-kit 0.x; contents are those of the entries' files, in their order.
func journaled(t testing.TB, whensAndTags []any, contents ...string) *migration.Files {
	t.Helper()
	files := []string{"meta/_journal.json", entries(whensAndTags...)}
	for i, text := range contents {
		files = append(files, whensAndTags[2*i+1].(string)+".sql", text)
	}
	return loadTree(t, tree(t, files...))
}

// foldered loads a directory of drizzle-kit 1.0, of alternating names and contents of folders.
func foldered(t testing.TB, namesAndContents ...string) *migration.Files {
	t.Helper()
	files := slices.Clone(namesAndContents)
	for i := 0; i < len(files); i += 2 {
		files[i] += "/migration.sql"
	}
	return loadTree(t, tree(t, files...))
}

func loadTree(t testing.TB, dir string) *migration.Files {
	t.Helper()
	m, err := migration.Load(dir, "drizzle", postgres.Drizzle)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDrizzleFiles(t *testing.T) {
	m := loadTree(t, tree(t, "meta/_journal.json", entries(200, "0001_b", 100, "0000_a"), "0000_a.sql", "select 1",
		"0001_b.sql", "-- nothing", "meta/0007_snapshot.json", "{}", "readme.md", ""))
	servertest.Equal(t, "names", m.Names(), []string{"0001_b.sql", "0000_a.sql"})
	servertest.Equal(t, "versions", m.Versions(), []string{"200", "100"})
	servertest.Equal(t, "labels", m.Labels(), []string{"0001_b", "0000_a"})

	m = loadTree(t, tree(t, "20250102000000_b/migration.sql", "", "20250102000000_B/migration.sql", "",
		"20250102000000_a9/migration.sql", "", "20250102000000_a-1/migration.sql", "", "20250102000000_a_1/migration.sql", "",
		"20250101000000/migration.sql", "", "20250102000000_Z/migration.sql", "", "20250102000000_a/migration.sql", "",
		"20250103000000_snapshot/snapshot.json", "{}"))
	servertest.Equal(t, "folders", m.Versions(), []string{"20250101000000", "20250102000000_a", "20250102000000_a_1",
		"20250102000000_a-1", "20250102000000_a9", "20250102000000_b", "20250102000000_B", "20250102000000_Z"})
	servertest.Equal(t, "file", m.Names()[0], "20250101000000/migration.sql")
}

func TestDrizzleFilesRefused(t *testing.T) {
	const atomic = "create function f() returns int\nbegin atomic select 1; " + breakpoint + "\n end"
	journal := func(text string, files ...string) []string {
		return append([]string{"meta/_journal.json", text}, files...)
	}
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"nothing": {[]string{"readme.md", ""}, "there is neither meta/_journal.json nor a folder with a migration.sql"},
		"both": {journal(entries(1, "0000_a"), "0000_a.sql", "", "20250101000000_a/migration.sql", ""),
			"there are both meta/_journal.json, of drizzle-kit 0.x, and folders of 1.0, such as 20250101000000_a"},
		"no journal":   {[]string{"0000_a.sql", ""}, "0000_a.sql has no entry, because meta/_journal.json is missing"},
		"no JSON":      {journal("{"), "meta/_journal.json cannot be read"},
		"no entries":   {journal(entries()), "meta/_journal.json has no entries; run drizzle-kit generate"},
		"MySQL":        {journal(`{"dialect": "mysql", "entries": []}`), `is for the dialect "mysql"`},
		"file missing": {journal(entries(1, "0000_a")), "0000_a.sql is missing, which meta/_journal.json names"},
		"entry missing": {journal(entries(1, "0000_a"), "0000_a.sql", "", "0001_b.sql", ""),
			"0001_b.sql has no entry in meta"},
		"same tag":    {journal(entries(1, "0000_a", 2, "0000_a"), "0000_a.sql", ""), "two entries for 0000_a"},
		"same when":   {journal(entries(1, "a", 1, "b"), "a.sql", "", "b.sql", ""), "a and b have the same when, 1"},
		"no when":     {journal(entries(`"x"`, "a"), "a.sql", ""), "cannot be read"},
		"half a when": {journal(entries(1.5, "a"), "a.sql", ""), `when of a is "1.5"`},
		"elsewhere":   {journal(entries(1, "../a")), `the tag of entry 0, "../a", is no file's name`},
		"BOM":         {journal(entries(1, "a"), "a.sql", "\ufeffselect 1"), "a.sql: begins with a byte order mark"},
		"not UTF-8":   {journal(entries(1, "a"), "a.sql", "select '\xff'"), "a.sql: is not UTF-8 text"},
		"no date":     {[]string{"2025_a/migration.sql", ""}, "2025_a does not begin with a date"},
		"a file beside": {[]string{"20250101000000_a/migration.sql", "", "b.sql", ""},
			"b.sql is beside the migrations' folders"},
		"unknown order": {[]string{"20250101000000_ä/migration.sql", "", "20250101000000_b/migration.sql", ""},
			"have the same date"},
		"commit": {journal(entries(1, "a"), "a.sql", "select 1;\ncommit;"),
			"a.sql: line 2: COMMIT ends the transaction"},
		"in a text": {journal(entries(1, "a"), "a.sql", "select 1;\nselect '\n"+breakpoint+"';"),
			"a.sql: line 2: a quoted text begins that goes on after a " + breakpoint},
		"in a body": {journal(entries(1, "a"), "a.sql", "do $$ begin\n"+breakpoint+"\nend $$;"),
			"a.sql: line 1: a quoted text begins"},
		"in a comment": {journal(entries(1, "a"), "a.sql", "select 1 /* "+breakpoint+" */;"),
			"a.sql: line 1: a comment begins"},
		"in an atomic": {journal(entries(1, "a"), "a.sql", atomic),
			"a.sql: line 2: a " + breakpoint + " stands within a statement"},
		"in parentheses": {journal(entries(1, "a"), "a.sql", "create table a (\n"+breakpoint+"\ni int)"),
			"a.sql: line 2: a " + breakpoint + " stands within a statement"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := migration.Load(tree(t, c.files...), "drizzle", postgres.Drizzle)
			var files *migration.FilesError
			if !errors.As(err, &files) || len(files.Problems) != 1 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	dir := tree(t, "meta/_journal.json", entries(1, "a"), "a.sql", "commit")
	_, err := migration.Load(dir, "drizzle", postgres.Drizzle)
	if err == nil || strings.Contains(err.Error(), "transaction:false") {
		t.Errorf("the remedy is dbmate's: %v", err)
	}
}
