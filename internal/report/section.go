package report

import "strings"

// Section is a titled part of a run's report that a mode adds: what concerns the fleet and no single tenant. Its texts are
// plain and may hold anything; the report escapes them for where they are shown.
type Section struct {
	Title string `json:"title"`
	// Lines are sentences, shown as a list.
	Lines []string `json:"lines"`
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
	}
}

// text is the section as the log shows it.
func (s Section) text() string {
	lines := []string{oneLine(s.Title)}
	for _, line := range s.Lines {
		lines = append(lines, "  "+oneLine(line))
	}
	return strings.Join(lines, "\n")
}
