package report

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

const (
	// maxAnnotations is how many errors, and how many warnings, GitHub shows for one step.
	maxAnnotations = 10
	// maxMessage is the length at which the runner cuts an annotation, in UTF-16 code units.
	maxMessage = 4096
)

// annotation is one error or warning that GitHub shows beside the run, and in its file if it has one.
type annotation struct {
	text, remedy string
	file         string
	line         int
	tenants      int // how many tenants it stands for; 0 if it is the run's own
}

// Announce prints the run's warnings so far, while somebody who watches can still stop it: they take at most half of
// the room that [Annotate] has.
func Announce(c *Console, r *Run) {
	warn(c, warningAnnotations(Run{Warnings: r.Warnings}), maxAnnotations/2, r.ReportFile)
	r.Announced = len(r.Warnings)
}

// Annotate prints what went wrong as annotations: at most ten errors and ten warnings, the last of which says how many
// more there are. Tenants that failed in the same way share one. Warnings that have been announced are not repeated.
func Annotate(c *Console, r Run) {
	for _, a := range limitAnnotations(errorAnnotations(r), maxAnnotations, "errors", r.ReportFile) {
		c.Error(a.message(), a.file, a.line)
	}
	left := maxAnnotations - min(r.Announced, maxAnnotations/2)
	warn(c, warningAnnotations(r)[r.Announced:], left, r.ReportFile)
}

func warn(c *Console, all []annotation, most int, reportFile string) {
	for _, a := range limitAnnotations(all, most, "warnings", reportFile) {
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
		text := who(f.results, displayName) + ": " + f.text
		all = append(all, annotation{text, f.remedy, f.file, f.line, len(f.results)})
	}
	return all
}

func warningAnnotations(r Run) []annotation {
	var all []annotation
	for _, w := range r.Warnings {
		all = append(all, annotation{text: w})
	}
	for _, w := range warnings(r.Results) {
		all = append(all, annotation{text: who(w.results, displayName) + ": " + w.text, tenants: len(w.results)})
	}
	return all
}

// limitAnnotations keeps the first ones; if there are more, the last one says what is left out.
func limitAnnotations(all []annotation, most int, kind, reportFile string) []annotation {
	if len(all) <= most {
		return all
	}
	left, affected := all[most-1:], 0
	for _, a := range left {
		affected += a.tenants
	}
	text := fmt.Sprintf("there are %d more %s", len(left), kind)
	if affected > 0 {
		text += " on " + tenants(affected)
	}
	text += ": see the job's summary"
	if reportFile != "" {
		text += " and " + reportFile
	}
	return append(all[:most-1:most-1], annotation{text: text})
}

// message is the annotation's text with its remedy, within the runner's limit. It is the text that is cut, not the
// remedy.
func (a annotation) message() string {
	// Made inert before it is measured, because escapes lengthen it. Doing that again later changes nothing.
	text := strings.Join(splitLines(a.text), "\n")
	if a.remedy == "" {
		return clipUTF16(text, maxMessage)
	}
	remedy := "\nwhat to do: " + clipUTF16(oneLine(a.remedy), maxMessage/2)
	return clipUTF16(text, maxMessage-utf16Len(remedy)) + remedy
}

// who names the tenants that share an error or a warning: one by its name, several by their number and the first names.
func who(results []*fleet.Result, name func(fleet.Tenant) string) string {
	const shown = 3
	list := words.ListFunc(results, shown, func(r *fleet.Result) string { return name(r.Tenant) })
	if len(results) == 1 {
		return list
	}
	return fmt.Sprintf("%s (%s)", tenants(len(results)), list)
}

// tenants counts: "1 tenant", "12 tenants".
func tenants(n int) string { return words.Count(n, "tenant", "tenants") }

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
