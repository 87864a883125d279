package migrate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/words"
)

// sentence says the most important thing.
func (f FleetRehearsal) sentence() string {
	text := f.finding()
	switch {
	case f.Failed > 0:
		failed := fmt.Sprintf("%d of %s failed", f.Failed, words.Count(f.Rehearsed+f.Failed, "rehearsal", "rehearsals"))
		text = strings.TrimSuffix(failed+"; "+text, "; ")
	case text == "" && f.Rehearsed == 0:
		text = f.idle()
	case text == "":
		text = words.Count(f.Rehearsed, "tenant", "tenants") + " rehearsed; no file had to run"
	}
	if others := f.Tenants - f.looked(); others > 0 {
		text += fmt.Sprintf("; %d others were not looked at", others)
	}
	return text
}

// idle says why no tenant was rehearsed.
func (f FleetRehearsal) idle() string {
	var reasons []string
	if f.Unchanged > 0 || f.Missing == 0 {
		reasons = append(reasons, "nothing is pending in any of "+words.Count(f.Unchanged, "tenant", "tenants"))
	}
	if f.Missing > 0 {
		reasons = append(reasons, words.Count(f.Missing, "tenant does", "tenants do")+" not exist yet")
	}
	return strings.Join(reasons, "; ")
}

// finding is what the files were seen to do; "" if none ran.
func (f FleetRehearsal) finding() string {
	var worst FleetUse
	for _, file := range slices.Concat(f.Public, f.Files) {
		for _, w := range file.Rewrites {
			if w.MostMS > worst.MostMS || worst.Table == "" {
				worst = w
			}
		}
	}
	if worst.Table != "" {
		verb := "rewrite"
		if worst.Tenants == 1 {
			verb = "rewrites"
		}
		text := fmt.Sprintf("%d of %s %s %s", worst.Tenants, words.Count(f.looked(), "tenant", "tenants"), verb, worst.Table)
		if l, ok := f.lockOn(worst.Table); ok {
			text += fmt.Sprintf("; the longest, %s, holds %s on it for %s", l.Most, l.Lock, ms(l.MostMS))
		}
		return text
	}
	if f.Longest == "" {
		return ""
	}
	return fmt.Sprintf("no table is rewritten; the longest tenant, %s, takes %s", f.Longest, ms(f.LongestMS))
}

// lockOn returns the lock on a table that was held longest.
func (f FleetRehearsal) lockOn(table string) (longest FleetUse, found bool) {
	for _, file := range slices.Concat(f.Public, f.Files) {
		for _, l := range file.Locks {
			if l.Table == table && (!found || l.MostMS > longest.MostMS) {
				longest, found = l, true
			}
		}
	}
	return longest, found
}
