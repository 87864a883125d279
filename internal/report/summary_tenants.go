package report

import (
	"fmt"
	"unicode/utf8"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// tenantGroup is the tenants that the table shows together.
type tenantGroup struct {
	title   string
	icon    string
	results []*fleet.Result
}

// addTenants lists every tenant: failed, succeeded with warnings, succeeded, unchanged, skipped. A small fleet is one
// table; of a large one, each group is a table of its own, folded.
func addTenants(p *page, r Run, keep int) {
	const small = 40
	if len(r.Results) == 0 {
		return
	}
	names := make(map[string]int, len(r.Results))
	for i := range r.Results {
		names[r.Results[i].Tenant.Name]++
	}
	row := func(res *fleet.Result) string { return tableRow(res, names[res.Tenant.Name] > 1) }

	p.add("### Tenants\n\n", keep)
	if len(r.Results) > small {
		for _, g := range tenantGroups(r) {
			addFoldedTable(p, r, g, row, keep)
		}
		return
	}
	p.add(tableHead, keep)
	for _, g := range tenantGroups(r) {
		addRows(p, g.results, row, keep)
	}
	p.add("\n", keep)
}

// tenantGroups are the groups of the table in their order.
func tenantGroups(r Run) []tenantGroup {
	var warned, succeeded []*fleet.Result
	for _, res := range r.byState(fleet.Succeeded) {
		if len(res.Outcome.Warnings) > 0 {
			warned = append(warned, res)
		} else {
			succeeded = append(succeeded, res)
		}
	}
	return []tenantGroup{
		{"failed", stateIcons[fleet.Failed], r.byState(fleet.Failed)},
		{"succeeded with warnings", warnedIcon, warned},
		{"succeeded", stateIcons[fleet.Succeeded], succeeded},
		{"unchanged", stateIcons[fleet.Unchanged], r.byState(fleet.Unchanged)},
		{"skipped", stateIcons[fleet.Skipped], r.byState(fleet.Skipped)},
	}
}

// addFoldedTable shows a group as a table that a reader can unfold, or only its size if no table fits.
func addFoldedTable(p *page, r Run, g tenantGroup, row func(*fleet.Result) string, keep int) {
	const (
		foot = "\n</details>\n\n"
		room = len(foot) + 1<<10 // for the foot, and a line that says how much is left out
	)
	n := len(g.results)
	if n == 0 {
		return
	}
	head := fmt.Sprintf("<details><summary>%s %d %s%s</summary>\n\n%s",
		g.icon, n, g.title, sharedReason(g.results), tableHead)
	if !p.add(head, keep+room) {
		p.add(fmt.Sprintf("%d %s%s\n\n", n, g.title, seeReport(r)), keep)
		return
	}
	if left := n - addRows(p, g.results, row, keep+room); left > 0 {
		p.add("\n"+words.Count(left, "more does", "more do")+" not fit here"+seeReport(r)+"\n", keep+len(foot))
	}
	p.add(foot, keep)
}

// sharedReason says why tenants were skipped, if all were skipped for the same reason.
func sharedReason(results []*fleet.Result) string {
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

// addRows adds rows as long as they fit, and returns how many did.
func addRows(p *page, results []*fleet.Result, row func(*fleet.Result) string, keep int) int {
	for i, res := range results {
		if !p.add(row(res), keep) {
			return i
		}
	}
	return len(results)
}

// tableRow is one tenant's row. withID tells it from others of the same name.
func tableRow(r *fleet.Result, withID bool) string {
	name := codeTenant(r.Tenant)
	if withID {
		name += " " + code(clip(oneLine(clip(r.Tenant.ID, 400)), 100))
	}
	mark, took := stateIcons[r.State], words.Duration(r.Elapsed)
	if len(r.Outcome.Warnings) > 0 && r.State != fleet.Failed {
		mark = warnedIcon
	}
	if r.State == fleet.Skipped {
		took = ""
	}
	return "| " + mark + " | " + name + " | " + prose(clipRunes(resultText(r), 80)) + " | " + took + " |\n"
}

// resultText is how a tenant ended, in a line.
func resultText(r *fleet.Result) string {
	switch {
	case r.Err != nil:
		return firstLine(clip(r.Err.Error(), maxCompared))
	case r.Outcome.Note != "":
		return oneLine(clip(r.Outcome.Note, maxCompared))
	default:
		return string(r.State)
	}
}

// clipRunes cuts text to at most limit characters, the last of which is then an ellipsis.
func clipRunes(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
