package migrate

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/words"
)

// changedRemedy helps with a file that was edited after it had been applied.
const changedRemedy = "put the old contents back and write the change as a new migration, or accept the files as " +
	"they are now with changed-files: ignore in one run, which records them"

// ownRemedy is the same where each tenant records what was applied to it.
const ownRemedy = "put the old contents back and write the change as a new migration; where the difference is known " +
	"and does no harm, changed-files: ignore says nothing of it"

func (c *changedFiles) remedy() string {
	if c.own {
		return ownRemedy
	}
	return changedRemedy
}

// changedFiles looks for files that were edited after they had been applied. The zero value looks for none.
type changedFiles struct {
	rule  string            // of the input changed-files
	dir   string            // of the files, as the user knows it
	names map[string]string // of the files, by version
	own   bool              // the tenants themselves record what was applied

	mu      sync.Mutex
	tenants map[string][]string // whose file is no longer what was applied, by version
	checked int                 // tenants
}

// readChangedFiles reads the input.
func (m *migrator) readChangedFiles(in *input.Reader) {
	m.changed.rule = in.Choice("changed-files", "warn", "fail", "ignore")
	m.changed.dir, m.changed.names = in.String("migrations-path"), map[string]string{}
	m.changed.own = m.files != nil && m.files.RecordsContents()
	for name, version := range m.written.versions {
		m.changed.names[version] = name
	}
}

// nameOf is the name of a version's file.
func (c *changedFiles) nameOf(version string) string { return c.names[version] }

// replaces reports whether the files as they are now replace what is recorded. What a tenant itself records stays.
func (c *changedFiles) replaces() bool { return c.rule == "ignore" && !c.own }

// refuseChanged returns an error if the records prove that a file was edited after it had been applied to a tenant, so
// that no tenant is touched. A record that says nothing about the present proves nothing: the tenant's own database
// decides.
func (m *migrator) refuseChanged(ctx context.Context, found mode.Found) error {
	if m.changed.rule != "fail" {
		return nil
	}
	names := map[string][]string{}
	digests := map[string]string{}
	for _, t := range found.Tenants {
		r, applied := m.earlier(ctx, t)
		if !r.Known() {
			continue
		}
		for _, version := range records.Edited(applied, m.written.files) {
			names[version] = append(names[version], t.Name)
			digests[version] = applied[version]
		}
	}
	if len(names) == 0 {
		return nil
	}
	first := slices.Sorted(maps.Keys(names))[0]
	err := m.changed.error(first, digests[first], m.written.files[first], len(names)-1)
	return fmt.Errorf("%w; by the records it was applied to %s; no tenant was touched", err,
		concerned(names[first], len(found.Tenants)))
}

// earlier returns the record that the run starts from, and the files as they were applied, if these are known; both are
// zero if the record is about another database.
func (m *migrator) earlier(ctx context.Context, t fleet.Tenant) (records.Record, records.Set) {
	r, ok := m.records.Book().Of(t.ID)
	if !ok || r.Place != m.env.PlaceOf(ctx, t, m.options.Table) {
		return records.Record{}, nil
	}
	return r, m.records.Book().Set(r.Applied)
}

// knownContents are the digests of a tenant's files as they were applied, as far as files differ: those that the tenant
// itself records, if the run has seen them, or else those that earlier runs have recorded.
func (m *migrator) knownContents(applied records.Set, d Detail) records.Set {
	if m.changed.own && !d.at.IsZero() {
		return d.edited
	}
	return applied
}

// refuseBefore has a migration of the tenant refuse to run anything if a file was edited, whatever else it does first.
func (m *migrator) refuseBefore(ctx context.Context, o *migration.Options, t fleet.Tenant) {
	if m.changed.rule != "fail" {
		return
	}
	_, applied := m.earlier(ctx, t)
	then := o.Before
	o.Before = func(ctx context.Context, c *postgres.Conn, s postgres.Status) error {
		applied := m.knownContents(applied, Detail{edited: m.files.Edited(s), at: s.At})
		recorded := m.files.Recorded(s)
		of := func(version string) bool { return !recorded[version] }
		edited := slices.DeleteFunc(records.Edited(applied, m.written.files), of)
		if err := m.changedError(edited, applied); err != nil {
			return err
		}
		if then == nil {
			return nil
		}
		return then(ctx, c, s)
	}
}

// checkChanged notes which of a tenant's files were edited after they had been applied, and returns their names. The
// error is the tenant's under the rule fail.
func (m *migrator) checkChanged(t fleet.Tenant, applied records.Set, s records.Seen) (names []string, err error) {
	c := &m.changed
	if c.rule == "" || c.rule == "ignore" || s.At.IsZero() {
		return nil, nil
	}
	edited := slices.DeleteFunc(records.Edited(applied, m.written.files), func(version string) bool {
		return slices.Contains(s.Ran, version) || slices.Contains(s.Pending, version)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked++
	for _, version := range edited {
		if c.tenants == nil {
			c.tenants = map[string][]string{}
		}
		c.tenants[version] = append(c.tenants[version], t.Name)
		names = append(names, c.names[version])
	}
	if c.rule == "fail" {
		err = m.changedError(edited, applied)
	}
	return names, err
}

// changedError is the error about edited files; nil if there are none.
func (m *migrator) changedError(edited []string, applied records.Set) error {
	if len(edited) == 0 {
		return nil
	}
	first := edited[0]
	return m.changed.error(first, applied[first], m.written.files[first], len(edited)-1)
}

// warnings is the run's one warning about edited files, if there are any.
func (c *changedFiles) warnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rule != "warn" || len(c.tenants) == 0 {
		return nil
	}
	const shown = 5
	var files []string
	for _, version := range slices.Sorted(maps.Keys(c.tenants)) {
		files = append(files, c.names[version]+" ("+concerned(c.tenants[version], c.checked)+")")
	}
	return []string{fmt.Sprintf("changed-files: %s no longer what was applied: %s; %s",
		words.Count(len(files), "file is", "files are"), words.List(files, shown), c.remedy())}
}

// concerned says which tenants a file was applied to, of so many: by their number, and by name if not all are.
func concerned(names []string, all int) string {
	text := words.Count(len(names), "tenant", "tenants")
	if len(names) == all && all > 1 {
		return text
	}
	const shown = 5
	slices.Sort(names)
	return text + ": " + words.List(names, shown)
}

// changedError is an applied file whose contents are no longer what was applied.
type changedError struct {
	path, version string
	recorded, now string // digests
	more          int    // files of which the same is true
	remedy        string
}

func (c *changedFiles) error(version, recorded, now string, more int) error {
	return &changedError{
		path: path.Join(c.dir, c.names[version]), version: version, recorded: recorded, now: now, more: more,
		remedy: c.remedy(),
	}
}

func (e *changedError) Error() string {
	const digits = 12
	others := ""
	if e.more > 0 {
		others = ", and so are " + words.Count(e.more, "file", "files") + " after it"
	}
	return fmt.Sprintf("%s was changed after it had been applied%s: version %s was recorded with the digest %.*s… and "+
		"now has %.*s…", e.path, others, e.version, digits, e.recorded, digits, e.now)
}

// Remedy implements the fleet's remedies.
func (e *changedError) Remedy() string { return e.remedy }

// Location is the file's.
func (e *changedError) Location() (file string, line int) { return e.path, 1 }
