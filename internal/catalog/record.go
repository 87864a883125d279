package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
)

// Facts are what a run has learned about one tenant. A zero field is unknown, and leaves the catalog's value as it is.
type Facts struct {
	SchemaVersion string // the highest applied migration
	NoVersion     bool   // there is none any more

	MigratedAt time.Time
	Migration  string // its outcome: succeeded, unchanged or failed

	BackupAt  time.Time
	BackupKey string

	RestoredAt  time.Time // when a backup was restored completely, and compared
	RestoredKey string

	DroppedAt time.Time

	// Record replaces what the catalog knows of the tenant for later runs, unless a run that began later wrote that. One
	// without a time says that nothing is known any more of the tenant's present, as of the end of the run's work on it.
	Record *records.Record
}

// Entry is one tenant of a run.
type Entry struct {
	Name, Key string
	// The tenant's Neon project, or its database on the catalog's own server; at most one of them.
	NeonProjectID, Database string
	// Source and ID identify the tenant if both of these are empty.
	Source, ID string
	SeenAt     time.Time
	EndedAt    time.Time // when the run was done with the tenant; zero if it did not work on it
	Facts      Facts
}

// Run is one run of the action.
type Run struct {
	Mode, Source, Shard string
	Started, Finished   time.Time
	Failed              bool
	// Numbers of tenants, by how they ended.
	Succeeded, Unchanged, FailedTenants, Skipped int
	// WorkflowURL is the page of the GitHub Actions run; empty outside Actions.
	WorkflowURL string
	// Sets are the files to which the tenants' records refer.
	Sets records.Sets
}

// mostRows is how many tenants one statement records. The text of 100,000 would take hundreds of megabytes here, and
// again on the server.
const mostRows = 5000

// Record writes a run and its tenants, all or nothing: in one statement, or in a transaction of several if there are
// many tenants. If several jobs record the same tenants at once, the newest facts remain.
func (c *Catalog) Record(ctx context.Context, run Run, entries []Entry) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("record in the catalog: %w", err)
	}
	defer conn.Close() // which rolls back a transaction that is not complete
	if err := write(ctx, conn, run, entries); err != nil {
		return fmt.Errorf("record in the catalog: %w", err)
	}
	return nil
}

