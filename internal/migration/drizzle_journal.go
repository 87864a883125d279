package migration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// journal is meta/_journal.json, as far as the order and the times of the files depend on it.
type journal struct {
	Dialect string         `json:"dialect"`
	Entries []journalEntry `json:"entries"`
}

type journalEntry struct {
	When json.Number `json:"when"`
	Tag  string      `json:"tag"` // the file's name without .sql
}

func (j journal) names(file string) bool {
	return slices.ContainsFunc(j.Entries, func(e journalEntry) bool { return e.Tag+".sql" == file })
}

// readJournal reads the files that a journal names, in its order. A file that it does not name is never run.
func (d *drizzleDir) readJournal(text []byte, loose []string) error {
	d.files.layout = journalAndFiles
	var j journal
	if err := json.Unmarshal(text, &j); err != nil {
		d.problem("%s cannot be read: %v; take it back from the repository's history", journalFile, err)
		return nil
	}
	if j.Dialect != "" && j.Dialect != "postgresql" && j.Dialect != "pg" {
		d.problem("%s is for the dialect %q, and the databases are PostgreSQL's; name the directory of that configuration",
			journalFile, j.Dialect)
		return nil
	}
	if len(j.Entries) == 0 {
		d.problem("%s has no entries; run drizzle-kit generate", journalFile)
	}
	tags, times := map[string]bool{}, map[int64]string{}
	for i, e := range j.Entries {
		when, err := e.When.Int64()
		other := times[when]
		switch {
		case e.Tag == "" || strings.ContainsAny(e.Tag, `/\`):
			d.problem("%s: the tag of entry %d, %q, is no file's name; write the name of its file without .sql", journalFile,
				i, e.Tag)
			continue
		case err != nil || when <= 0:
			d.problem("%s: when of %s is %q and no time in milliseconds since 1970; take the entry back from the "+
				"repository's history", journalFile, e.Tag, e.When)
			continue
		case tags[e.Tag]:
			d.problem("%s has two entries for %s; take one of them out", journalFile, e.Tag)
			continue
		case other != "":
			d.problem("%s: %s and %s have the same when, %d, so that drizzle would skip the second one where the first "+
				"is applied; put the SQL of %[3]s.sql, made repeatable (if not exists), into a file of drizzle-kit generate "+
				"--custom, and take %[3]s.sql and its entry out", journalFile, other, e.Tag, when)
		}
		tags[e.Tag], times[when] = true, e.Tag
		err = d.add(e.Tag+".sql", postgres.Entry{Version: fmt.Sprint(when), CreatedAt: when})
		if errors.Is(err, fs.ErrNotExist) {
			d.problem("%s.sql is missing, which %s names; commit it, or take its entry out", e.Tag, journalFile)
		} else if err != nil {
			return err
		}
	}
	for _, name := range loose {
		if !j.names(name) {
			d.problem("%s has no entry in %s and would never be run; make it with drizzle-kit generate --custom, or move it "+
				"away", name, journalFile)
		}
	}
	return nil
}
