package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// Closing is the end of the log, for [Console.Line]: a line each for the totals, the tenants that failed, the report
// file and the page. The run's own error is left to [Annotate], which prints it just before.
func Closing(r Run) string {
	all := []string{headline(r) + " in " + words.Duration(r.Elapsed)}
	if failed := r.byState(fleet.Failed); len(failed) > 0 {
		const shown = 20
		all = append(all, "failed: "+words.ListFunc(failed, shown, func(res *fleet.Result) string {
			return displayName(res.Tenant)
		}))
	}
	if r.ReportFile != "" {
		all = append(all, "report: "+oneLine(r.ReportFile))
	}
	if r.PageFile != "" {
		all = append(all, "page: "+oneLine(r.PageFile))
	}
	return strings.Join(all, "\n")
}

// headline says in one line how the run went: "migrate: 2 of 500 tenants failed (420 succeeded, 78 unchanged)".
func headline(r Run) string {
	t := r.Totals()
	var rest []string
	for _, c := range []struct {
		n    int
		word string
	}{{t.Succeeded, "succeeded"}, {t.Unchanged, "unchanged"}, {t.Skipped, "skipped"}} {
		if c.n > 0 && c.n < t.Total {
			rest = append(rest, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	text := subject(r) + ": " + verdict(t, r.Err)
	if len(rest) > 0 {
		text += " (" + strings.Join(rest, ", ") + ")"
	}
	return oneLine(text)
}

// subject says which run it was: "migrate (dry run), shard 2/8".
func subject(r Run) string {
	text := cmp.Or(r.Mode, "neon-tenants-action")
	if r.DryRun {
		text += " (dry run)"
	}
	if r.Shard != "" {
		text += ", " + r.name()
	}
	return text
}

// verdict is the one thing to know about a run.
func verdict(t Totals, err error) string {
	switch {
	case t.Failed > 0:
		return shareOf(t.Failed, t.Total) + " failed"
	case err != nil && t.Total == 0:
		return "failed before any tenant was touched"
	case err != nil && t.Skipped > 0:
		return "the run failed, " + shareOf(t.Skipped, t.Total) + " skipped"
	case err != nil:
		return "the run failed, though no tenant did"
	case t.Total == 0:
		return "no tenants"
	case t.Unchanged == t.Total:
		return shareOf(t.Total, t.Total) + " unchanged"
	case t.Skipped > 0:
		return shareOf(t.Skipped, t.Total) + " skipped"
	default:
		return shareOf(t.Total, t.Total) + " done"
	}
}

// shareOf says how many of the tenants: "2 of 500 tenants", "all 500 tenants", "1 tenant".
func shareOf(n, total int) string {
	switch {
	case n != total:
		return fmt.Sprintf("%d of %s", n, tenants(total))
	case total == 1:
		return tenants(total)
	default:
		return "all " + tenants(total)
	}
}
