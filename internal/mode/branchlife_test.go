package mode

import (
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestBranchLife(t *testing.T) {
	const day = 24 * time.Hour
	const longest = fleet.LongestBranchLife - time.Minute
	for text, want := range map[string]time.Duration{
		"1m": time.Minute, "36h": 36 * time.Hour, "7d": 7 * day, "1d12h": 36 * time.Hour, "0d90m": 90 * time.Minute,
		"29d": 29 * day, "30d": longest, "720h": longest,
		// Zero is a mistake.
		"1s": 0, "59s": 0, "0d": 0, "30d1s": 0, "31d": 0, "721h": 0, "-1h": 0, "2d-1h": 0, "d": 0, "7": 0, "7d ": 0,
		"1.5d": 0, "1h1d": 0, "999d": 0, "9999999d": 0, "one day": 0,
	} {
		got, err := ParseBranchLife(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "write for example 12h or 7d") {
			t.Errorf("%q: %v has no remedy", text, err)
		}
	}
}
