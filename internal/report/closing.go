package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// Closing is the end of the log, for [Console.Line]: the totals, who failed and where the report is, a line each. The run's
// own error is not repeated: [Annotate] has just printed it.
func Closing(r Run) string {
	var all []string
	all = append(all, headline(r)+" in "+human(r.Elapsed))
	if failed := r.byState(fleet.Failed); len(failed) > 0 {
		const shown = 20
		var names []string
		for _, res := range failed[:min(shown, len(failed))] {
			names = append(names, displayName(res.Tenant))
		}
		if more := len(failed) - shown; more > 0 {
			names = append(names, fmt.Sprintf("and %d more", more))
		}
		all = append(all, "failed: "+strings.Join(names, ", "))
	}
	if r.ReportFile != "" {
		all = append(all, "report: "+oneLine(r.ReportFile))
	}
	return strings.Join(all, "\n")
}

// headline says in one line how the run went: "migrate: 2 of 500 tenants failed (420 succeeded, 78 unchanged)".
func headline(r Run) string {
	t := r.Totals()
	var b strings.Builder
	b.WriteString(cmp.Or(r.Mode, "neon-tenants-action"))
	if r.DryRun {
		b.WriteString(" (dry run)")
	}
	if r.Shard != "" {
		b.WriteString(" shard " + r.Shard)
	}
	b.WriteString(": " + verdict(r))
	var rest []string
	for _, c := range []struct {
		n    int
		word string
	}{{t.Succeeded, "succeeded"}, {t.Unchanged, "unchanged"}, {t.Skipped, "skipped"}} {
		if c.n > 0 && c.n < t.Total {
			rest = append(rest, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	if len(rest) > 0 {
		b.WriteString(" (" + strings.Join(rest, ", ") + ")")
	}
	return oneLine(b.String())
}

// verdict is the one thing to know about a run.
func verdict(r Run) string {
	t := r.Totals()
	switch {
	case t.Failed > 0 && t.Failed == t.Total:
		return allOf(t.Total) + " failed"
	case t.Failed > 0:
		return fmt.Sprintf("%d of %s failed", t.Failed, tenants(t.Total))
	case r.Err != nil && t.Total == 0:
		return "failed before any tenant was touched"
	case r.Err != nil && t.Skipped > 0:
		return fmt.Sprintf("the run failed, %d of %s were not started", t.Skipped, tenants(t.Total))
	case r.Err != nil:
		return "the run failed, though no tenant did"
	case t.Total == 0:
		return "no tenants"
	case t.Unchanged == t.Total:
		return allOf(t.Total) + " unchanged"
	case t.Skipped > 0:
		return fmt.Sprintf("%d of %s skipped", t.Skipped, tenants(t.Total))
	default:
		return allOf(t.Total) + " done"
	}
}

func allOf(n int) string {
	if n == 1 {
		return tenants(n)
	}
	return "all " + tenants(n)
}
