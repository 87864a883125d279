package backup

import (
	"testing"
	"time"
)

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 3, 14, 9, 26, 53, 589e6, time.UTC)
	for text, want := range map[string]string{
		"2h": "2026-03-14T07:26:53.589Z", "7d": "2026-03-07T09:26:53.589Z", "1d1h": "2026-03-13T08:26:53.589Z",
		"2026-03-14T09:26:53Z": "2026-03-14T09:26:53Z", "2026-03-14T10:26:53.25+01:00": "2026-03-14T09:26:53.25Z",
		"2h ago": "2026-03-14T07:26:53.589Z", "7d  ago": "2026-03-07T09:26:53.589Z",
		"2026-03-14 09:26:53Z": "2026-03-14T09:26:53Z", "2026-03-14 10:26:53.25+01:00": "2026-03-14T09:26:53.25Z",
	} {
		got, err := parseMoment(text, now)
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	const neither = " is neither a time nor how long ago; write for example 2026-03-14T09:26:53Z or 2h"
	const zone = " lacks its zone; write 2026-03-14T09:26:53Z if that is UTC, or its offset in place of the Z, such as " +
		"+02:00"
	for text, want := range map[string]string{
		"2026-03-14T09:26:54Z": "2026-03-14T09:26:54Z has not come yet; give a time that has passed, with its zone",
		"2026-03-14T09:26:53":  `"2026-03-14T09:26:53"` + zone,
		"2026-03-14 09:26:53":  `"2026-03-14T09:26:53"` + zone,
		"2026-03-14T09:26Z":    `"2026-03-14T09:26Z"` + neither,
		"2026-13-14T09:26:53":  `"2026-13-14T09:26:53"` + neither,
		"ago":                  `"ago"` + neither,
		"-2h":                  `"-2h"` + neither,
		"noon":                 `"noon"` + neither,
	} {
		if _, err := parseMoment(text, now); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The name tells the moment to the last digit that was given: two moments within a second are two names.
func TestPreservedName(t *testing.T) {
	at := time.Date(2026, 3, 14, 10, 26, 53, 0, time.FixedZone("", 3600))
	if got := preservedName(at); got != "before-restore-to/20260314T092653Z" {
		t.Error(got)
	}
	if got := preservedName(at.Add(250 * time.Millisecond)); got != "before-restore-to/20260314T092653.25Z" {
		t.Error(got)
	}
}
