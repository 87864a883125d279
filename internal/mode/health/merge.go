package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// Merge compares the schemas of a whole fleet whose shards were checked by runs of their own: each of these knew only
// its own tenants, and may have taken another norm. r is the merged run; what its runs found of drift is replaced by
// what shows now, in the words and with the consequences that a single run would have. A run of a release that recorded
// no fingerprints of this form is left as it is, and its tenants are named as not compared.
func Merge(r report.Run) (report.Run, error) {
	runs, err := readReports(r.Merged)
	if err != nil {
		return r, err
	}
	results, err := withoutDrift(r.Results)
	if err != nil {
		return r, err
	}
	observed := observations(results, runs.compared)
	if foreign := otherForms(observed); len(foreign) > 0 {
		observed = slices.DeleteFunc(observed, observation.foreign)
		r.Warnings = append(slices.Clone(r.Warnings), fmt.Sprintf("%s by another release of the action, whose "+
			"fingerprints cannot be compared with these: %s",
			words.Count(len(foreign), "tenant was checked", "tenants were checked"), words.List(foreign, 5)))
	}
	if ref := runs.reference; ref != nil && ref.Detail.FingerprintVersion == fingerprint.Version {
		t := fleet.Tenant{Name: ref.Name, ID: ref.ID, Key: ref.Key}
		if !slices.ContainsFunc(observed, func(o observation) bool { return o.tenant.ID == t.ID }) {
			observed = append(observed, observe(-1, t, ref.Detail, runs.compared))
		}
	}
	sets := compareSchemas(observed, runs.referenceID())
	differences := runs.differences(sets)
	amended, err := fleet.Amend(results, driftAmendments(results, sets, differences, runs.failOn))
	if err != nil {
		return r, err
	}
	whole := summarize(amended, sets, differences)
	whole.FailOn, whole.Compared = runs.failOn, runs.compared
	whole.Reference, whole.Orphans = runs.reference, runs.orphans
	r.Results, r.Detail = amended, whole
	rest := slices.DeleteFunc(slices.Clone(r.Sections), func(s report.Section) bool {
		return strings.HasPrefix(s.Title, healthTitle) || strings.HasPrefix(s.Title, schemasTitle)
	})
	r.Sections = append(sections(whole, amended, sets, differences), rest...)
	return r, nil
}

// foreign reports whether the fingerprint has another form than this release's.
func (o observation) foreign() bool { return o.peers.form != fingerprint.Version }

func otherForms(observed []observation) (names []string) {
	for _, o := range observed {
		if o.foreign() {
			names = append(names, o.tenant.Name)
		}
	}
	return names
}

// shards is what the reports of several runs say together.
type shards struct {
	failOn    []string // of any run: the jobs of a matrix have the same inputs
	compared  bool
	reference *Reference
	orphans   []string
	described descriptions
	known     map[schemaPair][]string // differences that a run has found
}

func readReports(runs []report.MergedRun) (shards, error) {
	all := shards{failOn: []string{}, described: descriptions{}, known: map[schemaPair][]string{}}
	for _, run := range runs {
		if run.Detail == nil { // it ended before it had checked anybody
			continue
		}
		var one Report
		if err := json.Unmarshal(run.Detail, &one); err != nil {
			return all, unreadable(run.File, err)
		}
		if one.FailOn == nil { // of a release that did not record it; the default has drift
			one.FailOn = []string{onDrift}
		}
		all.add(one)
	}
	return all, nil
}

func (s *shards) add(one Report) {
	s.compared = s.compared || one.Compared
	for _, check := range one.FailOn {
		if !slices.Contains(s.failOn, check) {
			s.failOn = append(s.failOn, check)
		}
	}
	for _, orphan := range one.Orphans {
		if !slices.Contains(s.orphans, orphan) {
			s.orphans = append(s.orphans, orphan)
		}
	}
	if r := one.Reference; r != nil && (s.reference == nil || s.reference.Detail.Fingerprint == "") {
		s.reference = r
	}
	for _, schema := range one.Schemas {
		if schema.Objects != nil {
			s.described[schema.Fingerprint] = description{objects: schema.Objects}
		}
		if schema.Norm != "" {
			s.known[schemaPair{schema.Norm, schema.Fingerprint}] = schema.Difference
		}
	}
}

func (s *shards) referenceID() string {
	if s.reference == nil {
		return ""
	}
	return s.reference.ID
}

// differences are those between the schemas that the runs describe, and those that a run has found itself.
func (s *shards) differences(sets []comparisonSet) map[schemaPair][]string {
	lines := map[schemaPair][]string{}
	pairs, _ := choosePairs(sets, false)
	for _, p := range pairs {
		norm, one := s.described[p.norm]
		other, two := s.described[p.other]
		switch {
		case s.known[p] != nil:
			lines[p] = s.known[p]
		case one && two:
			lines[p] = difference(norm, other)
		default:
			// Indented, so that it is no part of a tenant's error.
			lines[p] = []string{"    (the report files do not hold both descriptions: " +
				"check a tenant of each group in one run)"}
		}
	}
	return lines
}

// withoutDrift takes back what each run found by comparing its own tenants.
func withoutDrift(results []fleet.Result) ([]fleet.Result, error) {
	results = slices.Clone(results)
	for i := range results {
		r := &results[i]
		text, ok := r.Outcome.Detail.(json.RawMessage)
		if !ok {
			continue
		}
		var d Detail
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, unreadable(fmt.Sprintf("the report of tenant %q", r.Tenant.Name), err)
		}
		takeBack(r, &d)
		r.Outcome.Detail = d
	}
	return results, nil
}

// takeBack removes a drift from a result: from its error or its warnings, its note and its problems.
func takeBack(r *fleet.Result, d *Detail) {
	if d.Drift == "" {
		return
	}
	d.Problems = slices.DeleteFunc(d.Problems, func(check string) bool { return check == onDrift })
	r.Outcome.Warnings = slices.DeleteFunc(slices.Clone(r.Outcome.Warnings),
		func(text string) bool { return text == d.Drift })
	r.Outcome.Note = strings.TrimSuffix(r.Outcome.Note, ", "+driftNote)
	if len(d.Problems) == 0 {
		r.Outcome.Note = healthyNote
	}
	if r.Err != nil && strings.HasSuffix(r.Err.Error(), d.Drift) {
		rest := strings.TrimRight(strings.TrimSuffix(r.Err.Error(), d.Drift), "; \n")
		remedy := strings.TrimSuffix(strings.TrimSuffix(fleet.Remedy(r.Err), driftRemedy), "; ")
		if r.Err = nil; rest != "" {
			r.Err = fleet.WithRemedy(errors.New(rest), remedy)
		} else {
			r.State = fleet.Succeeded
		}
	}
	d.Drift = ""
}

func unreadable(what string, err error) error {
	return fleet.WithRemedy(fmt.Errorf("%s cannot be read as that of a health check: %w", what, err),
		"use the same release of the action in all jobs of the workflow")
}
