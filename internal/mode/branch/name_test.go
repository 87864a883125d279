package branch

import (
	"strings"
	"testing"
	"time"
)

func TestParseLife(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1m": time.Minute, "36h": 36 * time.Hour, "7d": 7 * day, "1d12h": 36 * time.Hour, "30d": maxLife, "720h": maxLife,
		"0d90m": 90 * time.Minute,
		// Zero is a mistake.
		"59s": 0, "0d": 0, "30d1s": 0, "31d": 0, "721h": 0, "-1h": 0, "2d-1h": 0, "d": 0, "7": 0, "7d ": 0, "1.5d": 0,
		"1h1d": 0, "999d": 0, "9999d": 0, "one day": 0,
	} {
		got, err := parseLife(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "write for example 12h or 7d") {
			t.Errorf("%q: %v has no remedy", text, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, refused := range map[string]bool{
		"a": false, "preview/pr-7": false, "dev/größe 日本": false, strings.Repeat("ä", 256): false,
		strings.Repeat("a", 257): true, "a\nb": true, "a\x7fb": true, "a\xffb": true,
	} {
		if err := checkName(name); (err != nil) != refused {
			t.Errorf("%q: %v", name, err)
		}
	}
}
