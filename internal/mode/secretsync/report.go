package secretsync

import (
	"fmt"

	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// Run is what the report file says of a sync as a whole.
type Run struct {
	Scope     string   `json:"scope"`  // "repository acme/app"
	Layout    string   `json:"layout"` // per-tenant or bundle
	Created   int      `json:"created"`
	Updated   int      `json:"updated"`
	Unchanged int      `json:"unchanged"`
	Deleted   []string `json:"deleted"`                 // no longer needed; in a dry run, those that would be deleted
	LeftOut   int      `json:"left_out,omitempty"`      // tenants that are gone and left their bundle
	LeftOver  []string `json:"left_over,omitempty"`     // no longer needed, and not deleted
	Former    []string `json:"former_layout,omitempty"` // of tenants, written by a sync with the other layout; kept
	NotPruned string   `json:"not_pruned,omitempty"`    // why nothing was pruned, if there was something to prune
	LeftAlone []string `json:"left_alone,omitempty"`    // like a tenant's, and not known to come from a sync
	Adopted   []string `json:"adopted,omitempty"`       // overwritten, and not known to come from a sync
	Remember  bool     `json:"remembered"`              // the next run can tell what is unchanged
	Block     string   `json:"workflow_file,omitempty"` // what became of it
}

// ending puts the run as a whole into words.
func (s *syncer) ending(c conclusion) mode.Ending {
	run := s.plan.summarize(c)
	run.Remember = s.writer.remembers()
	lines := []string{fmt.Sprintf("%s, %s: %s, %d updated, %d unchanged, %d deleted", run.Scope, run.Layout,
		s.would(fmt.Sprintf("%d created", run.Created)), run.Updated, run.Unchanged, len(run.Deleted))}
	lines = append(lines, s.lines(run, c)...)
	if run.Block != "" {
		lines = append(lines, run.Block)
	}
	switch {
	case run.Created+run.Updated == 0 || s.env.DryRun:
	case s.scope.Environment != "":
		lines = append(lines, "jobs of the environment that start from now on see what was written")
	default:
		lines = append(lines, "workflow runs that are queued from now on see what was written; this run does not")
	}
	ending := mode.Ending{Sections: []report.Section{{Title: "Secrets", Lines: lines}}, Detail: run}
	if len(c.strays) > 0 {
		ending.Warnings = []string{"bundles that no tenant needs and that may be out of date, but are not known to " +
			"come from a sync; delete them yourself" + listing(c.strays)}
	}
	return ending
}

// lines word what was done besides writing, and what was not done and why.
func (s *syncer) lines(run Run, c conclusion) (lines []string) {
	add := func(text string, names []string) {
		if len(names) > 0 {
			lines = append(lines, text+listing(names))
		}
	}
	add(s.would("deleted")+", no longer needed", run.Deleted)
	gone := len(s.plan.left.members)
	if run.NotPruned != "" {
		lines = append(lines, "nothing was pruned, because "+run.NotPruned+listing(c.kept))
	}
	switch {
	case run.LeftOut > 0:
		lines = append(lines, s.would("dropped")+" from bundles: "+
			words.Count(run.LeftOut, "tenant that is gone", "tenants that are gone"))
	case gone > 0:
		lines = append(lines, "left in bundles: "+
			words.Count(gone, "connection string that belongs", "connection strings that belong")+" to no tenant found")
	}
	if !s.plan.prune {
		add("no longer needed (prune-secrets: true deletes what earlier syncs wrote)", run.LeftOver)
	}
	add("of the other secret-layout, and left alone, because workflows may read them: no longer needed by this layout, "+
		"and no longer updated; delete them yourself once nothing reads them", run.Former)
	add("named like a tenant's secret, but not known to come from a sync, so left alone", run.LeftAlone)
	add(s.would("overwritten")+", although not known to come from a sync", run.Adopted)
	if s.plan.prune && !s.plan.whole {
		lines = append(lines,
			"nothing was pruned: that takes a complete discovery, and a run without tenants and shard")
	}
	if s.plan.prune && !s.plan.past.known {
		lines = append(lines, "nothing was pruned: it is not known what earlier syncs wrote")
	}
	return lines
}

// summarize counts and lists what became of the secrets.
func (p *plan) summarize(c conclusion) Run {
	run := Run{
		Scope: p.scope.String(), Layout: "per-tenant", Deleted: append([]string{}, c.done.deleted...),
		LeftOut: c.dropped, Adopted: p.adopted(c.done.written(), c.first), Block: c.block,
	}
	if p.bundled {
		run.Layout = "bundle"
	}
	for _, r := range c.results {
		switch d, _ := r.Outcome.Detail.(Detail); d.Change {
		case created:
			run.Created++
		case updated:
			run.Updated++
		case unchanged:
			run.Unchanged++
		}
	}
	run.LeftOver, run.Former = p.left.secrets, p.left.former
	if p.prune {
		run.LeftAlone, run.LeftOver = p.left.alike, c.kept
	}
	if p.prune && p.left.mayDrop && len(c.kept)+len(p.left.members) > 0 {
		run.NotPruned = c.why
	}
	return run
}
