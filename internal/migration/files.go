package migration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Files are a directory's migration files, read and validated once, so that every database of a run gets the same ones
// and an invalid file stops the run before any database is touched.
type Files struct {
	dir     string // as a user knows it
	layout  layout
	files   fileSystem
	ordered []migration
}

// migration is the part of one file that is run.
type migration struct {
	version     string
	file        string // name within the directory
	path        string // as a user knows it, relative to the workspace
	up          string // from its migrate:up line to the migrate:down line
	line        int    // of the file, on which up begins, from 1
	transaction bool   // false if the file says transaction:false
	tool        postgres.Format
	statements  []statement

	text   string         // drizzle's file as it is; empty: up is the text
	hashes []string       // of drizzle's file, also with other line endings
	entry  postgres.Entry // what is recorded of it
	parts  []migration    // files that have to be committed together; nil: it is one file
}

// FilesError lists everything that is wrong with a directory of migration files.
type FilesError struct {
	Dir      string
	Problems []string
}

func (e *FilesError) Error() string {
	if len(e.Problems) == 1 {
		return "migration files in " + e.Dir + ": " + e.Problems[0]
	}
	return fmt.Sprintf("%d problems with the migration files in %s:\n  - %s",
		len(e.Problems), e.Dir, strings.Join(e.Problems, "\n  - "))
}

// Remedy says what to do.
func (e *FilesError) Remedy() string {
	return "fix the files; none of them was run"
}

// Load reads dir, which holds the files of a tool. shown is the directory's name in messages and annotations, relative
// to the workspace. The error is a [*FilesError], or says why the directory cannot be read.
func Load(dir, shown string, format postgres.Format) (*Files, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	if format == postgres.Drizzle {
		return loadDrizzle(dir, shown, entries)
	}
	return load(entries, func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) }, shown)
}

// LoadEmbedded is [Load] for a directory that is embedded in the program.
func LoadEmbedded(files fs.FS, dir string) (*Files, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return load(entries, func(name string) ([]byte, error) { return fs.ReadFile(files, path.Join(dir, name)) }, dir)
}

func load(entries []fs.DirEntry, read func(name string) ([]byte, error), shown string) (*Files, error) {
	files, problems, err := readFiles(entries, read)
	if err != nil {
		return nil, err
	}
	// dbmate's own finder decides which names are migrations and what their versions are.
	var found []dbmate.Migration
	err = withEngine(files, &applier{}, func(db *dbmate.DB) error {
		found, err = db.FindMigrations()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find migrations in %s: %w", shown, err)
	}
	ordered, more := parseAll(found, files, shown)
	problems = append(problems, more...)
	if len(found) == 0 && len(problems) == 0 {
		problems = append(problems,
			"there are none; files are named VERSION_name.sql, such as 20250131120000_create_users.sql")
	}
	if len(problems) > 0 {
		return nil, &FilesError{shown, problems}
	}
	return &Files{shown, dbmateFiles, files, ordered}, nil
}

// parseAll parses the files that dbmate found, in their order, and lists what is wrong with their versions and
// contents.
func parseAll(found []dbmate.Migration, files fileSystem, shown string) (ordered []migration, problems []string) {
	byVersion := map[string]string{}
	for _, f := range found {
		if other, taken := byVersion[f.Version]; taken {
			problems = append(problems, fmt.Sprintf("%s and %s have the same version %s; give one of them a version "+
				"of its own", other, f.FileName, f.Version))
			continue
		}
		byVersion[f.Version] = f.FileName
		if first := found[0]; len(f.Version) != len(first.Version) {
			problems = append(problems, fmt.Sprintf("the versions of %s and %s are not equally long, so that their "+
				"order by name and by number would differ; use one form for all, such as 20250131120000",
				first.FileName, f.FileName))
		}
		one, err := parseMigration(f, files.contents[f.FileName])
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", f.FileName, err))
			continue
		}
		one.path = path.Join(filepath.ToSlash(shown), f.FileName)
		ordered = append(ordered, one)
	}
	return ordered, problems
}

// Names are the files' names, in their order.
func (m *Files) Names() []string {
	names := make([]string, len(m.ordered))
	for i, one := range m.ordered {
		names[i] = one.file
	}
	return names
}

// label is what people call a file: its version, its tag in drizzle's journal, its folder.
func (m migration) label() string {
	if name, ok := strings.CutSuffix(m.file, ".sql"); ok && m.tool == postgres.Drizzle && m.entry.Name == "" {
		return name
	}
	return m.version
}

// Labels are what people call the files, in their order.
func (m *Files) Labels() []string {
	labels := make([]string, len(m.ordered))
	for i, one := range m.ordered {
		labels[i] = one.label()
	}
	return labels
}

// Versions are the files' versions, in their order.
func (m *Files) Versions() []string {
	versions := make([]string, len(m.ordered))
	for i, one := range m.ordered {
		versions[i] = one.version
	}
	return versions
}

var (
	beginsWithVersion = regexp.MustCompile(`^\d+.*\.sql$`)
	errSeveralUps     = errors.New("has more than one migrate:up section, of which dbmate would record one version " +
		"each; put each into a file of its own")
)

// readFiles reads the SQL files of a directory, without those of its subdirectories. It lists those that dbmate
// silently ignores and those that no server accepts.
func readFiles(entries []fs.DirEntry, read func(name string) ([]byte, error)) (fileSystem, []string, error) {
	files := fileSystem{contents: map[string]string{}}
	var problems []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(strings.ToLower(name), ".sql") || strings.HasPrefix(name, ".") {
			continue
		}
		if !beginsWithVersion.MatchString(name) {
			problems = append(problems, name+": is not named VERSION_name.sql, the version in digits, and would never "+
				"be run; rename it or move it away")
			continue
		}
		data, err := read(name)
		if err != nil {
			return fileSystem{}, nil, fmt.Errorf("read migrations: %w", err)
		}
		if problem := textProblem(string(data)); problem != "" {
			problems = append(problems, name+": "+problem)
		}
		files.entries = append(files.entries, e)
		files.contents[name] = string(data)
	}
	return files, problems, nil
}

// parseMigration has dbmate parse a file, and returns the part that is run.
func parseMigration(f dbmate.Migration, contents string) (migration, error) {
	sections, err := f.Parse()
	if err != nil {
		return migration{}, err
	}
	if len(sections) > 1 {
		return migration{}, errSeveralUps
	}
	up := sections[0].Up
	before := contents[:strings.Index(contents, up)] // comments and blank lines
	one := migration{
		version:     f.Version,
		entry:       postgres.Entry{Version: f.Version},
		file:        f.FileName,
		up:          up,
		line:        1 + strings.Count(before, "\n"),
		transaction: sections[0].UpOptions.Transaction(),
	}
	one.statements = statementsOf(up, one.line)
	if err := one.check(); err != nil {
		return migration{}, err
	}
	return one, nil
}

// fileSystem is the directory's files as dbmate reads them.
type fileSystem struct {
	entries  []fs.DirEntry
	contents map[string]string
}

var (
	_ fs.ReadDirFS  = fileSystem{}
	_ fs.ReadFileFS = fileSystem{}
)

// Open is there for fs.FS; dbmate reads through the two methods below.
func (f fileSystem) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

// ReadDir lists the one directory.
func (f fileSystem) ReadDir(string) ([]fs.DirEntry, error) { return f.entries, nil }

// ReadFile returns a file's contents.
func (f fileSystem) ReadFile(name string) ([]byte, error) {
	text, ok := f.contents[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}
