package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// outcomePicture is a pie of how the tenants ended, or "" where it would be of one colour or of a handful.
func outcomePicture(t Totals) string {
	const fewest = 10
	type part struct {
		label, colour string
		n             int
	}
	parts := []part{
		{"succeeded", "#2da44e", t.Succeeded}, {"unchanged", "#8c959f", t.Unchanged},
		{"failed", "#cf222e", t.Failed}, {"skipped", "#d4a72c", t.Skipped},
	}
	parts = slices.DeleteFunc(parts, func(s part) bool { return s.n == 0 })
	if len(parts) < 2 || t.Total < fewest {
		return ""
	}
	// By size: Mermaid gives its colours out in that order in some versions and in the text's order in others.
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.n, a.n) })
	var variables, body strings.Builder
	for i, s := range parts {
		fmt.Fprintf(&variables, `, "pie%d": "%s"`, i+1, s.colour)
		fmt.Fprintf(&body, "  \"%s\" : %d\n", s.label, s.n)
	}
	return "```mermaid\n%%{init: {\"theme\": \"base\", \"themeVariables\": {\"pieOpacity\": \"1\"" + variables.String() + "}}}%%\npie showData\n" + body.String() + "```\n\n"
}

// slowestPicture is a bar for each of the slowest tenants, or "" where they took about the same or no time worth seeing.
func slowestPicture(results []fleet.Result) string {
	const (
		bars    = 10
		fewest  = 5
		worth   = 2 * time.Second // a slowest tenant under this needs no picture
		stretch = 2               // how much slower than the median the slowest has to be
	)
	var ran []fleet.Result
	for _, r := range results {
		if r.State != fleet.Skipped {
			ran = append(ran, r)
		}
	}
	slices.SortStableFunc(ran, func(a, b fleet.Result) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	if len(ran) < fewest || ran[0].Elapsed < worth || ran[0].Elapsed < stretch*ran[len(ran)/2].Elapsed {
		return ""
	}
	median := ran[len(ran)/2].Elapsed
	unit, per := "seconds", time.Second
	if ran[0].Elapsed >= 5*time.Minute {
		unit, per = "minutes", time.Minute
	}
	ran = ran[:min(bars, len(ran))]
	var names, values []string
	for _, r := range ran {
		names = append(names, `"`+chartLabel(r.Tenant)+`"`)
		values = append(values, fmt.Sprintf("%.1f", float64(r.Elapsed)/float64(per)))
	}
	return fmt.Sprintf("```mermaid\nxychart-beta horizontal\n  title \"Slowest tenants, %s (the median took %s)\"\n  x-axis [%s]\n  y-axis \"%s\" 0 --> %.1f\n  bar [%s]\n```\n\n",
		unit, human(median), strings.Join(names, ", "), unit, float64(ran[0].Elapsed)/float64(per)*1.05, strings.Join(values, ", "))
}

// chartLabel is a tenant's name for a chart. Mermaid has no quoting that holds in all its versions, so what is not a
// letter, a digit or a harmless mark is shown as a dot; the table has the name as it is.
func chartLabel(t fleet.Tenant) string {
	const limit = 24
	name := []rune(displayName(t))
	if len(name) > limit {
		name = append(name[:limit-1], '…')
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune(" -_.…", r) {
			return r
		}
		return '·'
	}, string(name))
}
