package migrate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// summary joins the rehearsals; nil if there were none.
func (r *rehearsal) summary() *FleetRehearsal {
	if r == nil || len(r.done) == 0 && r.public == nil {
		return nil
	}
	all := make([]*rehearsed, len(r.done))
	for _, one := range r.done {
		all[one.order] = one
	}
	f := summarize(all, r.public, r.total, r.migrator.env.Concurrency)
	f.Cost.APICalls = r.calls
	return &f
}

// output is the value of the output rehearsal: the summary without the schemas' changes. ok is false if it takes more
// than [report.MaxOutput]: a part of it would be taken for the whole.
func (f FleetRehearsal) output() (text string, ok bool) {
	f.Changes = nil
	all, err := json.Marshal(f)
	return string(all), err == nil && len(all) <= report.MaxOutput
}

// ms writes milliseconds, of which the fraction is not known.
func ms(n int64) string {
	if n == 0 {
		return "<1ms"
	}
	return words.Duration(time.Duration(n) * time.Millisecond)
}

// section shows the rehearsal: the fleet, then the files, then what they change.
func (f FleetRehearsal) section() report.Section {
	s := report.Section{Title: "Rehearsal", Lines: f.fleetLines()}
	for _, file := range slices.Concat(f.Public, f.Files) {
		s.Lines = append(s.Lines, file.lines()...)
		s.Bars.Bars = append(s.Bars.Bars, report.Bar{Label: file.File, LengthMS: file.TotalMS})
		for _, h := range file.Hints {
			s.Blocks = append(s.Blocks, h.block(file.File))
		}
	}
	s.Bars.Title = "Where the time goes"
	const bars = 10
	slices.SortStableFunc(s.Bars.Bars, func(a, b report.Bar) int { return int(b.LengthMS - a.LengthMS) })
	s.Bars.Bars = s.Bars.Bars[:min(bars, len(s.Bars.Bars))]
	if len(f.Public)+len(f.Files) > 0 {
		s.Lines = append(s.Lines, "A rehearsal has no traffic and a cold cache: it shows how long a lock is held, and "+
			"not how long others wait for it, nor how long the migration waits for them.")
	}
	for _, c := range f.Changes {
		s.Blocks = append(s.Blocks, report.Block{
			Title: "How " + words.Count(c.Count, "schema changes", "schemas change"), Diff: c.Lines, Names: c.Tenants})
	}
	return s
}

func (f FleetRehearsal) fleetLines() []string {
	lines := []string{strings.ToUpper(f.Sentence[:1]) + f.Sentence[1:] + "."}
	where := ""
	if f.Cost.Branches > 0 {
		where = fmt.Sprintf(" on %s (about %s of compute time, %s of Neon's API)",
			words.Count(f.Cost.Branches, "branch", "branches"),
			words.Duration(time.Duration(f.Cost.ComputeSeconds)*time.Second),
			words.Count(int(f.Cost.APICalls), "call", "calls"))
	}
	if f.Cost.Copies > 0 {
		if where != "" {
			where += " and"
		}
		where += fmt.Sprintf(" on %s of databases, on their own servers", words.Count(f.Cost.Copies, "copy", "copies"))
		if n := f.Cost.WithoutData; n > 0 {
			where += fmt.Sprintf(", %d of them without the data, where a statement takes less time", n)
		}
	}
	text := fmt.Sprintf("%d of %s rehearsed%s", f.Rehearsed, words.Count(f.Tenants, "tenant", "tenants"), where)
	if f.Unchanged > 0 {
		text += fmt.Sprintf("; %d with nothing pending", f.Unchanged)
	}
	if f.Missing > 0 {
		text += fmt.Sprintf("; %d that do not exist yet", f.Missing)
	}
	if f.Failed > 0 {
		text += fmt.Sprintf("; %d failed, and so no tenant was touched", f.Failed)
	}
	lines = append(lines, text+".")
	if f.Rehearsed > 0 {
		lines = append(lines, fmt.Sprintf("Median %s, longest %s (%s): at this concurrency the run takes about %s, "+
			"plus connecting.", ms(f.MedianMS), ms(f.LongestMS), f.Longest, ms(f.EstimateMS)))
	}
	return lines
}

// lines say what a file does: its time, then tables rewritten, locks and indexes.
func (f FleetFile) lines() []string {
	const most = 5
	lines := []string{fmt.Sprintf("%s takes %s at most (%s), median %s over %s.", f.File, ms(f.LongestMS), f.Longest,
		ms(f.MedianMS), words.Count(f.Tenants, "tenant", "tenants"))}
	var parts []string
	for _, w := range f.Rewrites {
		parts = append(parts, fmt.Sprintf("rewrites %s in %s, %s at most (%s)", w.Table, tenants(w), words.Size(w.Bytes),
			w.Most))
	}
	for _, l := range f.Locks {
		stops := "nobody writes it"
		if l.Lock == "ACCESS EXCLUSIVE" {
			stops = "nobody reads or writes it"
		}
		parts = append(parts, fmt.Sprintf("holds %s on %s in %s, %s at most (%s): %s meanwhile", l.Lock, l.Table, tenants(l),
			ms(l.MostMS), l.Most, stops))
	}
	for _, i := range f.Indexes {
		if !f.rewrites(i.Table) { // otherwise it is rebuilt with its table
			parts = append(parts, fmt.Sprintf("builds %s on %s in %s, %s and %s at most (%s)", i.Index, i.Table, tenants(i),
				words.Size(i.Bytes), ms(i.MostMS), i.Most))
		}
	}
	for _, p := range parts[:min(most, len(parts))] {
		lines = append(lines, f.File+" "+p+".")
	}
	if more := len(parts) - most; more > 0 {
		lines = append(lines, f.File+": "+words.More(more)+" in the report file.")
	}
	return lines
}

func tenants(u FleetUse) string { return words.Count(u.Tenants, "tenant", "tenants") }

func (f FleetFile) rewrites(table string) bool {
	return slices.ContainsFunc(f.Rewrites, func(u FleetUse) bool { return u.Table == table })
}

func (h FileHint) block(file string) report.Block {
	b := report.Block{Title: fmt.Sprintf("%s:%d %s", cmp.Or(h.File, file), h.Line, h.Why)}
	if h.Safer != "" {
		b.SQL = strings.Split(h.Safer, "\n")
	}
	return b
}
