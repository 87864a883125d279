package action

import (
	"slices"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// prune-only applies the retention as a backup run does, and makes no backup.
func TestPruneOnly(t *testing.T) {
	f, v := newFleet(t, named("Acme", "Globex")...), newVault(t)
	f.run(t, t.Context(), v.inputs("mode=backup")...).counts(t, 2, 0, 0, 0)
	before := v.keys(t)
	old := buckettest.BackupKey("tenants/acme/", time.Now().Add(-30*24*time.Hour))
	v.putBackup(t, f.projects[0].ID, old)
	prune := v.inputs("mode=backup", "prune-only=true", "retention-days=7")

	o := f.run(t, t.Context(), append(prune, "dry-run=true")...)
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "Acme  1 to prune", "To prune: 1 backup\n", old+": older than 7 days")
	if keys := v.keys(t); !slices.Contains(keys, old) {
		t.Errorf("a dry run pruned: %v", keys)
	}
	o = f.run(t, t.Context(), prune...)
	o.counts(t, 1, 1, 0, 0)
	o.says(t, "Acme  1 pruned", "Pruned: 1 backup\n", old+": older than 7 days")
	same(t, "keys", v.keys(t), before)
	f.run(t, t.Context(), prune...).counts(t, 0, 2, 0, 0)
}
