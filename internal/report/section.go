package report

import (
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/words"
)

// Section is a titled part of the report that a mode adds about the fleet as a whole. Its texts are plain and may hold
// anything; the report escapes them wherever it shows them.
type Section struct {
	Title string `json:"title"`
	// Lines are sentences, shown as a list.
	Lines []string `json:"lines"`
	// Pie shows parts of the fleet, in place of the pie of how the tenants ended. It is left out if it would be nearly
	// one colour.
	Pie []Slice `json:"pie,omitempty"`
	// Bars follow the lines. They are left out if there are fewer than two, or none is as long as a second.
	Bars Bars `json:"bars,omitzero"`
	// Blocks follow the lines.
	Blocks []Block `json:"blocks,omitempty"`
}

// Bars is a chart that compares a few durations.
type Bars struct {
	Title string `json:"title"`
	Bars  []Bar  `json:"bars"`
}

// Bar is one bar of a chart.
type Bar struct {
	Label    string `json:"label"`
	LengthMS int64  `json:"length_ms"`
}

// Slice is one part of a pie.
type Slice struct {
	Label  string `json:"label"`
	Colour string `json:"colour"` // "#2da44e"
	Count  int    `json:"count"`
}

// Block is a titled difference between two texts or some SQL, and the tenants it is about.
type Block struct {
	Title string `json:"title"`
	// Diff is the difference's lines, each of which begins with "+ ", "- ", "~ " or blanks.
	Diff []string `json:"diff"`
	// Names are the tenants' names.
	Names []string `json:"names"`
	// SQL is a text to paste, in lines. It is shown instead of a difference.
	SQL []string `json:"sql,omitempty"`
}

// addSections shows the mode's sections in the summary.
func addSections(p *page, r Run, keep int) {
	for _, s := range r.Sections {
		p.add(s.head(), keep)
		p.add(pie(s.Pie), keep)
		p.add(s.Bars.markdown(), keep)
		addBlocks(p, r, s.Blocks, keep)
	}
}

// head is the section's title and lines.
func (s Section) head() string {
	var b strings.Builder
	b.WriteString("### " + prose(s.Title) + "\n\n")
	for _, line := range s.Lines {
		b.WriteString("- " + prose(clip(line, 4<<10)) + "\n")
	}
	return b.String() + "\n"
}

// Markdown is the section as the summary shows it, for another page, whose length is not bounded here.
func (s Section) Markdown() string {
	text := s.head() + pie(s.Pie) + s.Bars.markdown()
	for _, b := range s.Blocks {
		text += b.markdown()
	}
	return text
}

// addBlocks shows the first blocks and the number of the others.
func addBlocks(p *page, r Run, blocks []Block, keep int) {
	const shown = 20
	for i, b := range blocks {
		if i == shown || !p.add(b.markdown(), keep+p.limit/2) {
			p.add("… "+words.More(len(blocks)-i)+seeReport(r)+"\n\n", keep)
			return
		}
	}
}

func (b Block) markdown() string {
	title := "#### " + prose(b.Title)
	const few = 3
	if n := len(b.Names); n > 0 && n <= few {
		title += ": " + words.ListFunc(b.Names, few, codeName)
	}
	text := title + "\n\n"
	if len(b.Diff) > 0 {
		text += fence("diff", b.Diff) + "\n"
	}
	if len(b.SQL) > 0 {
		text += fence("sql", b.SQL) + "\n"
	}
	if len(b.Names) > few {
		text += foldedNames(b.Names)
	}
	return text
}

// codeName shows a name in code style, shortened if it is very long.
func codeName(name string) string { return code(clip(name, 500)) }

// foldedNames is a list of names that a reader can unfold.
func foldedNames(names []string) string {
	const shown = 1000
	return fmt.Sprintf("<details><summary>All %d</summary>\n\n%s\n\n</details>\n\n",
		len(names), words.ListFunc(names, shown, codeName))
}

// Text is the section as the log shows it, for [Console.Line].
func (s Section) Text() string {
	const (
		shownBlocks = 10
		shownLines  = 20 // of each block's difference
		shownNames  = 5
	)
	lines := []string{oneLine(s.Title)}
	for _, line := range s.Lines {
		lines = append(lines, oneLine(line))
	}
	for i, b := range s.Blocks {
		if i == shownBlocks {
			lines = append(lines, words.More(len(s.Blocks)-i))
			break
		}
		title := b.Title
		if len(b.Names) > 0 {
			title += ": " + words.List(b.Names, shownNames)
		}
		lines = append(lines, oneLine(title))
		for _, line := range b.Diff[:min(shownLines, len(b.Diff))] {
			lines = append(lines, indent+visible(clip(line, 500)))
		}
		for _, line := range b.SQL {
			lines = append(lines, indent+visible(clip(line, 500)))
		}
		if more := len(b.Diff) - shownLines; more > 0 {
			lines = append(lines, indent+moreLines(more))
		}
	}
	return strings.Join(lines, "\n")
}
