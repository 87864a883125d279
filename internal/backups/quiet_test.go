package backups_test

import (
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
)

func TestProof(t *testing.T) {
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	look := func(next string, open bool) backups.Look {
		return backups.Look{Quiet: backups.Quiet{Until: at, Next: next}, Open: open}
	}
	for name, c := range map[string]struct {
		before, after backups.Look
		want          bool
	}{
		"nothing happened":            {look("7", false), look("7", false), true},
		"a transaction was completed": {look("7", false), look("8", false), false},
		"one was open before":         {look("7", true), look("7", false), false},
		"one is open after":           {look("7", false), look("7", true), false},
		"nobody looked before":        {backups.Look{}, look("7", false), false},
		"nobody looked at all":        {backups.Look{}, backups.Look{}, false},
	} {
		if q := backups.Proof(c.before, c.after); (q != nil) != c.want || q != nil && (q.Until != at || q.Next != "7") {
			t.Errorf("%s: got %+v", name, q)
		}
	}
}
