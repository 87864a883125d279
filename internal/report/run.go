package report

import (
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// Run is all that is known at the end of a run.
type Run struct {
	// Mode and Source are the inputs' values: "migrate", "neon".
	Mode, Source string
	// ID is GitHub's id of the workflow run, or one made up outside of Actions; empty if the run is merged from several.
	ID string
	// DryRun is true if no tenant was changed, and nothing else but what Made says.
	DryRun bool
	// Made is what a dry run made for rehearsals, and deleted again.
	Made Made
	// Shard is this job's share, "2/8"; empty if the run was not sharded.
	Shard string
	// Started and Elapsed say when the run began and how long it took, discovery included.
	Started time.Time
	Elapsed time.Duration
	// Results holds each selected tenant once, in the fleet's order.
	Results []fleet.Result
	// Waves are the groups that the tenants were worked on in; zero if there were none.
	Waves Waves
	// Notices and Warnings concern the run and no single tenant.
	Notices, Warnings []string
	// Announced is how many of the warnings, the first ones, [Announce] has printed.
	Announced int
	// Sections are what the mode reports about the run as a whole.
	Sections []Section
	// Detail is the mode's own object about the run as a whole, for the report file; nil if it has none.
	Detail any
	// Merged are the report files that the run was merged from; empty if it is not merged.
	Merged []MergedRun
	// Err is the run's own error: an incomplete discovery, a cancellation. A tenant's error is in its result.
	Err error
	// ReportFile is the path of the report file as the user knows it; empty if there is none.
	ReportFile string
	// PageFile is the path of the page for people as the user knows it; empty if there is none.
	PageFile string
	// SourceURL is the address of the workspace's files at the run's commit, to which a path is appended
	// ("https://github.com/acme/app/blob/<sha>"). If it is empty, places in the summary are no links.
	SourceURL string
}

// Made is what rehearsals take place on.
type Made struct {
	Branches int `json:"branches"`
	Copies   int `json:"copies"` // of databases, on the tenants' own servers
}

// dryRunNote says what a dry run changed.
func (r Run) dryRunNote() string {
	one, many := "branch was", "branches were"
	switch {
	case r.Made == Made{}:
		return "This was a dry run: nothing was changed."
	case r.Made.Branches == 0:
		one, many = "copy of a database was", "copies of databases were"
	case r.Made.Copies > 0:
		many = "branches and copies of databases were"
	}
	return fmt.Sprintf("This was a dry run: no tenant was changed; %s made and deleted.",
		words.Count(r.Made.Branches+r.Made.Copies, one, many))
}

// Totals counts tenants by how they ended. The four states add up to Total.
type Totals struct {
	Total     int `json:"total"`
	Succeeded int `json:"succeeded"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
}

// Totals counts the results.
func (r Run) Totals() Totals {
	var t Totals
	for i := range r.Results {
		t.count(r.Results[i].State)
	}
	return t
}

// count adds a tenant that ended in a state.
func (t *Totals) count(s fleet.State) {
	t.Total++
	switch s {
	case fleet.Succeeded:
		t.Succeeded++
	case fleet.Unchanged:
		t.Unchanged++
	case fleet.Failed:
		t.Failed++
	case fleet.Skipped:
		t.Skipped++
	}
}

// Failed reports whether the run must end non-zero: for its own error or for a tenant's.
func (r Run) Failed() bool { return r.Err != nil || r.Totals().Failed > 0 }

// byState returns the results of one state, in the run's order. They are the run's own: copies of 100,000 take tens of
// megabytes.
func (r Run) byState(s fleet.State) []*fleet.Result {
	var found []*fleet.Result
	for i := range r.Results {
		if res := &r.Results[i]; res.State == s {
			found = append(found, res)
		}
	}
	return found
}
