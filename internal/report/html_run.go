package report

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// Bounds of the page's parts about the run as a whole. They are wide: a reader scrolls, and nothing cuts the page off.
const (
	htmlItems = 200      // failures, warnings, blocks, report files
	htmlLines = 1000     // of a difference, names in a list, sentences of a section
	htmlText4 = 4 << 10  // bytes of an error or a sentence
	htmlText1 = 64 << 10 // bytes of all the lines of one difference or SQL
)

// htmlRun is what the page shows of a run as a whole.
type htmlRun struct {
	Policy         string
	Style          template.CSS
	Title          string
	Subject        string
	Verdict        string
	State          string // an icon's name
	DryRun         string // what it changed; empty: it was none
	Totals         []htmlCount
	Total          int
	Took           string
	Shares         []htmlShare
	Facts          []htmlFact
	Contents       []htmlLink
	Error          *htmlProblem // nil if the run has none of its own
	Warnings       []string
	Notices        []string
	Failures       htmlList[htmlProblem]
	TenantWarnings htmlList[htmlProblem]
	Reached        string // how far the run got; empty without waves
	Waves          []waveRow
	Sections       []htmlSection
	Slowest        htmlBars
	Merged         htmlList[htmlMerged]
}

// htmlList is as many items as are shown, and a sentence about the others.
type htmlList[T any] struct {
	Title string
	Items []T
	More  string
}

type (
	htmlFact    struct{ Label, Value string }
	htmlLink    struct{ ID, Title string }
	htmlProblem struct {
		Who, Text, Remedy string
		Place, Link       string // the link is empty if the place has no address
		Names             htmlList[string]
	}
	htmlMerged struct {
		File, Shard, Took      string
		Total, Failed, Skipped int
	}
)

func newHTMLRun(r Run) htmlRun {
	t := r.Totals()
	v := htmlRun{
		Policy: htmlPolicy(),
		Style:  template.CSS(htmlStyle), //nolint:gosec // it is a file of this package
		Title:  headline(r), Subject: oneLine(subject(r)), Verdict: oneLine(verdict(t, r.Err)), State: runState(r),
		Totals: htmlTotals(t), Total: t.Total, Took: words.Duration(r.Elapsed),
		Shares: stateShares(t), Facts: htmlFacts(r),
		Warnings: texts(r.Warnings), Notices: texts(r.Notices),
		Failures:       problems(failures(r.Results), r),
		TenantWarnings: problems(warnings(r.Results), r),
		Slowest:        newHTMLBars(slowest(r.Results)),
		Merged:         capped(r.Merged, htmlItems, newHTMLMerged, r),
		Waves:          waveRows(r),
	}
	if r.DryRun {
		v.DryRun = r.dryRunNote()
	}
	if len(v.Waves) > 0 {
		v.Reached = reachedText(r)
	}
	if r.Err != nil {
		file, line := fleet.Location(r.Err)
		p := newHTMLProblem(problem{text: r.Err.Error(), remedy: fleet.Remedy(r.Err), file: file, line: line}, r)
		v.Error = &p
	}
	for i, s := range r.Sections {
		v.Sections = append(v.Sections, newHTMLSection(fmt.Sprintf("section-%d", i+1), s, r))
	}
	v.Contents = v.contents()
	return v
}

// runState is the name of the icon that shows at a glance how the run ended.
func runState(r Run) string {
	switch icon(r) {
	case "❌":
		return string(fleet.Failed)
	case warnedIcon:
		return warned
	default:
		return string(fleet.Succeeded)
	}
}

func htmlFacts(r Run) []htmlFact {
	var facts []htmlFact
	for _, f := range []htmlFact{
		{"Source", r.Source}, {"Shard", r.Shard}, {"Run", r.ID}, {"Began", moment(r.Started)},
	} {
		if f.Value = oneLine(clip(f.Value, 500)); f.Value != "" {
			facts = append(facts, f)
		}
	}
	return facts
}

