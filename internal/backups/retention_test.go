package backups_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/backups"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// every returns n verified backups, newest first.
func every(from time.Time, step time.Duration, n int) []backups.Backup {
	var made []backups.Backup
	for i := range n {
		at := from.Add(-time.Duration(i) * step)
		key := backups.Key{Folder: "acme/", Time: at, Major: 17, Kind: backups.PlainGzip}
		made = append(made, backups.Backup{Key: key.String(), Time: at, Verified: true})
	}
	return made
}

func unverified(made []backups.Backup, which ...int) []backups.Backup {
	for _, i := range which {
		made[i].Verified = false
	}
	return made
}

func TestPlan(t *testing.T) {
	night := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	epiphany := time.Date(2027, 1, 6, 3, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, test := range []struct {
		name    string
		now     time.Time
		backups []backups.Backup
		policy  backups.Policy
		protect int // index of the one just written; -1: none
	}{
		{"days", night, every(night, day, 12), backups.Policy{Days: 7, KeepLast: 1}, 0},
		{"days-to-the-second", night.Add(time.Second), every(night, day, 9), backups.Policy{Days: 7}, -1},
		{"nothing-fresh", night.Add(90 * day), every(night, day, 6), backups.Policy{Days: 7, KeepLast: 2}, -1},
		{"keep-last-zero", night.Add(90 * day), every(night, day, 3), backups.Policy{Days: 7}, -1},
		{"no-rules", night, every(night, day, 3), backups.Policy{}, 0},
		{"grandfathers", night, every(night, day, 120),
			backups.Policy{Days: 2, KeepLast: 1, Daily: 7, Weekly: 4, Monthly: 3}, 0},
		{"oldest-of-a-short-history", night, every(night, 6*time.Hour, 10), backups.Policy{Daily: 5, Weekly: 3}, 0},
		{"iso-weeks-at-new-year", epiphany, every(epiphany, day, 14),
			backups.Policy{Weekly: 3}, 0},
		{"gaps", night, slices.Concat(every(night, day, 2), every(night.Add(-40*day), 30*day, 4)),
			backups.Policy{Daily: 3, Monthly: 2}, 0},
		{"unverified", night, unverified(every(night, day, 12), 1, 3, 9, 11),
			backups.Policy{Days: 4, KeepLast: 3, Daily: 5}, 0},
		{"unverified-and-fresh", night, unverified(every(night, 8*time.Hour, 7), 1, 2, 3, 4), backups.Policy{KeepLast: 1}, 0},
		{"newest-are-unverified", night.Add(60 * day), unverified(every(night, day, 6), 0, 1, 4),
			backups.Policy{Days: 7, KeepLast: 1}, -1},
		{"none-verified", night.Add(60 * day), unverified(every(night, day, 4), 0, 1, 2, 3),
			backups.Policy{Days: 7, KeepLast: 1}, -1},
		{"just-written-is-old", night.Add(60 * day), every(night, day, 3), backups.Policy{Days: 7}, 2},
		{"clock-behind", night.Add(-2 * day), every(night, day, 3), backups.Policy{Days: 1}, -1},
		{"same-second", night, slices.Concat(every(night.Add(-9*day), 0, 1), []backups.Backup{
			{Key: "acme/20261113T030000Z-pg18.sql.gz", Time: night.Add(-9 * day), Verified: true},
		}),
			backups.Policy{KeepLast: 1}, -1},
		{"empty", night, nil, backups.Policy{Days: 7, KeepLast: 1, Daily: 3}, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			protect := ""
			if test.protect >= 0 {
				protect = test.backups[test.protect].Key
			}
			decisions := backups.Plan(test.now, test.backups, test.policy, protect)
			// The order of the backups must not matter.
			shuffled := slices.Clone(test.backups)
			slices.Reverse(shuffled)
			if diff := cmp.Diff(decisions, backups.Plan(test.now, shuffled, test.policy, protect)); diff != "" {
				t.Errorf("another order gives other decisions:\n%s", diff)
			}
			var b strings.Builder
			fmt.Fprintf(&b, "now %s, %+v, protect %q\n", test.now.Format(time.RFC3339), test.policy, protect)
			verified, deleted := 0, 0
			for _, d := range decisions {
				what, mark := "remove", ""
				if d.Keep {
					what = "keep"
				}
				if !d.Verified {
					mark = " (not verified)"
				}
				fmt.Fprintf(&b, "%-6s %s%s: %s\n", what, d.Key, mark, strings.Join(d.Reasons, ", "))
				if !d.Keep {
					deleted++
				}
				if !d.Keep && d.Verified {
					deleted++ // its manifest
				}
				if !d.Keep && (d.Key == protect || d.Verified && verified < test.policy.KeepLast) {
					t.Errorf("%s must be kept", d.Key)
				}
				if d.Verified {
					verified++
				}
			}
			fmt.Fprintf(&b, "%d keys to delete\n", deleted)
			golden(t, test.name, b.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "retention", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
