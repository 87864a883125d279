package report

import (
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// addFailures shows each way of failing once: the tenants, the place, the error and the remedy.
func addFailures(p *page, r Run, keep int) {
	const shown = 25
	all := failures(r.Results)
	if len(all) == 0 {
		return
	}
	title := "### Failures\n\n"
	if failed := r.Totals().Failed; len(all) > 1 && len(all) < failed {
		title = fmt.Sprintf("### Failures: %s, %d errors\n\n", tenants(failed), len(all))
	}
	p.add(title, keep)
	for i, f := range all {
		if i == shown || !p.add(f.markdown(r.SourceURL), keep+p.limit/2) {
			affected := 0
			for _, f := range all[i:] {
				affected += len(f.results)
			}
			more := words.Count(len(all)-i, "more error", "more errors")
			p.add("… and "+more+" on "+tenants(affected)+seeReport(r)+"\n\n", keep)
			return
		}
	}
}

// markdown shows the problem as a section.
func (p problem) markdown(sourceURL string) string {
	var b strings.Builder
	b.WriteString("#### " + who(p.results, codeTenant) + "\n\n")
	if p.file != "" {
		b.WriteString("at " + place(p.file, p.line, sourceURL) + "\n\n")
	}
	b.WriteString(fenced(p.text) + "\n")
	if p.remedy != "" {
		b.WriteString("**What to do:** " + prose(clip(p.remedy, 2<<10)) + "\n\n")
	}
	b.WriteString(nameList(p.results))
	return b.String()
}

// codeTenant shows a tenant's name in code style.
func codeTenant(t fleet.Tenant) string { return code(displayName(t)) }

// nameList folds all the names away, unless the title has them all.
func nameList(results []*fleet.Result) string {
	const inTitle = 3
	if len(results) <= inTitle {
		return ""
	}
	var names []string
	for _, r := range results {
		names = append(names, displayName(r.Tenant))
	}
	return foldedNames(names)
}

// addWarnings lists the tenants' warnings, the same text once.
func addWarnings(p *page, r Run, keep int) {
	const shown = 15
	all := warnings(r.Results)
	if len(all) == 0 {
		return
	}
	p.add("### Warnings\n\n", keep)
	for i, w := range all {
		line := "- " + who(w.results, codeTenant) + ": " + prose(clip(w.text, 1<<10)) + "\n"
		if i == shown || !p.add(line, keep+p.limit/3) {
			p.add("- … and "+words.Count(len(all)-i, "more warning", "more warnings")+seeReport(r)+"\n", keep)
			break
		}
	}
	p.add("\n", keep)
}

// seeReport points to the report file, if there is one.
func seeReport(r Run) string {
	if r.ReportFile == "" {
		return ""
	}
	return ": see " + codeName(r.ReportFile)
}
