package mode

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// onEverybody is the remedy where going on from earlier runs would not do what a run on everybody does.
const onEverybody = "leave retry-failed out to run on everybody"

// Retry is what the reports of earlier runs say about whom to try again. Nil: a run is not such a retry.
type Retry struct {
	files   []report.NamedFile
	tried   []records.Tried
	missing []fleet.Shard // of which there is no report of tenants
}

// ReadRetry reads retry-failed, and if it is true the reports of previous-report, which must be of runs of this mode
// and source. What is wrong with them is a mistake.
func ReadRetry(in *input.Reader, mode, source string) *Retry {
	if !in.Bool("retry-failed") {
		return nil
	}
	if in.String("previous-report") == "" {
		in.Mistake("retry-failed", "needs the report files of the run to go on from; give them as "+
			"previous-report: reports/**/*.json")
		return nil
	}
	var files []report.NamedFile
	for _, f := range in.Files("previous-report") {
		file, err := ReadReport(f)
		if err != nil {
			in.Mistake("previous-report", "%v; %s", err, fleet.Remedy(err))
			continue
		}
		if wrong := unlike(file, mode, source); wrong != "" {
			in.Mistake("previous-report", "%s %s, and retry-failed goes on from runs like this one; have the glob match "+
				"only these, or %s", f.Name, wrong, onEverybody)
			continue
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return nil
	}
	r, err := newRetry(files)
	if err != nil {
		in.Mistake("previous-report", "%v; %s", err, fleet.Remedy(err))
		return nil
	}
	return r
}

// unlike says how a report differs from those of runs that can be gone on from; "" if it does not.
func unlike(f report.NamedFile, mode, source string) string {
	switch {
	case f.Mode != mode:
		return fmt.Sprintf("is from mode %s and this is mode %s", f.Mode, mode)
	case f.Source != source:
		return fmt.Sprintf("is from tenant-source %s and this is tenant-source %s", f.Source, source)
	case f.DryRun:
		return "is from a dry run, which did nothing"
	}
	return ""
}

// newRetry finds each tenant's last result in the reports of one run, with its shards, its attempts and its retries.
func newRetry(files []report.NamedFile) (*Retry, error) {
	var parts []report.NamedFile // with those of merged reports
	for _, f := range files {
		if len(f.Merged) == 0 && !died(f) {
			parts = append(parts, f)
		}
		for _, m := range f.Merged {
			part := f
			part.Path, part.Shard, part.Merged = m.File, m.Shard, nil
			part.Error, part.Totals = m.Error, m.Totals
			if m.Error == nil || m.Totals.Total > 0 {
				parts = append(parts, part)
			}
		}
	}
	if len(parts) == 0 {
		return nil, fleet.WithRemedy(fmt.Errorf("%s is from a run that ended before its first tenant: %s",
			files[0].Path, files[0].Error.Message), onEverybody)
	}
	merged, err := report.Merge(files)
	if err != nil {
		return nil, err
	}
	r := &Retry{files: files}
	for _, result := range merged.Results {
		r.tried = append(r.tried, records.Tried{Tenant: result.Tenant, State: result.State})
	}
	count := 0 // of shards; Merge has seen to it that they agree
	for _, f := range slices.Concat(files, parts) {
		if s, err := fleet.ParseShard(f.Shard); err == nil {
			count = s.Count
		}
	}
	for i := 1; i <= count; i++ {
		s := fleet.Shard{Index: i, Count: count}
		if !slices.ContainsFunc(parts, func(f report.NamedFile) bool { return f.Shard == s.String() }) {
			r.missing = append(r.missing, s)
		}
	}
	return r, nil
}

// died reports whether a run ended before it had chosen its tenants.
func died(f report.NamedFile) bool { return f.Error != nil && len(f.Tenants) == 0 }

// Left returns those of the chosen tenants that the reports say are left, and what to say about the others.
func (r *Retry) Left(chosen, all []fleet.Tenant, share fleet.Shard) (left []fleet.Tenant, notices, warnings []string) {
	if r == nil {
		return chosen, nil, nil
	}
	const shown = 10
	name := func(t fleet.Tenant) string { return t.Name }
	d := records.Again(r.tried, chosen, all, r.missing, share)
	again := fmt.Sprintf("retry-failed: %s again, and %s left out that earlier runs are done with",
		words.Count(len(d.Again), "tenant is tried", "tenants are tried"), words.Count(d.Done, "tenant is", "tenants are"))
	if len(d.Again) == 0 {
		nothing := "nothing failed"
		if r.leftAny() { // in other shards, or among those that tenants leaves out
			nothing = "nothing failed among the tenants of this run"
		}
		again = fmt.Sprintf("retry-failed: %s, so there is nothing to do; earlier runs are done with %s", nothing,
			words.Count(d.Done, "tenant", "tenants"))
	}
	notices = append(notices, again)
	if len(d.Gone) > 0 {
		notices = append(notices, fmt.Sprintf("retry-failed: %s and not listed any more: %s",
			words.Count(len(d.Gone), "tenant was left by the earlier runs", "tenants were left by the earlier runs"),
			words.ListFunc(d.Gone, shown, name)))
	}
	if len(d.New) > 0 {
		warnings = append(warnings, fmt.Sprintf("retry-failed: the reports do not know %s, left out now: %s; %s",
			words.Count(len(d.New), "listed tenant", "listed tenants"), words.ListFunc(d.New, shown, name), onEverybody))
	}
	if len(r.missing) > 0 {
		unknown := ""
		if d.Unknown > 0 {
			unknown = fmt.Sprintf(", and %s left out whose state is not known",
				words.Count(d.Unknown, "tenant is", "tenants are"))
		}
		warnings = append(warnings, fmt.Sprintf("retry-failed: there is no report of shard %s%s; run the jobs of these "+
			"shards again, or %s", words.ListFunc(r.missing, shown, fleet.Shard.String), unknown, onEverybody))
	}
	return d.Again, notices, warnings
}

// leftAny reports whether the earlier runs left anything to do, for whichever tenant.
func (r *Retry) leftAny() bool { return slices.ContainsFunc(r.tried, records.Tried.Left) }

// CheckFiles leaves a mistake if the migration files are not those of the earlier runs. A file that no tenant has
// applied may have been corrected since. name says which file has a version.
func (r *Retry) CheckFiles(in *input.Reader, files records.Set, name func(version string) string) {
	if r == nil {
		return
	}
	if err := r.checkFiles(files, name); err != nil {
		in.Mistake("retry-failed", "%v; %s", err, onEverybody)
	}
}

func (r *Retry) checkFiles(files records.Set, name func(version string) string) error {
	var book records.Book
	var before []records.Set // of the earlier runs
	for _, f := range r.files {
		before = append(before, filesOf(f.File, &book)...)
	}
	if len(before) == 0 {
		return errors.New("the reports of previous-report do not say which migration files their runs had")
	}
	changed := map[string]bool{}
	for _, set := range before {
		if err := sameVersions(set, files, name); err != nil {
			return err
		}
		for _, version := range records.Edited(set, files) {
			changed[version] = true
		}
	}
	for _, f := range r.files {
		for _, t := range f.Tenants {
			record := seenIn(t).record
			for _, version := range records.Edited(book.Set(record.Applied), files) {
				if changed[version] {
					return fmt.Errorf("%s is not what the earlier run applied to %q and maybe to others", name(version), t.Name)
				}
			}
		}
	}
	return nil
}

// sameVersions returns an error if files were added or removed.
func sameVersions(before, now records.Set, name func(version string) string) error {
	var added, removed []string
	for _, version := range slices.Sorted(maps.Keys(now)) {
		if _, ok := before[version]; !ok {
			added = append(added, name(version))
		}
	}
	for _, version := range slices.Sorted(maps.Keys(before)) {
		if _, ok := now[version]; !ok {
			removed = append(removed, version)
		}
	}
	const shown = 3
	var texts []string
	if len(added) > 0 {
		texts = append(texts, words.List(added, shown)+" added")
	}
	if len(removed) > 0 {
		texts = append(texts, "version "+words.List(removed, shown)+" removed")
	}
	if len(texts) == 0 {
		return nil
	}
	return fmt.Errorf("the migration files are not those of the earlier run, which the tenants that succeeded have: %s",
		strings.Join(texts, ", "))
}