// moment is a time for people, in UTC; empty for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// contents links to the parts of the page that are there.
func (v htmlRun) contents() []htmlLink {
	var links []htmlLink
	for _, part := range []struct {
		there bool
		htmlLink
	}{
		{len(v.Waves) > 0, htmlLink{"waves", "Waves"}},
		{len(v.Failures.Items) > 0, htmlLink{"failures", "Failures"}},
		{len(v.TenantWarnings.Items) > 0, htmlLink{"warnings", "Warnings"}},
	} {
		if part.there {
			links = append(links, part.htmlLink)
		}
	}
	for _, s := range v.Sections {
		links = append(links, htmlLink{s.ID, s.Title})
	}
	if len(v.Slowest.Rows) > 0 {
		links = append(links, htmlLink{"slowest", "Slowest tenants"})
	}
	if len(v.Merged.Items) > 0 {
		links = append(links, htmlLink{"merged", "Merged from"})
	}
	return links
}

func newHTMLMerged(m MergedRun) htmlMerged {
	return htmlMerged{
		File: oneLine(clip(m.File, 500)), Shard: oneLine(clip(m.Shard, 50)), Total: m.Totals.Total,
		Failed: m.Totals.Failed, Skipped: m.Totals.Skipped,
		Took: words.Duration(time.Duration(m.ElapsedMS) * time.Millisecond),
	}
}

func problems(all []problem, r Run) htmlList[htmlProblem] {
	return capped(all, htmlItems, func(p problem) htmlProblem { return newHTMLProblem(p, r) }, r)
}

func newHTMLProblem(p problem, r Run) htmlProblem {
	v := htmlProblem{
		Who: who(p.results, displayName), Text: paragraphs(p.text), Remedy: paragraphs(p.remedy),
	}
	if p.file != "" {
		v.Place = visible(clip(position(p.file, p.line), 500))
		v.Link = address(p.file, p.line, r.SourceURL)
	}
	var names []string
	for _, res := range p.results {
		names = append(names, res.Tenant.Name)
	}
	v.Names = nameItems(names, r)
	return v
}

// nameItems lists names that a title has no room for.
func nameItems(names []string, r Run) htmlList[string] {
	const inTitle = 3
	if len(names) <= inTitle {
		return htmlList[string]{}
	}
	l := capped(names, htmlLines, func(name string) string { return displayName(fleet.Tenant{Name: name}) }, r)
	l.Title = fmt.Sprintf("All %d", len(names))
	return l
}

// capped is the first items, and a sentence about the others.
func capped[T, V any](all []T, most int, view func(T) V, r Run) htmlList[V] {
	l := htmlList[V]{}
	for i, one := range all {
		if i == most {
			l.More = "… " + words.More(len(all)-i) + inReport(r)
			break
		}
		l.Items = append(l.Items, view(one))
	}
	return l
}

// inReport points to the report file, if there is one.
func inReport(r Run) string {
	if r.ReportFile == "" {
		return ""
	}
	return ": see " + visible(clip(r.ReportFile, 500))
}

// texts are sentences, each on one line.
func texts(all []string) []string {
	var shown []string
	for i, text := range all {
		if i == htmlLines {
			return append(shown, "… "+words.More(len(all)-i))
		}
		shown = append(shown, oneLine(clip(text, htmlText4)))
	}
	return shown
}

// paragraphs is a text of several lines in which every character is visible.
func paragraphs(text string) string {
	return visibleLines(strings.Split(breaks.Replace(strings.TrimRight(clip(text, htmlText4), "\r\n \t")), "\n"))
}

// visibleLines joins lines of text, as far as they are shown.
func visibleLines(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i == htmlLines || b.Len() > htmlText1 {
			b.WriteString(moreLines(len(lines) - i))
			break
		}
		b.WriteString(visible(clip(line, htmlText4)) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
