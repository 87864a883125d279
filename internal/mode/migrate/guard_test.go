package migrate

import (
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestRecentBackup(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	stored := func(age time.Duration) backups.Backup {
		at := now.Add(-age)
		return backups.Backup{Key: "acme/" + at.Format("20060102T150405Z") + "-pg17.sql.gz", Time: at, Verified: true}
	}
	foreign := backups.Judged{Backup: stored(time.Minute), Standing: backups.Foreign}
	foreign.Manifest.Tenant = fleet.Tenant{ID: "p-1", Name: "acme"}
	const within = 24 * time.Hour
	for name, c := range map[string]struct {
		newest  backups.Backup
		passed  []backups.Judged
		refused []string // empty: it is recent
	}{
		"none":        {refused: []string{"not migrated: there is no verified backup in s3://b/acme/"}},
		"recent":      {newest: stored(time.Hour)},
		"just within": {newest: stored(within)},
		"too old": {newest: stored(within + time.Second),
			refused: []string{"is of 2026-03-09 11:59:59 UTC, and require-backup-within is 24h"}},
		"a clock that is fast": {newest: stored(-time.Minute)},
		"a namesake's": {passed: []backups.Judged{foreign}, refused: []string{
			"there is no verified backup in s3://b/acme/", foreign.Key, "it is of another tenant, whose id is p-1"}},
		"an old one, and a namesake's": {newest: stored(2 * within), passed: []backups.Judged{foreign},
			refused: []string{"is of 2026-03-08 12:00:00", "it is of another tenant, whose id is p-1"}},
	} {
		err := recentBackup(c.newest, c.passed, "s3://b/acme/", now, within)
		if (err != nil) != (len(c.refused) > 0) || err != nil && fleet.Remedy(err) == "" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range c.refused {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: got %v, want %q", name, err, text)
			}
		}
	}
}
