package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

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

	// Record replaces what the catalog knows of the tenant for later runs, unless a run that began later wrote that. An
	// empty one says that nothing is known any more.
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

// Record writes a run and its tenants in one statement, all or nothing. If several jobs record the same tenants at
// once, the newest facts remain.
func (c *Catalog) Record(ctx context.Context, run Run, entries []Entry) error {
	rows := make([]map[string]any, len(entries))
	for i, e := range entries {
		rows[i] = e.row()
		if e.Facts.Record != nil {
			rows[i]["record"], rows[i]["record_noted_at"] = e.Facts.Record, moment(run.Started)
		}
	}
	sets := []byte("{}")
	if len(run.Sets) > 0 {
		var err error
		if sets, err = json.Marshal(run.Sets); err != nil {
			return fmt.Errorf("record in the catalog: %w", err)
		}
	}
	tenants, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("record in the catalog: %w", err)
	}
	head, err := json.Marshal(run.row())
	if err != nil {
		return fmt.Errorf("record in the catalog: %w", err)
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("record in the catalog: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Query(ctx, record, string(head), string(tenants), string(sets)); err != nil {
		return fmt.Errorf("record in the catalog: %w", err)
	}
	return nil
}

// record locks the tenants' rows in the order of their identity, so that jobs that record the same tenants cannot
// deadlock; the sets come after them, in their own order.
const record = `
with noted as (
	insert into public.run (mode, source, shard, started_at, finished_at, outcome,
		succeeded, unchanged, failed, skipped, workflow_url)
	select r.mode, r.source, r.shard, r.started_at, greatest(r.started_at, r.finished_at), r.outcome,
		r.succeeded, r.unchanged, r.failed, r.skipped, r.workflow_url
	from jsonb_to_record($1::jsonb) as r (mode text, source text, shard text, started_at timestamptz,
		finished_at timestamptz, outcome text, succeeded integer, unchanged integer, failed integer, skipped integer,
		workflow_url text)
), known as (
	insert into public.migration_set (digest, files)
	select key, value from jsonb_each($3::jsonb) order by key
	on conflict (digest) do nothing
), entry as (
	select distinct on (coalesce('neon ' || neon_project_id, 'database ' || database, source || ' ' || source_id)) *
	from jsonb_to_recordset($2::jsonb) as e (name text, neon_project_id text, database text, source text,
		source_id text, key text, schema_version text, seen_at timestamptz, migration_at timestamptz,
		migration_outcome text, backup_at timestamptz, backup_key text, restore_at timestamptz, restore_key text,
		dropped_at timestamptz, record jsonb, record_noted_at timestamptz)
	order by coalesce('neon ' || neon_project_id, 'database ' || database, source || ' ' || source_id)
)
insert into public.project as p (name, neon_project_id, database, source, source_id, key, schema_version,
	first_seen_at, last_seen_at, last_migration_at, last_migration_outcome, last_backup_at, last_backup_key,
	last_verified_restore_at, last_verified_restore_key, dropped_at, record, record_noted_at)
select name, neon_project_id, database, source, source_id, key, schema_version, seen_at, seen_at,
	migration_at, migration_outcome, backup_at, backup_key, restore_at, restore_key, dropped_at,
	record, record_noted_at
from entry
on conflict (identity) do update set
	name = excluded.name,
	source = excluded.source,
	source_id = excluded.source_id,
	key = coalesce(excluded.key, p.key),
	schema_version = nullif(coalesce(excluded.schema_version, p.schema_version), ''),
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

func (r Run) row() map[string]any {
	outcome := "succeeded"
	if r.Failed {
		outcome = "failed"
	}
	return map[string]any{
		"mode": r.Mode, "source": r.Source, "shard": text(r.Shard), "outcome": outcome,
		"started_at": moment(r.Started), "finished_at": moment(r.Finished), "workflow_url": text(r.WorkflowURL),
		"succeeded": r.Succeeded, "unchanged": r.Unchanged, "failed": r.FailedTenants, "skipped": r.Skipped,
	}
}

func (e Entry) row() map[string]any {
	name := e.Name
	if name == "" {
		name = e.ID
	}
	f := e.Facts
	return map[string]any{
		"name": clip(name), "key": text(e.Key), "neon_project_id": text(e.NeonProjectID), "database": text(e.Database),
		"source": e.Source, "source_id": text(clip(e.ID)),
		"schema_version": f.version(), "seen_at": moment(e.SeenAt),
		"migration_at": moment(f.MigratedAt), "migration_outcome": text(f.Migration),
		"backup_at": moment(f.BackupAt), "backup_key": text(f.BackupKey),
		"restore_at": moment(f.RestoredAt), "restore_key": text(f.RestoredKey), "dropped_at": moment(f.DroppedAt),
	}
}

// version is the tenant's version: NULL if it is unknown, and an empty text, which [record] takes for that, if there is
// none.
func (f Facts) version() any {
	if f.NoVersion {
		return ""
	}
	return text(f.SchemaVersion)
}

// text prepares a text for PostgreSQL, which accepts no NUL byte in JSON. An empty text is nil, for NULL.
func text(s string) any {
	if s == "" {
		return nil
	}
	return strings.ReplaceAll(s, "\x00", "")
}

// moment prepares a time: the zero time is nil, for NULL.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC()
}

// clip shortens a text that would not fit into an index, such that different texts stay different.
func clip(s string) string {
	const most = 500
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\ufffd")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + fmt.Sprintf(" … %x", sha256.Sum256([]byte(s)))
}
