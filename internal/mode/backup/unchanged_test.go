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

func TestActiveSince(t *testing.T) {
	until := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	proof := &backups.Quiet{Until: until, Next: "1000"}
	for name, c := range map[string]struct {
		proof      *backups.Quiet
		lastActive time.Time
		want       active
	}{
		"before the look":       {proof, until.Add(-time.Hour), notSince},
		"at the look":           {proof, until, notSince},
		"just after it":         {proof, until.Add(time.Microsecond), perhaps},
		"within the tail":       {proof, until.Add(dumpTail - time.Second), perhaps},
		"when the tail is over": {proof, until.Add(dumpTail), sinceThen},
		"later":                 {proof, until.Add(time.Hour), sinceThen},
		"without a proof":       {nil, until.Add(-time.Hour), sinceThen},
	} {
		if got := activeSince(c.proof, c.lastActive); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
