package backup

import (
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
)

func TestRecentEnough(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	stored := func(age time.Duration, verified bool) backups.Backup {
		return backups.Backup{Key: age.String(), Time: now.Add(-age), Verified: verified}
	}
	const maxAge = 24 * time.Hour
	for name, c := range map[string]struct {
		newestFirst []backups.Backup
		want        string // empty: none
	}{
		"none":                  {nil, ""},
		"of today":              {[]backups.Backup{stored(time.Hour, true), stored(25*time.Hour, true)}, "1h0m0s"},
		"just old enough":       {[]backups.Backup{stored(maxAge, true)}, "24h0m0s"},
		"too old":               {[]backups.Backup{stored(maxAge+time.Second, true)}, ""},
		"not verified":          {[]backups.Backup{stored(time.Hour, false)}, ""},
		"only the one before":   {[]backups.Backup{stored(time.Hour, false), stored(2*time.Hour, true)}, "2h0m0s"},
		"the one before is old": {[]backups.Backup{stored(time.Hour, false), stored(25*time.Hour, true)}, ""},
	} {
		newest, ok := recentEnough(c.newestFirst, now, maxAge)
		if newest.Key != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %+v, %t", name, newest, ok)
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
