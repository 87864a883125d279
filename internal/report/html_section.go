package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// htmlSection is a section of a mode as the page shows it.
type htmlSection struct {
	ID     string // an anchor
	Title  string
	Lines  []string
	Parts  []htmlShare
	Bars   htmlBars
	Blocks []htmlBlock
	More   string
}

type (
	htmlBlock struct {
		Title string
		Diff  []htmlLine
		SQL   string
		Names htmlList[string]
	}
	// htmlLine is a line of a difference, and what it does there: added, removed, changed or context.
	htmlLine struct{ Kind, Text string }

	htmlBars struct {
		Title string
		Rows  []htmlBar
	}
	htmlBar struct{ Label, Time, Width string } // the width in percent

	htmlCount struct {
		State, Label string
		Count        int
	}
	// htmlShare is a part of a whole, which a bar shows from one percentage on for another. It has the colour of its
	// state, or one of its own.
	htmlShare struct {
		State, Colour, Label, From, Width string
		Count                             int
	}
)

func newHTMLSection(id string, s Section, r Run) htmlSection {
	blocks := capped(s.Blocks, htmlItems, func(b Block) htmlBlock { return newHTMLBlock(b, r) }, r)
	v := htmlSection{
		ID: id, Title: oneLine(clip(s.Title, htmlText4)), Lines: texts(s.Lines),
		Parts: shares(telling(s.Pie)), Blocks: blocks.Items, More: blocks.More,
	}
	if s.Bars.worth() {
		v.Bars = newHTMLBars(s.Bars)
	}
	return v
}

func newHTMLBlock(b Block, r Run) htmlBlock {
	const inTitle = 3
	v := htmlBlock{Title: oneLine(clip(b.Title, htmlText4)), Names: nameItems(b.Names, r)}
	if n := len(b.Names); n > 0 && n <= inTitle {
		v.Title += ": " + words.ListFunc(b.Names, inTitle, func(name string) string {
			return displayName(fleet.Tenant{Name: name})
		})
	}
	if len(b.SQL) > 0 {
		v.SQL = visibleLines(b.SQL)
	}
	if len(b.Diff) > 0 {
		for _, line := range strings.Split(visibleLines(b.Diff), "\n") {
			v.Diff = append(v.Diff, htmlLine{diffKind(line), line})
		}
	}
	return v
}

func diffKind(line string) string {
	switch {
	case strings.HasPrefix(line, "+"):
		return "added"
	case strings.HasPrefix(line, "-"):
		return "removed"
	case strings.HasPrefix(line, "~"):
		return "changed"
	default:
		return "context"
	}
}

func newHTMLBars(b Bars) htmlBars {
	v := htmlBars{Title: oneLine(clip(b.Title, htmlText4))}
	if len(b.Bars) == 0 {
		return v
	}
	longest := max(b.longest(), time.Millisecond)
	for _, bar := range b.Bars[:min(htmlItems, len(b.Bars))] {
		v.Rows = append(v.Rows, htmlBar{
			oneLine(clip(bar.Label, 200)), words.Duration(bar.length()), percent(int(bar.length()), int(longest)),
		})
	}
	return v
}

// shares are the parts of a pie in their order.
func shares(parts []Slice) []htmlShare {
	total := 0
	for _, s := range parts {
		total += s.Count
	}
	var all []htmlShare
	before := 0
	for _, s := range parts {
		if s.Count <= 0 {
			continue
		}
		all = append(all, htmlShare{
			Colour: s.colour(), Label: oneLine(clip(s.Label, 200)), Count: s.Count,
			From: percent(before, total), Width: percent(s.Count, total),
		})
		before += s.Count
	}
	return all
}

// stateShares shows how the tenants ended.
func stateShares(t Totals) []htmlShare {
	var parts []Slice
	for _, c := range htmlTotals(t) {
		parts = append(parts, Slice{Label: c.State, Count: c.Count})
	}
	all := shares(parts)
	for i := range all {
		all[i].State, all[i].Colour = all[i].Label, ""
	}
	return all
}

// htmlTotals counts the states that tenants ended in.
func htmlTotals(t Totals) []htmlCount {
	var counts []htmlCount
	for _, c := range []htmlCount{
		{string(fleet.Failed), "Failed", t.Failed}, {string(fleet.Succeeded), "Succeeded", t.Succeeded},
		{string(fleet.Unchanged), "Unchanged", t.Unchanged}, {string(fleet.Skipped), "Skipped", t.Skipped},
	} {
		if c.Count > 0 {
			counts = append(counts, c)
		}
	}
	return counts
}

func percent(part, whole int) string {
	return fmt.Sprintf("%.4g", 100*float64(part)/float64(max(whole, 1)))
}
