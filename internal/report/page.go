package report

import "strings"

// maxSummary is the size in bytes that a summary keeps to. GitHub drops a summary over 1 MiB altogether; the margin is
// for what else the step may write to the same file.
const maxSummary = 900 << 10

// page is a Markdown text under construction that never outgrows its limit.
type page struct {
	b     strings.Builder
	limit int
}

// add appends a piece whole if it fits and leaves keep bytes free for what must follow.
func (p *page) add(piece string, keep int) bool {
	if p.b.Len()+len(piece)+keep > p.limit {
		return false
	}
	p.b.WriteString(piece)
	return true
}
