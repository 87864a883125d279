package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A mode's section is in the summary and in the log, escaped for each.
func TestSections(t *testing.T) {
	r := Run{Mode: "migrate", Sections: []Section{{Title: "Orphans <b>",
		Lines: []string{"one\n::error::two", "<img src=x>"}}}}
	summary := Summary(r)
	if !strings.Contains(summary, "### Orphans") || strings.Contains(summary, "<b>") ||
		strings.Contains(summary, "<img") {
		t.Errorf("the summary shows\n%s", summary)
	}
	log := r.Sections[0].Text()
	if !strings.HasPrefix(log, "Orphans <b>\none") || strings.Contains(log, "\n::error") {
		t.Errorf("the log shows\n%s", log)
	}
}

func TestBarsThatAreWorthAPicture(t *testing.T) {
	for name, c := range map[string]struct {
		lengths []int64
		axis    string // empty: no picture
	}{
		"none":         {nil, ""},
		"one":          {[]int64{60_000}, ""},
		"milliseconds": {[]int64{999, 40, 0}, ""},
		"a second":     {[]int64{40, 1000}, `y-axis "seconds" 0 --> 1.1`},
		"minutes":      {[]int64{300_000, 40}, `y-axis "minutes" 0 --> 5.2`},
		"hours":        {[]int64{10 * 3600_000, 40}, `y-axis "hours" 0 --> 10.5`},
		"days":         {[]int64{20 * 86400_000, 40}, `y-axis "days" 0 --> 21.0`},
	} {
		var bars Bars
		for _, length := range c.lengths {
			bars.Bars = append(bars.Bars, Bar{"20250101090000_files.sql", length})
		}
		text := Section{Title: "Rehearsal", Bars: bars}.Markdown()
		if drawn := strings.Contains(text, "xychart"); drawn != (c.axis != "") || !strings.Contains(text, c.axis) {
			t.Errorf("%s: want the axis %q in\n%s", name, c.axis, text)
		}
	}
}

// A difference is untrusted text: it must not end its code block, and a reader must see all of it.
func TestBlocks(t *testing.T) {
	names := make([]string, 1200)
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%d|<b>", i)
	}
	diff := []string{"+ column users.extra integer", "- x ``````", "~ a\n```\n<img src=x>", "::error::x"}
	r := Run{Mode: "health-check", Sections: []Section{{
		Title: "Schemas", Lines: []string{"one"},
		Pie: []Slice{{"healthy", "#2da44e", 30}, {"schema drift", "#8250df", 10}, {"none", "#000000", 0}},
		Blocks: []Block{{Title: "2 tenants differ", Diff: diff, Names: []string{"a", "b"}},
			{Title: "1200 tenants differ", Diff: diff[:1], Names: names}},
	}}}
	summary := Summary(r)
	for _, want := range []string{
		"#### 2 tenants differ: <code>a</code>, <code>b</code>\n\n" +
			"```````diff\n+ column users.extra integer\n- x ``````\n~ a\\n```\\n<img src=x>\n::error::x\n```````\n",
		"```diff\n+ column users.extra integer\n```\n\n<details><summary>All 1200</summary>\n\n<code>tenant-0",
		" and 200 more\n",
		"pie showData\n  \"healthy\" : 30\n  \"schema drift\" : 10\n```",
	} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary lacks\n%s\nin\n%s", want, clip(summary, 3000))
		}
	}
	if strings.Contains(summary, "<b>") {
		t.Error("a name acts")
	}
	want := "Schemas\none\n2 tenants differ: a, b\n" +
		"  + column users.extra integer\n  - x ``````\n  ~ a\\n```\\n<img src=x>\n  ::error::x\n" +
		"1200 tenants differ: tenant-0|<b>, tenant-1|<b>, tenant-2|<b>, tenant-3|<b>, tenant-4|<b> and 1195 more\n" +
		"  + column users.extra integer"
	if got := r.Sections[0].Text(); got != want {
		t.Errorf("the log shows\n%s\nwant\n%s", got, want)
	}
}

// However much differs, the summary keeps to its limit.
func TestManyBlocksFit(t *testing.T) {
	var s Section
	for i := range 300 {
		s.Blocks = append(s.Blocks, Block{
			Title: fmt.Sprint(i),
			Diff:  slices.Repeat([]string{"+ " + strings.Repeat("x", 2000)}, 100),
			Names: slices.Repeat([]string{strings.Repeat("n", 63)}, 2000),
		})
	}
	summary := Summary(Run{Mode: "health-check", ReportFile: "r.json", Sections: []Section{s}})
	if len(summary) > maxSummary || !strings.Contains(summary, "… and 29") {
		t.Errorf("%d bytes, ending with %s", len(summary), summary[len(summary)-300:])
	}
}
