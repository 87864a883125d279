package neon

import (
	"net/http"
	"testing"
	"time"
)

// Each answer says anew by how much Neon's clock is ahead, and one that does not say so is no proof of anything.
func TestAhead(t *testing.T) {
	var date []string // the header of the next answer; nil: none
	fakeClock(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = date
		_, _ = w.Write([]byte(`{"branches": []}`))
	}, func(t *testing.T, client *Client, _ *[]string) {
		if _, known := client.Ahead(); known {
			t.Error("known before the first answer")
		}
		at := func(d time.Duration) []string { return []string{time.Now().Add(d).UTC().Format(http.TimeFormat)} }
		for _, c := range []struct {
			name  string
			date  []string
			ahead time.Duration
			known bool
		}{
			{"ahead", at(40 * time.Second), 40 * time.Second, true},
			{"no time", nil, 0, false},
			{"behind", at(-time.Hour), -time.Hour, true},
			{"no time that can be read", []string{"yesterday"}, 0, false},
		} {
			date = c.date
			if _, err := client.Branches(t.Context(), "p", ""); err != nil {
				t.Fatal(err)
			}
			if ahead, known := client.Ahead(); ahead != c.ahead || known != c.known {
				t.Errorf("%s: %v, %v", c.name, ahead, known)
			}
		}
	})
}
