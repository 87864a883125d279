package backup

import (
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
)

func TestRecentEnough(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	stored := func(age time.Duration) backups.Backup {
		return backups.Backup{Key: age.String(), Time: now.Add(-age)}
	}
	const maxAge = 24 * time.Hour
	for name, c := range map[string]struct {
		newest backups.Backup
		want   bool
	}{
		"none":            {backups.Backup{}, false},
		"of today":        {stored(time.Hour), true},
		"just old enough": {stored(maxAge), true},
		"too old":         {stored(maxAge + time.Second), false},
	} {
		if got := recentEnough(c.newest, now, maxAge); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestInactiveSince(t *testing.T) {
	finished := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		lastActive time.Time
		want       bool
	}{
		"before the backup":     {finished.Add(-time.Hour), true},
		"at its end":            {finished, true},
		"just after it":         {finished.Add(dumpTail - time.Second), true},
		"when the tail is over": {finished.Add(dumpTail), false},
		"later":                 {finished.Add(time.Hour), false},
	} {
		if got := inactiveSince(backups.Manifest{FinishedAt: finished}, c.lastActive); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}
