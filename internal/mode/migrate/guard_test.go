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
	stored := func(age time.Duration, verified bool) backups.Backup {
		at := now.Add(-age)
		return backups.Backup{Key: "acme/" + at.Format("20060102T150405Z") + "-pg17.sql.gz", Time: at,
			Verified: verified}
	}
	const within = 24 * time.Hour
	for name, c := range map[string]struct {
		newestFirst []backups.Backup
		refused     string // empty: the first verified one is recent
	}{
		"none":             {nil, "there is no verified backup in s3://b/acme/"},
		"none is verified": {[]backups.Backup{stored(time.Hour, false)}, "there is no verified backup in"},
		"recent":           {[]backups.Backup{stored(time.Hour, true), stored(48*time.Hour, true)}, ""},
		"just within":      {[]backups.Backup{stored(within, true)}, ""},
		"too old": {[]backups.Backup{stored(within+time.Second, true)},
			"is of 2026-03-09 11:59:59 UTC, and require-backup-within is 24h"},
		"a newer one without proof": {[]backups.Backup{stored(time.Hour, false), stored(2*time.Hour, true)}, ""},
		"an older one without proof": {[]backups.Backup{stored(25*time.Hour, true), stored(26*time.Hour, false)},
			"is of 2026-03-09 11:00:00"},
		"a clock that is fast": {[]backups.Backup{stored(-time.Minute, true)}, ""},
		"from the future":      {[]backups.Backup{stored(-25*time.Hour, true)}, "is of 2026-03-11 13:00:00"},
	} {
		newest, err := recentBackup(c.newestFirst, "s3://b/acme/", now, within)
		switch {
		case c.refused == "" && (err != nil || !newest.Verified):
			t.Errorf("%s: %+v, %v", name, newest, err)
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused) || fleet.Remedy(err) == ""):
			t.Errorf("%s: got %v, want %q", name, err, c.refused)
		}
	}
}

func TestBackupOf(t *testing.T) {
	of := func(id string) backups.Manifest { return backups.Manifest{Tenant: fleet.Tenant{ID: id, Name: "acme"}} }
	acme := fleet.Tenant{ID: "p-2", Name: "acme"}
	if err := backupOf(acme, of("p-2"), "s3://b/acme/"); err != nil {
		t.Errorf("its own: %v", err)
	}
	err := backupOf(acme, of("p-1"), "s3://b/acme/")
	if err == nil || !strings.Contains(err.Error(), "not migrated: the newest verified backup in s3://b/acme/ is of "+
		"another tenant, whose id is p-1") {
		t.Errorf("a namesake's: %v", err)
	}
}
