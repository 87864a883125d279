package migrate

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/migration"
)

func TestParseLimits(t *testing.T) {
	for text, want := range map[string]rehearsalLimits{
		"rewrite>1GB, exclusive>2s, duration>10m": {1_000_000_000, 2 * time.Second, 10 * time.Minute},
		"rewrite > 500 mb":                        {500_000_000, -1, -1},
		"rewrite>1.5kB":                           {1500, -1, -1},
		"rewrite>0":                               {0, -1, -1},
		"exclusive>0\nduration>1h30m":             {-1, 0, 90 * time.Minute},
		"exclusive>0s, duration > 1d":             {-1, 0, 24 * time.Hour},
		"":                                        noLimits,
	} {
		got, err := parseLimits(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"rewrites>1GB":            "rewrite>SIZE, exclusive>DURATION and duration>DURATION",
		"rewrite<1GB":             "write for example rewrite>1GB",
		"rewrite>1XB":             "is no size",
		"rewrite>-1":              "is no size",
		"rewrite>1 GB 2":          "is no size",
		"rewrite>":                "write for example rewrite>1GB",
		"exclusive>2":             "is no duration",
		"exclusive>-2s":           "is no duration",
		"duration>1m,duration>2m": "twice",
		"rewrite>99999999999TB":   "that anything has",
	} {
		if _, err := parseLimits(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestExceeded(t *testing.T) {
	traces := []migration.Trace{{File: "1_a.sql", Elapsed: 4 * time.Second,
		Locks: []migration.TableLock{{Table: "users", Mode: "ACCESS EXCLUSIVE", Held: 3 * time.Second},
			{Table: "orders", Mode: "SHARE", Held: 4 * time.Second}},
		Rewrites: []migration.Rewrite{{Table: "users", Bytes: 2_000_000_000}},
	}, {File: "2_b.sql", Elapsed: 2 * time.Second}}
	for text, want := range map[string][]string{
		"":             nil,
		"rewrite>2GB":  nil,
		"rewrite>1GB":  {"1_a.sql rewrites users, 2 GB (rewrite>1GB)"},
		"exclusive>3s": nil,
		"exclusive>2s": {"1_a.sql holds ACCESS EXCLUSIVE on users for 3s (exclusive>2s)"},
		"duration>6s":  nil,
		"duration>5s":  {"its files take 6s (duration>5s)"},
		"rewrite>0, exclusive>0": {"1_a.sql rewrites users, 2 GB (rewrite>0bytes)",
			"1_a.sql holds ACCESS EXCLUSIVE on users for 3s (exclusive>0s)"},
	} {
		limits, err := parseLimits(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, limits.exceeded(traces)); diff != "" {
			t.Errorf("%q:\n%s", text, diff)
		}
	}
}

func TestEstimate(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		times       []time.Duration
		concurrency int
		want        time.Duration
	}{
		{nil, 4, 0}, {[]time.Duration{3 * s}, 4, 3 * s}, {[]time.Duration{s, s, s, s}, 2, 2 * s},
		{[]time.Duration{s, s, s, 5 * s}, 2, 6 * s}, {[]time.Duration{5 * s, s, s, s}, 2, 5 * s},
	} {
		if got := estimate(c.times, c.concurrency); got != c.want {
			t.Errorf("%v at %d: %s, want %s", c.times, c.concurrency, got, c.want)
		}
	}
}
