package records

import (
	"testing"
	"time"
)

// A branch that was replaced is not known any more, in whatever order the reports of the runs are read; others are.
func TestReplaced(t *testing.T) {
	at := time.Date(2026, 11, 27, 18, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		branch string
		at     time.Time
		known  bool
	}{
		"before the run":      {"staging", at.Add(-time.Second), true},
		"after the run began": {"staging", at, false},
		"another branch":      {"stag", at.Add(time.Hour), true},
		"the default one":     {"(default)", at.Add(time.Hour), true},
		"a name with blanks":  {"staging neondb", at.Add(time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := Record{Place: "neon p-1 staging neondb owner schema_migrations", CurrentAt: at, Applied: "digest"}
			var first, last Book
			first.Replaced("a", c.branch, c.at)
			for _, b := range []*Book{&first, &last} {
				b.Note("a", r, at)
			}
			last.Replaced("a", c.branch, c.at)
			for _, b := range []*Book{&first, &last} {
				if got, ok := b.Of("a"); !ok || got.Known() != c.known || (got.Applied != "") != c.known {
					t.Errorf("the record is %+v", got)
				}
			}
		})
	}
	if OnBranch("server s staging schema_migrations", "staging") {
		t.Error("a server has no branches")
	}
}
