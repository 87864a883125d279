package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// addFailures writes each way of failing once: who, where, the error, the remedy.
func addFailures(p *page, r Run, keep int) {
	const shown = 25
	all := failures(r.Results)
	if len(all) == 0 {
		return
	}
	title := "### Failures\n\n"
	if len(all) > 1 && len(all) < r.Totals().Failed {
		title = fmt.Sprintf("### Failures: %s, %d errors\n\n", tenants(r.Totals().Failed), len(all))
	}
	p.add(title, keep)
	for i, f := range all {
		if i == shown || !p.add(failureSection(f, r.SourceURL), keep+p.limit/2) {
			left := 0
			for _, f := range all[i:] {
				left += len(f.results)
			}
			p.add(fmt.Sprintf("And %d more errors of %s%s.\n\n", len(all)-i, tenants(left), seeReport(r)), keep)
			return
		}
	}
}

func failureSection(f failure, sourceURL string) string {
	var b strings.Builder
	b.WriteString("#### " + failureTitle(f) + "\n\n")
	if f.file != "" {
		b.WriteString("at " + place(f.file, f.line, sourceURL) + "\n\n")
	}
	b.WriteString(fenced(f.text) + "\n")
	if f.remedy != "" {
		b.WriteString("**What to do:** " + prose(clip(f.remedy, 2<<10)) + "\n\n")
	}
	b.WriteString(nameList(f.results))
	return b.String()
}

// failureTitle names one tenant, or counts many and names the first.
func failureTitle(f failure) string {
	const named = 3
	var names []string
	for _, r := range f.results[:min(named, len(f.results))] {
		names = append(names, code(displayName(r.Tenant)))
	}
	switch n := len(f.results); {
	case n == 1:
		return names[0]
	case n <= named:
		return fmt.Sprintf("%d tenants: %s", n, strings.Join(names, ", "))
	default:
		return fmt.Sprintf("%d tenants: %s and %d more", n, strings.Join(names, ", "), n-named)
	}
}

// nameList folds all the names away where the title does not hold them all.
func nameList(results []fleet.Result) string {
	const titled = 3
	if len(results) <= titled {
		return ""
	}
	var names []string
	for _, r := range results {
		names = append(names, displayName(r.Tenant))
	}
	return foldedNames(names)
}

// foldedNames is a list of names that a reader can open.
func foldedNames(names []string) string {
	const listed = 1000
	var all []string
	for _, name := range names[:min(listed, len(names))] {
		all = append(all, code(clip(name, 500)))
	}
	if more := len(names) - listed; more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("<details><summary>All %d</summary>\n\n%s\n\n</details>\n\n", len(names), strings.Join(all, ", "))
}

// addWarnings lists the tenants' warnings, each text once.
func addWarnings(p *page, r Run, keep int) {
	const shown = 15
	all := warnings(r.Results)
	if len(all) == 0 {
		return
	}
	p.add("### Warnings\n\n", keep)
	for i, w := range all {
		line := "- " + failureTitle(w) + ": " + prose(clip(w.text, 1<<10)) + "\n"
		if i == shown || !p.add(line, keep+p.limit/3) {
			p.add(fmt.Sprintf("- and %d more warnings%s\n", len(all)-i, seeReport(r)), keep)
			break
		}
	}
	p.add("\n", keep)
}

// seeReport points to the report file, where there is one.
func seeReport(r Run) string {
	if r.ReportFile == "" {
		return ""
	}
	return ": see " + code(clip(r.ReportFile, 500))
}

// tableGroup is a run of rows in the table of tenants.
type tableGroup struct {
	title   string
	icon    string
	results []fleet.Result
}

// addTenants lists every tenant: failed, warned, succeeded, unchanged, skipped. A small fleet is one table; of a large
// one each kind is a table of its own, folded.
func addTenants(p *page, r Run, keep int) {
	const small = 40
	if len(r.Results) == 0 {
		return
	}
	var warned, succeeded []fleet.Result
	for _, res := range r.byState(fleet.Succeeded) {
		if len(res.Outcome.Warnings) > 0 {
			warned = append(warned, res)
		} else {
			succeeded = append(succeeded, res)
		}
	}
	groups := []tableGroup{
		{"failed", stateIcons[fleet.Failed], r.byState(fleet.Failed)},
		{"succeeded with warnings", warnedIcon, warned},
		{"succeeded", stateIcons[fleet.Succeeded], succeeded},
		{"unchanged", stateIcons[fleet.Unchanged], r.byState(fleet.Unchanged)},
		{"skipped", stateIcons[fleet.Skipped], r.byState(fleet.Skipped)},
	}
	names := map[string]int{}
	for _, res := range r.Results {
		names[res.Tenant.Name]++
	}
	row := func(res fleet.Result) string { return tableRow(res, names[res.Tenant.Name] > 1) }

	p.add("### Tenants\n\n", keep)
	if len(r.Results) <= small {
		p.add(tableHead, keep)
		for _, g := range groups {
			addRows(p, g.results, row, keep)
		}
		p.add("\n", keep)
		return
	}
	for _, g := range groups {
		if len(g.results) == 0 {
			continue
		}
		head := fmt.Sprintf("<details><summary>%s %d %s</summary>\n\n%s", g.icon, len(g.results), g.title+sharedReason(g.results), tableHead)
		const foot = "\n</details>\n\n"
		if !p.add(head, keep+len(foot)+1<<10) {
			p.add(fmt.Sprintf("%d %s%s\n\n", len(g.results), g.title, seeReport(r)), keep)
			continue
		}
		written := addRows(p, g.results, row, keep+len(foot)+1<<10)
		if left := len(g.results) - written; left > 0 {
			p.add(fmt.Sprintf("\n%d more do not fit here%s\n", left, seeReport(r)), keep+len(foot))
		}
		p.add(foot, keep)
	}
}

// sharedReason says why tenants were skipped, where it is for one reason.
func sharedReason(results []fleet.Result) string {
	reason := ""
	for i, r := range results {
		if r.State != fleet.Skipped || r.Err == nil || i > 0 && r.Err.Error() != reason {
			return ""
		}
		reason = r.Err.Error()
	}
	return ": " + prose(clipRunes(reason, 160))
}

const tableHead = "| | Tenant | Result | Took |\n|:-:|:--|:--|--:|\n"

// addRows writes rows while they fit, and returns how many did.
func addRows(p *page, results []fleet.Result, row func(fleet.Result) string, keep int) int {
	for i, res := range results {
		if !p.add(row(res), keep) {
			return i
		}
	}
	return len(results)
}

// tableRow is one tenant; withID tells namesakes apart.
func tableRow(r fleet.Result, withID bool) string {
	name := code(displayName(r.Tenant))
	if withID {
		name += " " + code(clip(oneLine(clip(r.Tenant.ID, 400)), 100))
	}
	result := r.Outcome.Note
	if result == "" {
		result = string(r.State)
	}
	if r.Err != nil {
		result = firstLine(clip(r.Err.Error(), maxCompared))
	}
	mark, took := stateIcons[r.State], human(r.Elapsed)
	if len(r.Outcome.Warnings) > 0 && r.State != fleet.Failed {
		mark = warnedIcon
	}
	if r.State == fleet.Skipped {
		took = ""
	}
	return "| " + mark + " | " + name + " | " + prose(clipRunes(result, 80)) + " | " + took + " |\n"
}

func clipRunes(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
