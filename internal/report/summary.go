package report

import (
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// Summary renders the step summary in GitHub's Markdown: how the run went, the failures with their remedies, then every
// tenant. It is valid UTF-8 of at most 900 KiB; what does not fit is left out with a pointer to the report file.
func Summary(r Run) string {
	p := &page{limit: maxSummary}
	const tail = 2 << 10 // bytes for the footer
	p.add("## "+icon(r)+" "+prose(subject(r)+": "+verdict(r.Totals(), r.Err))+"\n\n", tail)
	p.add(totalsTable(r), tail)
	p.add(runNotes(r), tail)
	addFailures(p, r, tail)
	addWarnings(p, r, tail)
	p.add(wavesTable(r), tail)
	addSections(p, r, tail)
	p.add(outcomePicture(r), tail)
	p.add(slowestPicture(r.Results), tail)
	addTenants(p, r, tail)
	p.add(footer(r), 0)
	return p.b.String()
}

// icon shows at a glance how the run ended.
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

// stateIcons marks states in the summary.
var stateIcons = map[fleet.State]string{
	fleet.Failed: "❌", fleet.Succeeded: "✅", fleet.Unchanged: "➖", fleet.Skipped: "⏭️",
}

// warnedIcon marks a tenant or a run that did not fail but has warnings.
const warnedIcon = "⚠️"

// totalsTable is one row of numbers. States without tenants have no column.
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
	column("Took", words.Duration(r.Elapsed))
	return head + "\n" + rule + "\n" + row + "\n\n"
}

// runNotes is what concerns the run as a whole: its error, its warnings, its notices.
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
		b.WriteString("> [!NOTE]\n> " + r.dryRunNote() + "\n\n")
	}
	b.WriteString(alert("WARNING", r.Warnings))
	b.WriteString(alert("NOTE", r.Notices))
	return b.String()
}

// alert is one of GitHub's coloured boxes, with a few sentences.
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
		b.WriteString("> - … " + words.More(more) + "\n")
	}
	return b.String() + "\n"
}

// footer points to the report file and to the page.
func footer(r Run) string {
	text := ""
	if r.ReportFile != "" {
		text = "All results, as JSON: " + codeName(r.ReportFile) + "\n"
	}
	if r.PageFile == "" {
		return text
	}
	if text != "" {
		text += "\n"
	}
	return text + "As a page to read, filter and sort: " + codeName(r.PageFile) + "\n"
}
