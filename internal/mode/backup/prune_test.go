package backup

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/backups"
)

func TestWouldPrune(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	keyOf := func(daysAgo int) backups.Key {
		return backups.Key{Folder: "acme/", Time: now.AddDate(0, 0, -daysAgo), Major: 17, Kind: backups.PlainGzip}
	}
	stored := func(verified bool, daysAgo ...int) (newestFirst []backups.Backup) {
		for _, days := range daysAgo {
			key := keyOf(days)
			newestFirst = append(newestFirst, backups.Backup{Key: key.String(), Time: key.Time, Verified: verified})
		}
		return newestFirst
	}
	old := func(days int, reason string) Pruned { return Pruned{keyOf(days).String(), reason} }
	for name, c := range map[string]struct {
		existing []backups.Backup
		policy   *backups.Policy
		want     []Pruned
	}{
		"no policy":       {stored(true, 1, 400), nil, nil},
		"none yet":        {nil, &backups.Policy{KeepLast: 1}, nil},
		"all within days": {stored(true, 1, 7), &backups.Policy{Days: 7, KeepLast: 1}, nil},
		"past days": {stored(true, 1, 8), &backups.Policy{Days: 7, KeepLast: 1},
			[]Pruned{old(8, "older than 7 days")}},
		"the new one is the last":   {stored(true, 1), &backups.Policy{KeepLast: 1}, []Pruned{old(1, "no rule keeps it")}},
		"the new one is one of two": {stored(true, 1, 2), &backups.Policy{KeepLast: 2}, []Pruned{old(2, "no rule keeps it")}},
		"not verified": {stored(false, 8), &backups.Policy{Days: 7, KeepLast: 1},
			[]Pruned{old(8, "older than 7 days, never verified")}},
	} {
		if diff := cmp.Diff(c.want, wouldPrune(now, c.existing, c.policy, keyOf(0))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
