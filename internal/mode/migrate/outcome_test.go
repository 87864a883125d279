package migrate

import (
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
)

func TestMigrateOutcome(t *testing.T) {
	applied := []migration.Applied{{Version: "2", File: "2_b.sql", Elapsed: 1500 * time.Microsecond}}
	for name, c := range map[string]struct {
		m              migration.Result
		dryRun, failed bool
		note           string
		unchanged      bool
		warnings       int
	}{
		"nothing to do":      {m: migration.Result{Before: "2", After: "2"}, unchanged: true},
		"applied":            {m: migration.Result{Applied: applied}, note: "1 applied"},
		"dry run":            {m: migration.Result{Pending: []string{"2_b.sql", "3_c.sql"}}, dryRun: true, note: "2 pending"},
		"dry run, nothing":   {m: migration.Result{}, dryRun: true, unchanged: true},
		"failed halfway":     {m: migration.Result{Applied: applied, Pending: []string{"3_c.sql"}}, failed: true, note: "1 applied, 1 not"},
		"out of order":       {m: migration.Result{Before: "9", Applied: applied, OutOfOrder: []string{"2_b.sql"}}, note: "1 applied", warnings: 1},
		"its own warnings":   {m: migration.Result{Applied: applied, Warnings: []string{"x"}}, note: "1 applied", warnings: 1},
		"refused, not moved": {m: migration.Result{Pending: []string{"2_b.sql"}, OutOfOrder: []string{"2_b.sql"}}, failed: true, note: "0 applied, 1 not"},
	} {
		o := describe(c.m, c.dryRun, c.failed)
		if o.Note != c.note || o.Unchanged != c.unchanged || len(o.Warnings) != c.warnings {
			t.Errorf("%s: got %+v", name, o)
		}
	}
}
