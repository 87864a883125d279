package migrate

import (
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/words"
)

// Detail is what the report file says about a migrated tenant.
type Detail struct {
	Created  bool     `json:"created,omitempty"` // by this run: its database or schema
	Asleep   bool     `json:"asleep,omitempty"`  // and left so: the versions are those of its record
	Before   string   `json:"version_before"`    // the highest recorded version, empty if there was none
	After    string   `json:"version_after"`
	Recorded []string `json:"recorded,omitempty"` // files recorded for the baseline and not run
	// RecordedVersions are the versions of Recorded.
	RecordedVersions []string  `json:"recorded_versions,omitempty"`
	Applied          []Applied `json:"applied"`                // in the order in which they ran
	Pending          []string  `json:"pending,omitempty"`      // files not applied, in a dry run or after a failure
	OutOfOrder       []string  `json:"out_of_order,omitempty"` // pending files below the highest version
	Skipped          []string  `json:"skipped,omitempty"`      // files of drizzle's journal that are never applied
	Unknown          []string  `json:"unknown,omitempty"`      // recorded versions that have no file

	ChangedFiles []string `json:"changed_files,omitempty"` // that were edited after they had been applied

	Rehearsal *TenantRehearsal `json:"rehearsal,omitempty"`

	UndoPoint *mode.UndoPoint `json:"undo_point,omitempty"` // nil if none was made

	Record *records.Record `json:"record,omitempty"` // nil in a dry run

	edited    map[string]string // digests that the tenant itself records of files with other contents now, by version
	at, clock time.Time         // when the tenant was as the detail says, by its server's clock and by the runner's
}

// Applied is one file that ran.
type Applied struct {
	Version   string `json:"version"`
	File      string `json:"file"`
	ElapsedMS int64  `json:"elapsed_ms"`
}

// describe says what was done to one tenant, or would be in a dry run.
func describe(m migration.Result, dryRun, failed bool) fleet.Outcome {
	d := Detail{
		Created: m.Creates && !dryRun, Before: m.Before, After: m.After, Recorded: m.Recorded,
		RecordedVersions: m.RecordedVersions, Skipped: m.Skipped,
		Applied: []Applied{}, Pending: m.Pending, OutOfOrder: m.OutOfOrder, Unknown: m.Unknown,
		at: m.At, clock: m.Clock, edited: m.Edited,
	}
	for _, a := range m.Applied {
		d.Applied = append(d.Applied, Applied{a.Version, a.File, a.Elapsed.Milliseconds()})
	}
	o := fleet.Outcome{Detail: d, Warnings: m.Warnings,
		Unchanged: len(m.Recorded) == 0 && len(m.Applied) == 0 && len(m.Pending) == 0}
	switch {
	case dryRun && len(m.Pending) > 0:
		o.Note = fmt.Sprintf("%d pending", len(m.Pending))
	case failed:
		o.Note = fmt.Sprintf("%d applied, %d not", len(m.Applied), len(m.Pending))
	case len(m.Applied) > 0:
		o.Note = fmt.Sprintf("%d applied", len(m.Applied))
	}
	created, applied := "created, ", "applied"
	if dryRun {
		created, applied = "would be created, ", "would be applied"
	}
	if m.Creates && !failed {
		o.Note = created + o.Note
	}
	if len(m.Recorded) > 0 {
		o.Note = baselineNote(len(m.Recorded), dryRun, o.Note)
	}
	if len(m.OutOfOrder) > 0 && !failed {
		o.Warnings = append(o.Warnings, fmt.Sprintf("%s out of order, after the higher version %s: %s",
			applied, m.Before, words.List(m.OutOfOrder, 5)))
	}
	return o
}

// baselineNote adds to a tenant's note how many files were recorded and not run, or would be in a dry run.
func baselineNote(recorded int, dryRun bool, note string) string {
	before := fmt.Sprintf("%d recorded", recorded)
	if dryRun {
		before = fmt.Sprintf("%d would be recorded if its schema is theirs", recorded)
	}
	if note == "" {
		return before
	}
	return before + ", " + note
}

// afterCreation adds to a tenant's outcome that this run created its database.
func afterCreation(o fleet.Outcome) fleet.Outcome {
	o.Unchanged = false
	if d, ok := o.Detail.(Detail); ok {
		d.Created = true
		o.Detail = d
	}
	if o.Note == "" {
		o.Note = "created"
	} else {
		o.Note = "created, " + o.Note
	}
	return o
}

// wouldCreate is a dry run's outcome for a tenant whose database does not exist yet.
func wouldCreate(files *migration.Files) fleet.Outcome {
	pending := files.Names()
	return fleet.Outcome{
		Note:   fmt.Sprintf("would be created, %d pending", len(pending)),
		Detail: Detail{Applied: []Applied{}, Pending: pending},
	}
}

// Facts returns the tenant's version, how its migration ended, and its record.
func (d Detail) Facts(r fleet.Result) catalog.Facts {
	return catalog.Facts{
		SchemaVersion: d.After, MigratedAt: r.Started.Add(r.Elapsed), Migration: string(r.State), Record: d.Record,
	}
}
