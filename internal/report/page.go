package report

import "strings"

// maxSummary is the largest size of a summary, in bytes. GitHub drops a summary of more than 1 MiB altogether; the
// margin is for what else the step may write to the same file.
const maxSummary = 900 << 10

// page builds a Markdown text that never exceeds its limit, in bytes.
type page struct {
	b     strings.Builder
	limit int
}

// add appends a piece if all of it fits and leaves keep bytes free for what must follow. It reports whether it did.
func (p *page) add(piece string, keep int) bool {
	if p.b.Len()+len(piece)+keep > p.limit {
		return false
	}
	p.b.WriteString(piece)
	return true
}
