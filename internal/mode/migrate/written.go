package migrate

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/records"
)

// written is what a run's records share: the files, and the sets that the records refer to.
type written struct {
	files    records.Set
	key      string            // of files
	versions map[string]string // of the files, by name

	mu   sync.Mutex
	sets records.Sets
}

// newWritten takes the files of all tenants, nil if these cannot be used.
func newWritten(files *migration.Files) *written {
	w := &written{sets: records.Sets{}}
	if files == nil {
		return w
	}
	w.files, w.versions = files.Digests(), map[string]string{}
	w.key = w.sets.Add(w.files)
	versions := files.Versions()
	for i, name := range files.Names() {
		w.versions[name] = versions[i]
	}
	return w
}

// recording is a job whose outcome has the tenant's record, and says which of its files were edited.
func (m *migrator) recording(job fleet.Job) fleet.Job {
	return func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		o, err := job(ctx, t, log)
		d, ok := o.Detail.(Detail)
		if !ok && o.Detail != nil {
			return o, err
		}
		old, applied := m.earlier(ctx, t)
		seen := m.seen(ctx, t, d, err != nil)
		edited, refused := m.checkChanged(t, m.knownContents(applied, d), seen)
		d.ChangedFiles, seen.Failed = edited, seen.Failed || refused != nil
		if err == nil {
			err = refused
		}
		switch {
		case m.options.DryRun:
			d.Record = nil
		case d.Record != nil:
			d.Record = m.carried(*d.Record, applied)
		default:
			if m.changed.replaces() && !seen.At.IsZero() {
				applied = nil
			}
			r, applied := records.Next(old, applied, m.written.files, seen)
			m.written.add(r.Applied, applied)
			d.Record, ok = &r, ok || r.Applied != ""
		}
		if ok {
			d.Applied = append([]Applied{}, d.Applied...)
			o.Detail = d
		}
		return o, err
	}
}

// carried is the record of a tenant that was left asleep.
func (m *migrator) carried(r records.Record, applied records.Set) *records.Record {
	if m.changed.replaces() {
		r.Applied, applied = m.written.key, m.written.files
	}
	m.written.add(r.Applied, applied)
	return &r
}

// doubtful is the record of a tenant whose job did not get to make one, or was abandoned: of how its files were applied
// nothing is forgotten.
func (m *migrator) doubtful(t fleet.Tenant) *records.Record {
	old, _ := m.records.Book().Of(t.ID)
	m.written.add(old.Applied, m.records.Book().Set(old.Applied))
	return &records.Record{Place: old.Place, Applied: old.Applied}
}

// seen is what the run saw of a tenant.
func (m *migrator) seen(ctx context.Context, t fleet.Tenant, d Detail, failed bool) records.Seen {
	seen := records.Seen{
		Place: m.env.PlaceOf(ctx, t, m.options.Table), At: d.at, Clock: d.clock, Version: d.After,
		Failed: failed, Unknown: d.Unknown,
	}
	if m.changed.own {
		seen.Edited = d.edited
	}
	switch {
	case d.Record != nil: // it was left asleep
		seen.At = d.Record.CurrentAt
	case failed && len(d.Applied)+len(d.Pending) == 0: // before anything was compared
		seen.At = time.Time{}
	}
	for _, a := range d.Applied {
		seen.Ran = append(seen.Ran, a.Version)
	}
	for _, name := range d.Recorded {
		seen.Ran = append(seen.Ran, m.written.versions[name])
	}
	for _, name := range slices.Concat(d.Pending, d.Skipped) {
		seen.Pending = append(seen.Pending, m.written.versions[name])
	}
	return seen
}

// add keeps a set to which a record refers.
func (w *written) add(key string, set records.Set) {
	if set == nil || key == w.key {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sets[key] = set
}

// fileSets are the files to which the records of the tenants refer; nil in a dry run.
func (m *migrator) fileSets() records.Sets {
	if m.options.DryRun || m.written.files == nil {
		return nil
	}
	m.written.mu.Lock()
	defer m.written.mu.Unlock()
	return maps.Clone(m.written.sets) // a job that was abandoned may add to it
}

// withFileSets adds them to an ending.
func (m *migrator) withFileSets(e mode.Ending) mode.Ending {
	if sets := m.fileSets(); sets != nil {
		detail, _ := e.Detail.(RunDetail)
		detail.Files, detail.FileSets = m.written.key, sets
		e.Detail = detail
	}
	return e
}
