package migration

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// found is what a database records, in terms of the files.
type found struct {
	versions map[string]bool // of files, or else what the ledger calls them
	// Of drizzle's:
	latest    int64             // the highest time recorded
	edited    map[string]string // hashes by version: of rows whose file has other contents now
	names     map[int64]string  // of folders, for rows that lack a name, by their ids
	strangers []string          // rows without a name that belong to no folder
}

// match finds the files that a database records.
func (m *Files) match(s postgres.Status) found {
	f := found{versions: s.Versions}
	if m.layout == dbmateFiles {
		return f
	}
	f.versions, f.edited, f.names = map[string]bool{}, map[string]string{}, map[int64]string{}
	files := make(map[string]*migration, len(m.ordered))
	for i := range m.ordered {
		files[m.ordered[i].version] = &m.ordered[i]
	}
	same := map[string]bool{}
	for _, row := range s.Rows {
		f.latest = max(f.latest, row.CreatedAt)
	}
	for _, row := range s.Rows {
		version := strconv.FormatInt(row.CreatedAt, 10)
		switch {
		case m.layout == folderPerMigration:
			version = m.folderOf(row, &f)
		case files[version] == nil:
			version = cmp.Or(m.entryLike(row, f), version)
		}
		f.versions[version] = true
		if one := files[version]; one != nil && slices.Contains(one.hashes, row.Hash) {
			same[version] = true
		} else if one != nil {
			f.edited[version] = row.Hash
		}
	}
	// Where two files had one time, one of its rows is of the file that is gone.
	maps.DeleteFunc(f.edited, func(version, _ string) bool { return same[version] })
	return f
}

// entryLike returns the version of a journal entry with the contents of a row whose time no entry has: one that is not
// pending by its own time; "" if there is none. Where every tenant had a folder of its own, made from one schema, only
// the times differ.
func (m *Files) entryLike(row postgres.Row, f found) string {
	for _, one := range m.ordered {
		if one.entry.CreatedAt <= f.latest && !f.versions[one.version] && slices.Contains(one.hashes, row.Hash) {
			return one.version
		}
	}
	return ""
}

// folderOf returns the name of a row's folder. A row that drizzle 0.x has made has none: it belongs to the folder of
// the same second, or of the same contents if there is not exactly one.
func (m *Files) folderOf(row postgres.Row, f *found) string {
	if row.Name != "" {
		return row.Name
	}
	var same, alike []migration
	for _, one := range m.ordered {
		if one.entry.CreatedAt == row.CreatedAt/1000*1000 {
			same = append(same, one)
		}
		if one.entry.Hash == row.Hash {
			alike = append(alike, one)
		}
	}
	if len(same) > 1 {
		alike = slices.DeleteFunc(same, func(one migration) bool { return one.entry.Hash != row.Hash })
		alike = alike[:min(1, len(alike))]
	}
	switch {
	case len(same) == 1:
		f.names[row.ID] = same[0].version
	case len(alike) > 0:
		f.names[row.ID] = alike[len(alike)-1].version
	default:
		f.strangers = append(f.strangers, row.Identity())
		return row.Identity()
	}
	return f.names[row.ID]
}

// upgrade are the statements that give a table of drizzle 0.x the form of 1.0.
func (a *applier) upgrade(s postgres.Status, files *Files) []string {
	names := files.match(s).names
	if s.Named && len(names) == 0 {
		return nil
	}
	return a.table.Upgrade(names)
}

// Recorded are the versions of files that a database records, and what the ledger calls those that have no file.
func (m *Files) Recorded(s postgres.Status) map[string]bool { return m.match(s).versions }

// Edited are the versions of applied files whose contents are no longer those that the database itself records, with
// the digests that it records. Line endings do not count. Only drizzle's table records any.
func (m *Files) Edited(s postgres.Status) map[string]string { return m.match(s).edited }

// RecordsContents reports whether the files' ledger records what was in them.
func (m *Files) RecordsContents() bool { return m.layout != dbmateFiles }
