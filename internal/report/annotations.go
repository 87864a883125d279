package report

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/org/neon-tenants-action/internal/fleet"
)

const (
	// maxAnnotations is how many errors, and how many warnings, GitHub shows for one step.
	maxAnnotations = 10
	// maxMessage is where the runner cuts an annotation, in UTF-16 code units.
	maxMessage = 4096
)

// annotation is one error or warning to be shown beside the run, and at its file where it has one.
type annotation struct {
	text, remedy string
	file         string
	line         int
	tenants      int // how many tenants it stands for; 0 where it is the run's own
}

// Annotate prints what went wrong as annotations: at most ten errors and ten warnings, of which the tenth tells how much
// more there is. Tenants that failed alike share one.
func Annotate(c *Console, r Run) {
	for _, a := range limitAnnotations(errorAnnotations(r), "errors", r.ReportFile) {
		c.Error(a.message(), a.file, a.line)
	}
	for _, a := range limitAnnotations(warningAnnotations(r), "warnings", r.ReportFile) {
		c.Warning(a.message(), a.file, a.line)
	}
}

func errorAnnotations(r Run) []annotation {
	var all []annotation
	if r.Err != nil {
		file, line := fleet.Location(r.Err)
		all = append(all, annotation{text: r.Err.Error(), remedy: fleet.Remedy(r.Err), file: file, line: line})
	}
	for _, f := range failures(r.Results) {
		all = append(all, annotation{who(f.results) + ": " + f.text, f.remedy, f.file, f.line, len(f.results)})
	}
	return all
}

func warningAnnotations(r Run) []annotation {
	var all []annotation
	for _, w := range r.Warnings {
		all = append(all, annotation{text: w})
	}
	for _, w := range warnings(r.Results) {
		all = append(all, annotation{text: who(w.results) + ": " + w.text, tenants: len(w.results)})
	}
	return all
}

// who names the tenants that share an error: one by name, a few by names, many by their number and the first names.
func who(results []fleet.Result) string {
	const shown = 3
	var names []string
	for _, r := range results[:min(shown, len(results))] {
		names = append(names, displayName(r.Tenant))
	}
	switch list := strings.Join(names, ", "); {
	case len(results) == 1:
		return list
	case len(results) <= shown:
		return fmt.Sprintf("%s (%s)", tenants(len(results)), list)
	default:
		return fmt.Sprintf("%s (%s, …)", tenants(len(results)), list)
	}
}

// limitAnnotations keeps what GitHub shows and lets the last one say what is left out.
func limitAnnotations(all []annotation, kind, reportFile string) []annotation {
	if len(all) <= maxAnnotations {
		return all
	}
	left, hit := all[maxAnnotations-1:], 0
	for _, a := range left {
		hit += a.tenants
	}
	text := fmt.Sprintf("there are %d more %s", len(left), kind)
	if hit > 0 {
		text += " of " + tenants(hit)
	}
	text += ": see the job's summary"
	if reportFile != "" {
		text += " and " + reportFile
	}
	return append(all[:maxAnnotations-1:maxAnnotations-1], annotation{text: text})
}

// message is the annotation's text with its remedy, within the runner's limit. The error is cut rather than the remedy.
func (a annotation) message() string {
	// Made inert here too, which does not change it again later, so that the limit holds for what is printed.
	text := strings.Join(splitLines(a.text), "\n")
	if a.remedy == "" {
		return clipUTF16(text, maxMessage)
	}
	remedy := "\nwhat to do: " + clipUTF16(oneLine(a.remedy), maxMessage/2)
	return clipUTF16(text, maxMessage-utf16Len(remedy)) + remedy
}

func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// clipUTF16 is [clip] in UTF-16 code units.
func clipUTF16(s string, limit int) string {
	n := 0
	for i, r := range s {
		size := max(utf16.RuneLen(r), 1)
		if n+size >= limit && utf16Len(s[i:]) > limit-n {
			return s[:i] + "…"
		}
		n += size
	}
	return s
}
