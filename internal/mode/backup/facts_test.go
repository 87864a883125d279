package backup

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestFactsOfAPartialBackup(t *testing.T) {
	d := Detail{Key: "acme/20260102T030405Z-pg17.sql.gz", SchemaVersion: "7", Verified: "restore"}
	whole := facts(fleet.Result{Outcome: fleet.Outcome{Detail: d}})
	if whole.BackupKey != d.Key || whole.RestoredKey != d.Key || whole.SchemaVersion != "7" {
		t.Errorf("of a whole one: %+v", whole)
	}
	d.Partial = true
	if got := facts(fleet.Result{Outcome: fleet.Outcome{Detail: d}}); got != (catalog.Facts{SchemaVersion: "7"}) {
		t.Errorf("of a partial one: %+v", got)
	}
}

func TestFactsOfABackupThatIsStillGood(t *testing.T) {
	newest := backups.Judged{Backup: backups.Backup{Key: "acme/20260102T030405Z-pg17.sql.gz"}}
	if got := facts(fleet.Result{Outcome: stillGood(newest)}); got.BackupKey != newest.Key {
		t.Errorf("of a whole one: %+v", got)
	}
	newest.Manifest.Args = []string{"--exclude-table=x"}
	if got := facts(fleet.Result{Outcome: stillGood(newest)}); got != (catalog.Facts{}) {
		t.Errorf("of a partial one: %+v", got)
	}
}
