package report

import (
	"fmt"
	"strings"
)

// Section is a titled part of a run's report that a mode adds: what concerns the fleet and no single tenant. Its texts are
// plain and may hold anything; the report escapes them for where they are shown.
type Section struct {
	Title string `json:"title"`
	// Lines are sentences, shown as a list.
	Lines []string `json:"lines"`
	// Pie is what a picture shows of the fleet, in place of the one of how the tenants ended. It is left out where it
	// would be next to one colour.
	Pie []Slice `json:"pie,omitempty"`
	// Blocks stand below the lines.
	Blocks []Block `json:"blocks,omitempty"`
}

// Slice is one part of a pie.
type Slice struct {
	Label  string `json:"label"`
	Colour string `json:"colour"` // "#2da44e"
	Count  int    `json:"count"`
}

// Block is a titled difference between two texts, and whom it concerns.
type Block struct {
	Title string `json:"title"`
	// Diff are its lines, each of which begins with "+ ", "- ", "~ " or blanks.
	Diff []string `json:"diff"`
	// Names are tenants, shown as a list.
	Names []string `json:"names"`
}

// addSections shows the mode's sections in the summary.
func addSections(p *page, r Run, keep int) {
	for _, s := range r.Sections {
		var b strings.Builder
		b.WriteString("### " + prose(s.Title) + "\n\n")
		for _, line := range s.Lines {
			b.WriteString("- " + prose(clip(line, 4<<10)) + "\n")
		}
		p.add(b.String()+"\n", keep)
		p.add(pie(s.Pie), keep)
		addBlocks(p, r, s.Blocks, keep)
	}
}

// addBlocks shows the first blocks, and counts the others.
func addBlocks(p *page, r Run, blocks []Block, keep int) {
	const shown = 20
	for i, b := range blocks {
		if i == shown || !p.add(b.markdown(), keep+p.limit/2) {
			p.add(fmt.Sprintf("And %d more%s.\n\n", len(blocks)-i, seeReport(r)), keep)
			return
		}
	}
}

func (b Block) markdown() string {
	title := "#### " + prose(b.Title)
	const few = 3
	if len(b.Names) <= few {
		var names []string
		for _, name := range b.Names {
			names = append(names, code(clip(name, 500)))
		}
		title += ": " + strings.Join(names, ", ")
	}
	text := title + "\n\n"
	if len(b.Diff) > 0 {
		text += fence("diff", b.Diff) + "\n"
	}
	if len(b.Names) > few {
		text += foldedNames(b.Names)
	}
	return text
}

// Text is the section as the log shows it, for [Console.Line].
func (s Section) Text() string {
	const (
		blocks = 10
		diff   = 20 // lines of each
		names  = 5
	)
	lines := []string{oneLine(s.Title)}
	for _, line := range s.Lines {
		lines = append(lines, oneLine(line))
	}
	for i, b := range s.Blocks {
		if i == blocks {
			lines = append(lines, fmt.Sprintf("and %d more", len(s.Blocks)-i))
			break
		}
		who := strings.Join(b.Names[:min(names, len(b.Names))], ", ")
		if more := len(b.Names) - names; more > 0 {
			who += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, oneLine(b.Title+": "+who))
		for _, line := range b.Diff[:min(diff, len(b.Diff))] {
			lines = append(lines, "  "+visible(clip(line, 500)))
		}
		if more := len(b.Diff) - diff; more > 0 {
			lines = append(lines, fmt.Sprintf("  … and %d more lines", more))
		}
	}
	return strings.Join(lines, "\n")
}
