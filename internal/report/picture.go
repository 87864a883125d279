package report

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// outcomePicture is a pie of how the tenants ended, or "" if a section has a more telling one.
func outcomePicture(r Run) string {
	for _, s := range r.Sections {
		if pie(s.Pie) != "" {
			return ""
		}
	}
	t := r.Totals()
	return pie([]Slice{
		{"succeeded", "#2da44e", t.Succeeded}, {"unchanged", "#8c959f", t.Unchanged},
		{"failed", "#cf222e", t.Failed}, {"skipped", "#d4a72c", t.Skipped},
	})
}

// telling returns the parts of a fleet that there are, the largest first. It returns none for few tenants, and for a
// pie of nearly one colour.
func telling(parts []Slice) []Slice {
	const (
		fewest = 20
		share  = 20 // the second largest part must be at least a 20th of the whole
	)
	total := 0
	for _, s := range parts {
		total += s.Count
	}
	parts = slices.DeleteFunc(slices.Clone(parts), func(s Slice) bool { return s.Count == 0 })
	// By size, because some versions of Mermaid assign colours in that order, and others in the order of the text.
	slices.SortStableFunc(parts, func(a, b Slice) int { return cmp.Compare(b.Count, a.Count) })
	if len(parts) < 2 || total < fewest || parts[1].Count*share < total {
		return nil
	}
	return parts
}

// pie draws parts of a fleet, if they are [telling].
func pie(parts []Slice) string {
	if parts = telling(parts); parts == nil {
		return ""
	}
	var variables, body strings.Builder
	for i, s := range parts {
		fmt.Fprintf(&variables, `, "pie%d": "%s"`, i+1, s.colour())
		fmt.Fprintf(&body, "  \"%s\" : %d\n", chartWords(s.Label), s.Count)
	}
	// No theme is named, so that GitHub's own, light or dark, colours the legend.
	return "```mermaid\n%%{init: {\"themeVariables\": {" + pieStyle + variables.String() + "}}}%%\n" +
		"pie showData\n" + body.String() + "```\n\n"
}

// colour is the slice's own, or grey if that is none.
func (s Slice) colour() string {
	if !hexColour.MatchString(s.Colour) {
		return "#8c959f"
	}
	return s.Colour
}

var hexColour = regexp.MustCompile(`^#[0-9a-f]{6}$`)

const pieStyle = `"pieOpacity": "1", "pieStrokeWidth": "1px", "pieStrokeColor": "#ffffff", ` +
	`"pieOuterStrokeWidth": "0px", "pieSectionTextColor": "#ffffff"`

// slowestPicture draws [slowest], if there are any.
func slowestPicture(results []fleet.Result) string {
	bars := slowest(results)
	if len(bars.Bars) == 0 {
		return ""
	}
	return bars.draw()
}

// slowest is a bar for each of the slowest tenants. There is none if all took about the same or none took long.
func slowest(results []fleet.Result) Bars {
	const (
		bars    = 10
		fewest  = 5
		worth   = 2 * time.Second // a fleet whose slowest tenant takes less needs no picture
		stretch = 2               // how many times the median a tenant must take to be shown
	)
	ran := make([]*fleet.Result, 0, len(results))
	for i := range results {
		if r := &results[i]; r.State != fleet.Skipped {
			ran = append(ran, r)
		}
	}
	slices.SortStableFunc(ran, func(a, b *fleet.Result) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	if len(ran) < fewest || ran[0].Elapsed < worth || ran[0].Elapsed < stretch*ran[len(ran)/2].Elapsed {
		return Bars{}
	}
	median := ran[len(ran)/2].Elapsed
	found := Bars{Title: fmt.Sprintf("Slowest tenants (median: %s)", words.Duration(median))}
	for i, r := range ran[:min(bars, len(ran))] {
		if i > 0 && r.Elapsed < stretch*median {
			break
		}
		found.Bars = append(found.Bars, Bar{displayName(r.Tenant), r.Elapsed.Milliseconds()})
	}
	return found
}

// markdown draws the bars, if they are worth it.
func (c Bars) markdown() string {
	if !c.worth() {
		return ""
	}
	return c.draw()
}

// worth reports whether the bars compare anything: in tenths of seconds, short ones would all be 0.0.
func (c Bars) worth() bool { return len(c.Bars) >= 2 && c.longest() >= time.Second }

func (c Bars) longest() time.Duration {
	return slices.MaxFunc(c.Bars, func(a, b Bar) int { return cmp.Compare(a.LengthMS, b.LengthMS) }).length()
}

func (b Bar) length() time.Duration { return time.Duration(b.LengthMS) * time.Millisecond }

func (c Bars) draw() string {
	longest := c.longest()
	unit, per := "seconds", time.Second
	switch {
	case longest >= 48*time.Hour:
		unit, per = "days", 24*time.Hour
	case longest >= 5*time.Hour:
		unit, per = "hours", time.Hour
	case longest >= 5*time.Minute:
		unit, per = "minutes", time.Minute
	}
	var names, values []string
	seen := map[string]int{}
	for _, b := range c.Bars {
		label := chartLabel(b.Label)
		if seen[label]++; seen[label] > 1 {
			label += fmt.Sprintf(" %d", seen[label]) // bars with the same label would overlap
		}
		names = append(names, `"`+label+`"`)
		values = append(values, fmt.Sprintf("%.1f", float64(b.length())/float64(per)))
	}
	return fmt.Sprintf("```mermaid\n"+
		"%%%%{init: {\"xyChart\": {\"width\": 700, \"height\": %d, \"showDataLabel\": true}, "+
		"\"themeVariables\": {\"xyChart\": {\"plotColorPalette\": \"#54aeff\"}}}}%%%%\n"+
		"xychart-beta horizontal\n  title \"%s\"\n  x-axis [%s]\n"+
		"  y-axis \"%s\" 0 --> %.1f\n  bar [%s]\n```\n\n",
		110+28*len(names), c.Title, strings.Join(names, ", "),
		unit, float64(longest)/float64(per)*1.05, strings.Join(values, ", "))
}

// chartLabel is a name for a chart, shortened; see [chartWords].
func chartLabel(text string) string {
	const limit = 24
	name := []rune(text)
	if len(name) > limit {
		name = append(name[:limit-1], '…')
	}
	return chartWords(string(name))
}

// chartWords replaces whatever is not a letter, a digit or harmless punctuation with a dot, because Mermaid has no
// quoting that works in all its versions. The table of tenants shows names as they are.
func chartWords(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune(" -_.…", r) {
			return r
		}
		return '·'
	}, text)
}
