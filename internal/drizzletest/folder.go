package drizzletest

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"
)

// Generated copies one of the folders that drizzle-kit generated: journal/shop, of which upgraded/shop is what
// drizzle-kit up made, folders/shop, and of two configurations {journal,folders}/{public,tenant}.
func Generated(t testing.TB, name string) string {
	t.Helper()
	folder, err := fs.Sub(files, path.Join("generated", name))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "drizzle")
	if err := os.CopyFS(dir, folder); err != nil {
		t.Fatal(err)
	}
	return dir
}

// File is a migration written by hand.
type File struct {
	// Name is the tag in the journal, or the folder's name.
	Name string
	SQL  string
	// When is the journal's, in milliseconds; the folder's name has it in the other layout.
	When int64
	// Breakpoints is the journal's; nothing reads it.
	NoBreakpoints bool
}

// entry is one of a journal.
type entry struct {
	Idx         int    `json:"idx"`
	Version     string `json:"version"`
	When        int64  `json:"when"`
	Tag         string `json:"tag"`
	Breakpoints bool   `json:"breakpoints"`
}

// Write makes a folder in the layout of a line, with entries of the journal in the order that is given.
func Write(t testing.TB, line Line, all ...File) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "drizzle")
	Rewrite(t, line, dir, all...)
	return dir
}

// Rewrite is [Write] over a folder that exists.
func Rewrite(t testing.TB, line Line, dir string, all ...File) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	journal := struct {
		Version string  `json:"version"`
		Dialect string  `json:"dialect"`
		Entries []entry `json:"entries"`
	}{"7", "postgresql", []entry{}}
	for i, f := range all {
		if line == Folders {
			write(t, filepath.Join(dir, f.Name, "migration.sql"), f.SQL)
			continue
		}
		write(t, filepath.Join(dir, f.Name+".sql"), f.SQL)
		journal.Entries = append(journal.Entries, entry{i, "7", f.When, f.Name, !f.NoBreakpoints})
	}
	if line == Folders {
		return
	}
	text, err := json.MarshalIndent(journal, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "meta", "_journal.json"), string(text))
}

// Read is the inverse of [Write], for folders that drizzle-kit made.
func Read(t testing.TB, line Line, dir string) []File {
	t.Helper()
	var all []File
	if line == Folders {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, File{Name: e.Name(), SQL: read(t, filepath.Join(dir, e.Name(), "migration.sql"))})
		}
		return all
	}
	var journal struct{ Entries []entry }
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "meta", "_journal.json"))), &journal); err != nil {
		t.Fatal(err)
	}
	for _, e := range journal.Entries {
		all = append(all, File{Name: e.Tag, SQL: read(t, filepath.Join(dir, e.Tag+".sql")), When: e.When})
	}
	return all
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
