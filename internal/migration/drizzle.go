package migration

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// layout is how a directory's files are arranged.
type layout int

const (
	dbmateFiles        layout = iota
	journalAndFiles           // drizzle-kit 0.x: meta/_journal.json names the files and orders them
	folderPerMigration        // drizzle-kit 1.0: the folders' names order them
)

const (
	journalFile = "meta/_journal.json"
	folderFile  = "migration.sql"
)

// drizzleDir is a directory of drizzle-kit's while it is read.
type drizzleDir struct {
	path, shown string
	files       Files
	problems    []string
}

func (d *drizzleDir) problem(format string, args ...any) {
	d.problems = append(d.problems, fmt.Sprintf(format, args...))
}

// loadDrizzle is [Load] for a directory of drizzle-kit's, in either of its layouts.
func loadDrizzle(dir, shown string, entries []fs.DirEntry) (*Files, error) {
	d := &drizzleDir{path: dir, shown: shown}
	d.files = Files{dir: shown, files: fileSystem{contents: map[string]string{}}}
	journal, noJournal := os.ReadFile(filepath.Join(dir, journalFile))
	hasJournal := !errors.Is(noJournal, fs.ErrNotExist)
	if noJournal != nil && hasJournal {
		return nil, fmt.Errorf("read migrations: %w", noJournal)
	}
	var folders, loose []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name(), folderFile)); err == nil {
			folders = append(folders, e.Name())
		}
		if name := strings.ToLower(e.Name()); !e.IsDir() && strings.HasSuffix(name, ".sql") && name[0] != '.' {
			loose = append(loose, e.Name())
		}
	}
	var err error
	switch {
	case hasJournal && len(folders) > 0:
		d.problem("there are both %s, of drizzle-kit 0.x, and folders of 1.0, such as %s; finish drizzle-kit up, which "+
			"turns the files into folders and removes meta, or move the folders away", journalFile, folders[0])
	case hasJournal:
		err = d.readJournal(journal, loose)
	case len(folders) > 0:
		err = d.readFolders(folders, loose)
	case len(loose) > 0:
		d.problem("%s has no entry, because %s is missing; commit it with the files", loose[0], journalFile)
	default:
		d.problem("there is neither %s nor a folder with a %s; name the directory that is out in drizzle's "+
			"configuration, and run drizzle-kit generate if it is empty", journalFile, folderFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	if len(d.problems) > 0 {
		return nil, &FilesError{shown, d.problems}
	}
	return &d.files, nil
}

// add reads a file and adds it to the migrations. A file that does not exist is the caller's problem.
func (d *drizzleDir) add(file string, entry postgres.Entry) error {
	data, err := os.ReadFile(filepath.Join(d.path, filepath.FromSlash(file)))
	if err != nil {
		return err
	}
	one, err := parseDrizzle(file, string(data), entry)
	if err != nil {
		d.problem("%s: %v", file, err)
		return nil
	}
	one.path = path.Join(filepath.ToSlash(d.shown), file)
	d.files.ordered = append(d.files.ordered, one)
	d.files.files.contents[file] = string(data)
	return nil
}

// parseDrizzle makes the migration of a file's text.
func parseDrizzle(file, text string, entry postgres.Entry) (migration, error) {
	if problem := textProblem(text); problem != "" {
		return migration{}, errors.New(problem)
	}
	one := migration{version: entry.Version, file: file, line: 1, transaction: true, tool: postgres.Drizzle, text: text}
	var err error
	if one.up, err = withoutBreakpoints(text); err != nil {
		return migration{}, err
	}
	entry.Hash = hashOf(text)
	one.entry = entry
	unix := sqltext.UnixLines(text)
	one.hashes = []string{entry.Hash, hashOf(unix), hashOf(strings.ReplaceAll(unix, "\n", "\r\n"))}
	one.statements = statementsOf(one.up, one.line)
	if err := one.check(); err != nil {
		return migration{}, err
	}
	return one, nil
}

// textProblem says why no server, or not every client, takes a file's text; "" if all do.
func textProblem(text string) string {
	switch {
	case strings.HasPrefix(text, "\ufeff"):
		return "begins with a byte order mark; save it as UTF-8 without one"
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return "is not UTF-8 text; save it as UTF-8"
	}
	return ""
}

// hashOf is the SHA-256 of a text in hexadecimal, which drizzle records of a file.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// breakpoint is where drizzle splits a file, wherever it stands, and sends each part by itself.
const breakpoint = "--> statement-breakpoint"

// withoutBreakpoints returns a file's SQL as one text that means the same: every breakpoint becomes a semicolon, and
// everything else stays in its place. The error is about a file that drizzle's parts would break.
func withoutBreakpoints(text string) (string, error) {
	var b strings.Builder
	var ends []int // of the parts
	for rest := text; ; {
		part, after, more := strings.Cut(rest, breakpoint)
		line := 1 + strings.Count(text[:len(text)-len(rest)], "\n")
		if offset, what := sqltext.Unclosed(part); what != "" && more {
			before, _ := sqltext.LineColumn(part, offset)
			return "", fmt.Errorf("line %d: %s begins that goes on after a %s, where drizzle splits the file; take the "+
				"breakpoint out", line+before-1, what, breakpoint)
		}
		if !more {
			b.WriteString(part)
			break
		}
		b.WriteString(withoutLastComment(part))
		ends = append(ends, b.Len())
		b.WriteString(";" + strings.Repeat(" ", len(breakpoint)-1))
		rest = after
	}
	whole := b.String()
	for _, s := range sqltext.Statements(whole) {
		for _, end := range ends {
			if s.Start < end && end < s.End {
				line, _ := sqltext.LineColumn(whole, end)
				return "", fmt.Errorf("line %d: a %s stands within a statement, where drizzle splits it; take it out", line,
					breakpoint)
			}
		}
	}
	return whole, nil
}

// withoutLastComment blanks a comment that goes on to the end of a part, and would take what follows into it.
func withoutLastComment(part string) string {
	for i := 0; i < len(part); {
		end, kind := sqltext.Token(part, i)
		if end == len(part) && kind == sqltext.Blank && strings.HasPrefix(part[i:], "--") {
			return part[:i] + strings.Repeat(" ", end-i)
		}
		i = end
	}
	return part
}
