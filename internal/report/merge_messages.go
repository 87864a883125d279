package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// addMessages joins what the runs report about themselves: errors, warnings, notices and sections.
func (m *merger) addMessages(r *Run, missing []string) {
	var errs messages
	if len(missing) > 0 {
		noun := "shard"
		if len(missing) > 1 {
			noun = "shards"
		}
		errs.add(fmt.Sprintf("there is no report for %s %s", noun, strings.Join(missing, ", ")),
			"check the jobs of these shards, which ended without writing a report, and run them again; "+
				"or make report-files match all the files", "")
	}
	if m.repeated > 0 {
		r.Notices = append(r.Notices, words.Count(m.repeated, "tenant appears", "tenants appear")+
			" in more than one report file: the run that started last counts")
	}
	common := m.commonSections()
	listing := Section{Title: "Merged reports"}
	for _, i := range m.byShard() {
		f := m.files[i]
		r.Merged = append(r.Merged, MergedRun{
			File: f.Path, Shard: f.Shard, StartedAt: f.StartedAt, ElapsedMS: f.ElapsedMS,
			Totals: f.Totals, Error: f.Error, Detail: f.Detail,
		})
		own := f.withoutResults()
		line := cmp.Or(own.name(), f.Path) + ": " + verdict(f.Totals, own.Err) + " in " + words.Duration(own.Elapsed)
		if m.superseded(i) {
			listing.Lines = append(listing.Lines, line+", superseded by a later run")
			continue // its messages are out of date
		}
		listing.Lines = append(listing.Lines, line)
		if f.Error != nil {
			errs.add(f.Error.Message, f.Error.Remedy, own.name())
		}
		r.Warnings = appendNew(r.Warnings, f.Warnings...)
		r.Notices = appendNew(r.Notices, f.Notices...)
		r.Sections = append(r.Sections, common.of(own)...)
	}
	r.Sections = append(r.Sections, listing)
	r.Err = errs.err()
}

// commonSections are the sections that all runs have, by their text; the value is true once the section was taken.
type commonSections map[string]bool

func (m *merger) commonSections() commonSections {
	count, runs := map[string]int{}, 0
	for i, f := range m.files {
		if m.superseded(i) {
			continue
		}
		runs++
		for _, s := range f.Sections {
			count[s.Text()]++
		}
	}
	common := commonSections{}
	for text, n := range count {
		if n == runs {
			common[text] = false
		}
	}
	return common
}

// of returns a run's sections: common ones only the first time, the others with the run's name in their title.
func (c commonSections) of(r Run) []Section {
	var sections []Section
	for _, s := range r.Sections {
		taken, common := c[s.Text()]
		switch {
		case taken:
			continue
		case common:
			c[s.Text()] = true
		case r.Shard != "":
			s.Title += " (" + r.name() + ")"
		}
		sections = append(sections, s)
	}
	return sections
}

// name tells a sharded run from the others: "shard 2/8".
func (r Run) name() string {
	if r.Shard == "" {
		return ""
	}
	return "shard " + r.Shard
}

func appendNew(to []string, texts ...string) []string {
	for _, text := range texts {
		if !slices.Contains(to, text) {
			to = append(to, text)
		}
	}
	return to
}

// messages collects the errors of several runs, the same text once.
type messages struct {
	texts, remedies []string
	from            map[string][]string // names of the runs, by text
}

// add adds an error's text with its remedy and the name of its run, either of which may be empty.
func (m *messages) add(text, remedy, from string) {
	if m.from == nil {
		m.from = map[string][]string{}
	}
	if m.texts = appendNew(m.texts, text); from != "" {
		m.from[text] = append(m.from[text], from)
	}
	if remedy != "" {
		m.remedies = appendNew(m.remedies, remedy)
	}
}

// err joins the errors; nil if there are none.
func (m *messages) err() error {
	var all []error
	for _, text := range m.texts {
		if from := m.from[text]; len(from) > 0 {
			text = strings.Join(from, ", ") + ": " + text
		}
		all = append(all, errors.New(text))
	}
	return fleet.WithRemedy(errors.Join(all...), strings.Join(m.remedies, "; "))
}