func write(ctx context.Context, conn *postgres.Conn, run Run, entries []Entry) error {
	several := len(entries) > mostRows
	if several {
		if _, err := conn.Exec(ctx, "begin"); err != nil {
			return err
		}
	}
	rows := inOrder(entries)
	for first := true; first || len(rows) > 0; first = false {
		n := min(len(rows), mostRows)
		if err := writeRows(ctx, conn, run, first, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	if several {
		if _, err := conn.Exec(ctx, "commit"); err != nil {
			return err
		}
	}
	return nil
}

// writeRows writes some of a run's tenants, and with the first ones the run and its sets.
func writeRows(ctx context.Context, conn *postgres.Conn, run Run, first bool, rows []*Entry) error {
	runs, sets := []runRow{}, records.Sets{}
	if first {
		runs = append(runs, run.row())
		maps.Copy(sets, run.Sets)
	}
	list := make([]row, len(rows))
	for i, e := range rows {
		if list[i] = e.row(); list[i].Record == nil {
			continue
		}
		list[i].RecordNotedAt = moment(run.Started)
		if !list[i].Record.Known() && e.EndedAt.After(run.Started) { // what another run saw meanwhile is no more
			list[i].RecordNotedAt = moment(e.EndedAt)
		}
	}
	var texts []string
	for _, part := range []any{runs, list, sets} {
		text, err := json.Marshal(part)
		if err != nil {
			return err
		}
		texts = append(texts, string(text))
	}
	_, err := conn.Query(ctx, record, texts...)
	return err
}

// inOrder returns the entries in the order of their identity, which is that of [record], so that one statement's rows
// come after those of the statement before.
func inOrder(entries []Entry) []*Entry {
	sorted := make([]*Entry, len(entries))
	for i := range entries {
		sorted[i] = &entries[i]
	}
	slices.SortFunc(sorted, func(a, b *Entry) int {
		kindA, idA := a.identity()
		kindB, idB := b.identity()
		return cmp.Or(cmp.Compare(kindA, kindB), cmp.Compare(idA, idB))
	})
	return sorted
}

// record locks the tenants' rows in the order of their identity, byte by byte, so that jobs that record the same
// tenants cannot deadlock; the sets come before them, in their own order. A version has no time of its own: it is as of
// the latest thing that its run can date, the start at least.
const record = `
with noted as (
	insert into public.run (mode, source, shard, started_at, finished_at, outcome,
		succeeded, unchanged, failed, skipped, workflow_url)
	select r.mode, r.source, r.shard, r.started_at, greatest(r.started_at, r.finished_at), r.outcome,
		r.succeeded, r.unchanged, r.failed, r.skipped, r.workflow_url
	from jsonb_to_recordset($1::jsonb) as r (mode text, source text, shard text, started_at timestamptz,
		finished_at timestamptz, outcome text, succeeded integer, unchanged integer, failed integer, skipped integer,
		workflow_url text)
), known as (
	insert into public.migration_set (digest, files)
	select key, value from jsonb_each($3::jsonb) order by key
	on conflict (digest) do nothing
), listed as (
	select *, coalesce('neon ' || neon_project_id, 'database ' || database, source || ' ' || source_id)
		collate "C" as identity
	from jsonb_to_recordset($2::jsonb) as e (name text, neon_project_id text, database text, source text,
		source_id text, key text, schema_version text, seen_at timestamptz, migration_at timestamptz,
		migration_outcome text, backup_at timestamptz, backup_key text, restore_at timestamptz, restore_key text,
		dropped_at timestamptz, record jsonb, record_noted_at timestamptz)
), entry as (
	select distinct on (identity) * from listed order by identity
)
insert into public.project as p (name, neon_project_id, database, source, source_id, key, schema_version,
	first_seen_at, last_seen_at, last_migration_at, last_migration_outcome, last_backup_at, last_backup_key,
	last_verified_restore_at, last_verified_restore_key, dropped_at, record, record_noted_at)
select name, neon_project_id, database, source, source_id, key, nullif(schema_version, ''), seen_at, seen_at,
	migration_at, migration_outcome, backup_at, backup_key, restore_at, restore_key, dropped_at,
	record, record_noted_at
from entry
on conflict (identity) do update set
	name = case when excluded.last_seen_at < p.last_seen_at then p.name else excluded.name end,
	source = case when excluded.last_seen_at < p.last_seen_at then p.source else excluded.source end,
	source_id = case when excluded.last_seen_at < p.last_seen_at then p.source_id else excluded.source_id end,
	key = case when excluded.last_seen_at < p.last_seen_at then coalesce(p.key, excluded.key)
		else coalesce(excluded.key, p.key) end,
	schema_version = case
		when greatest(excluded.last_seen_at, excluded.last_migration_at, excluded.record_noted_at)
			< greatest(p.last_seen_at, p.last_migration_at, p.record_noted_at)
			then case when greatest(p.last_migration_at, p.record_noted_at) > excluded.last_seen_at then p.schema_version
				else coalesce(p.schema_version, excluded.schema_version) end
		when p.identity in (select identity from entry where schema_version = '') then null
		else coalesce(excluded.schema_version, p.schema_version) end,
	last_seen_at = greatest(p.last_seen_at, excluded.last_seen_at),
	last_migration_at = greatest(p.last_migration_at, excluded.last_migration_at),
	last_migration_outcome = case when excluded.last_migration_at < p.last_migration_at then p.last_migration_outcome
		else coalesce(excluded.last_migration_outcome, p.last_migration_outcome) end,
	last_backup_at = greatest(p.last_backup_at, excluded.last_backup_at),
	last_backup_key = case when excluded.last_backup_at < p.last_backup_at then p.last_backup_key
		else coalesce(excluded.last_backup_key, p.last_backup_key) end,
	last_verified_restore_at = greatest(p.last_verified_restore_at, excluded.last_verified_restore_at),
	last_verified_restore_key = case when excluded.last_verified_restore_at < p.last_verified_restore_at
		then p.last_verified_restore_key
		else coalesce(excluded.last_verified_restore_key, p.last_verified_restore_key) end,
	record = case when excluded.record_noted_at < p.record_noted_at then p.record
		else coalesce(excluded.record, p.record) end,
	record_noted_at = greatest(p.record_noted_at, excluded.record_noted_at),
	dropped_at = coalesce(excluded.dropped_at,
		case when excluded.last_seen_at > p.dropped_at then null else p.dropped_at end)`

// runRow is a run as [record] reads it. A field that is left out is NULL, and so for a [row].
type runRow struct {
	Mode        string    `json:"mode"`
	Source      string    `json:"source"`
	Shard       string    `json:"shard,omitempty"`
	Outcome     string    `json:"outcome"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	FinishedAt  time.Time `json:"finished_at,omitzero"`
	WorkflowURL string    `json:"workflow_url,omitempty"`
	Succeeded   int       `json:"succeeded"`
	Unchanged   int       `json:"unchanged"`
	Failed      int       `json:"failed"`
	Skipped     int       `json:"skipped"`
}

func (r Run) row() runRow {
	outcome := "succeeded"
	if r.Failed {
		outcome = "failed"
	}
	return runRow{
		Mode: r.Mode, Source: r.Source, Shard: text(r.Shard), Outcome: outcome,
		StartedAt: moment(r.Started), FinishedAt: moment(r.Finished), WorkflowURL: text(r.WorkflowURL),
		Succeeded: r.Succeeded, Unchanged: r.Unchanged, Failed: r.FailedTenants, Skipped: r.Skipped,
	}
}

// row is one tenant.
type row struct {
	Name          string `json:"name"`
	Key           string `json:"key,omitempty"`
	NeonProjectID string `json:"neon_project_id,omitempty"`
	Database      string `json:"database,omitempty"`
	Source        string `json:"source"`
	SourceID      string `json:"source_id,omitempty"`
	// SchemaVersion is nil if it is unknown, and an empty text, which [record] takes for NULL, if there is none.
	SchemaVersion    *string   `json:"schema_version,omitempty"`
	SeenAt           time.Time `json:"seen_at,omitzero"`
	MigrationAt      time.Time `json:"migration_at,omitzero"`
	MigrationOutcome string    `json:"migration_outcome,omitempty"`
	BackupAt         time.Time `json:"backup_at,omitzero"`
	BackupKey        string    `json:"backup_key,omitempty"`
	RestoreAt        time.Time `json:"restore_at,omitzero"`
	RestoreKey       string    `json:"restore_key,omitempty"`
	DroppedAt        time.Time `json:"dropped_at,omitzero"`

	Record        *records.Record `json:"record,omitempty"`
	RecordNotedAt time.Time       `json:"record_noted_at,omitzero"`
}

func (e *Entry) row() row {
	f := e.Facts
	return row{
		Name: clip(cmp.Or(e.Name, e.ID)), Key: text(e.Key), NeonProjectID: text(e.NeonProjectID),
		Database: text(e.Database), Source: e.Source, SourceID: text(clip(e.ID)),
		SchemaVersion: f.version(), SeenAt: moment(e.SeenAt),
		MigrationAt: moment(f.MigratedAt), MigrationOutcome: text(f.Migration),
		BackupAt: moment(f.BackupAt), BackupKey: text(f.BackupKey),
		RestoreAt: moment(f.RestoredAt), RestoreKey: text(f.RestoredKey), DroppedAt: moment(f.DroppedAt),
		Record: f.Record,
	}
}

// identity is the entry's column identity, which the database derives in the same way, in two parts. These compare as
// the whole does, because a kind ends with a blank.
func (e *Entry) identity() (kind, id string) {
	switch {
	case e.NeonProjectID != "":
		return "neon ", e.NeonProjectID
	case e.Database != "":
		return "database ", e.Database
	}
	return e.Source + " ", clip(e.ID)
}

func (f Facts) version() *string {
	version := text(f.SchemaVersion)
	if version == "" && !f.NoVersion {
		return nil
	}
	if f.NoVersion {
		version = ""
	}
	return &version
}

// text prepares a text for PostgreSQL, which accepts no NUL byte in JSON.
func text(s string) string { return strings.ReplaceAll(s, "\x00", "") }

// moment prepares a time.
func moment(t time.Time) time.Time { return t.UTC() }

// clip shortens a text that would not fit into an index, such that different texts stay different.
func clip(s string) string {
	const most = 500
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\ufffd")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + fmt.Sprintf(" … %x", sha256.Sum256([]byte(s)))
}
