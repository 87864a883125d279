package migration

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Whoever follows drizzle's journal applies what is later than the latest recorded time, and never comes back to what
// is earlier. If the times do not ascend, a file must not be committed without those after it that have an earlier one:
// they are one migration of several parts, applied in one transaction.

// units joins pending files that have to be committed together.
func units(pending []migration) []migration {
	var all []migration
	for from := 0; from < len(pending); {
		latest, to := pending[from].entry.CreatedAt, from+1
		for i := to; i < len(pending); i++ {
			if pending[i].entry.CreatedAt > latest {
				continue
			}
			for _, m := range pending[to : i+1] {
				latest = max(latest, m.entry.CreatedAt)
			}
			to = i + 1
		}
		all = append(all, together(pending[from:to]))
		from = to
	}
	return all
}

// between separates the parts of a migration. The line break ends a comment in which a part may end.
const between = "\n;\n"

func together(parts []migration) migration {
	if len(parts) == 1 {
		return parts[0]
	}
	m := parts[0]
	m.parts = parts
	m.statements = nil
	names, texts := make([]string, len(parts)), make([]string, len(parts))
	for i, one := range parts {
		names[i], texts[i] = one.file, one.up
		m.statements = append(m.statements, one.statements...)
	}
	m.file, m.up = strings.Join(names, ", "), strings.Join(texts, between)
	return m
}

// files are the migration's files.
func (m migration) files() []migration {
	if m.parts == nil {
		return []migration{m}
	}
	return m.parts
}

// versions are those of its files.
func (m migration) versions() []string {
	var all []string
	for _, one := range m.files() {
		all = append(all, one.version)
	}
	return all
}

// at returns the file that a place in the migration's SQL is in, and the place in that file's.
func (m migration) at(offset int) (migration, int) {
	all := m.files()
	for _, one := range all[:len(all)-1] {
		if offset < len(one.up)+len(between) {
			return one, min(offset, len(one.up))
		}
		offset -= len(one.up) + len(between)
	}
	return all[len(all)-1], offset
}

// entriesOf are what is recorded of migrations.
func entriesOf(migrations []migration) []postgres.Entry {
	var entries []postgres.Entry
	for _, m := range migrations {
		for _, one := range m.files() {
			entries = append(entries, one.entry)
		}
	}
	return entries
}

// versionsOf returns the versions of some of the files, by name.
func (m *Files) versionsOf(names []string) []string {
	var versions []string
	for _, one := range m.ordered {
		if slices.Contains(names, one.file) {
			versions = append(versions, one.version)
		}
	}
	return versions
}
