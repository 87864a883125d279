package report

import (
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// Summary renders the step summary in GitHub's Markdown: how the run went, the failures with their remedies, then every
// tenant. It is valid UTF-8 of at most 900 KiB; what does not fit is left out with a pointer to the report file.
func Summary(r Run) string {
	p := &page{limit: maxSummary}
	const tail = 2 << 10 // for the closing pointer
	p.add("## "+icon(r)+" "+prose(headlineOf(r))+"\n\n", tail)
	p.add(totalsTable(r), tail)
	p.add(runNotes(r), tail)
	addFailures(p, r, tail)
	addWarnings(p, r, tail)
	addSections(p, r, tail)
	p.add(outcomePicture(r), tail)
	p.add(slowestPicture(r.Results), tail)
	addTenants(p, r, tail)
	p.add(footer(r), 0)
	return p.b.String()
}

// icon is the run's outcome at a glance.
func icon(r Run) string {
	switch t := r.Totals(); {
	case r.Failed():
		return "❌"
	case t.Skipped > 0 || len(r.Warnings) > 0:
		return warnedIcon
	default:
		return "✅"
	}
}

func headlineOf(r Run) string {
	head := r.Mode
	if r.DryRun {
		head += " (dry run)"
	}
	if r.Shard != "" {
		head += ", shard " + r.Shard
	}
	return head + ": " + verdict(r)
}

// stateIcons marks states in the summary.
var stateIcons = map[fleet.State]string{fleet.Failed: "❌", fleet.Succeeded: "✅", fleet.Unchanged: "➖", fleet.Skipped: "⏭️"}

// warnedIcon marks a tenant that did not fail but has a warning.
const warnedIcon = "⚠️"

// totalsTable is one row of numbers; states that no tenant ended in have no column.
func totalsTable(r Run) string {
	t := r.Totals()
	head, rule, row := "|", "|", "|"
	column := func(title, value string) {
		head += " " + title + " |"
		rule += "--:|"
		row += " " + value + " |"
	}
	for _, c := range []struct {
		state fleet.State
		title string
		n     int
	}{
		{fleet.Failed, "Failed", t.Failed}, {fleet.Succeeded, "Succeeded", t.Succeeded},
		{fleet.Unchanged, "Unchanged", t.Unchanged}, {fleet.Skipped, "Skipped", t.Skipped},
	} {
		if c.n > 0 {
			column(stateIcons[c.state]+" "+c.title, fmt.Sprintf("**%d**", c.n))
		}
	}
	column("Tenants", fmt.Sprint(t.Total))
	column("Took", human(r.Elapsed))
	return head + "\n" + rule + "\n" + row + "\n\n"
}

// runNotes is what concerns the whole run: its error, its warnings, its notices.
func runNotes(r Run) string {
	var b strings.Builder
	if r.Err != nil {
		b.WriteString("> [!CAUTION]\n> **The run failed:** " + prose(clip(r.Err.Error(), 4<<10)) + "\n")
		if remedy := fleet.Remedy(r.Err); remedy != "" {
			b.WriteString(">\n> **What to do:** " + prose(clip(remedy, 4<<10)) + "\n")
		}
		b.WriteString("\n")
	}
	if r.DryRun {
		b.WriteString("> [!NOTE]\n> This was a dry run: nothing was changed anywhere.\n\n")
	}
	b.WriteString(alert("WARNING", r.Warnings))
	b.WriteString(alert("NOTE", r.Notices))
	return b.String()
}

// alert is a box with a few sentences.
func alert(kind string, texts []string) string {
	const shown = 20
	if len(texts) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("> [!" + kind + "]\n")
	if len(texts) == 1 {
		return b.String() + "> " + prose(clip(texts[0], 4<<10)) + "\n\n"
	}
	for _, text := range texts[:min(shown, len(texts))] {
		b.WriteString("> - " + prose(clip(text, 1<<10)) + "\n")
	}
	if more := len(texts) - shown; more > 0 {
		fmt.Fprintf(&b, "> - and %d more\n", more)
	}
	return b.String() + "\n"
}

// footer tells where the rest is.
func footer(r Run) string {
	if r.ReportFile == "" {
		return ""
	}
	return "All results, as JSON: " + code(clip(r.ReportFile, 500)) + "\n"
}
