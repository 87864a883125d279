package action

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

const (
	// How long recording may take, a compute that has to wake included.
	recordBudget = 90 * time.Second
	// and how long once the run is cancelled: with the 5 s that jobs are given to end, and what the report takes, the process
	// is gone within 7 s.
	recordAfterCancel = 1200 * time.Millisecond
)

// catalogSettings are the inputs about the catalog that a run records into.
type catalogSettings struct {
	target  postgres.Target // zero: nothing is recorded
	options postgres.Options
}

func (r *run) catalogSettings(insecure bool) catalogSettings {
	c := catalogSettings{options: postgres.Options{GiveUp: 300 * time.Millisecond}}
	if r.in.String("catalog-url") == "" {
		return c
	}
	var err error
	if c.target, err = postgres.ParseTarget(r.in.Secret("catalog-url"), insecure); err != nil {
		r.in.Mistake("catalog-url", "%v; %s", err, remedies.Of(err))
		return c
	}
	r.in.Conceal(fleet.NewSecret(c.target.Reveal()))
	return c
}

// server is where the catalog is, host:port; empty where there is none.
func (c catalogSettings) server() string {
	if c.target.Zero() {
		return ""
	}
	return c.target.Server()
}

// openCatalog opens the catalog before any tenant is touched, so that a source may list what it holds; nil where there is none. A catalog
// that cannot be opened takes nothing from the fleet: it is told at once, and fails the run at its end.
func (r *run) openCatalog(ctx context.Context, s catalogSettings) (*catalog.Catalog, error) {
	if s.target.Zero() || r.record.DryRun {
		return nil, nil
	}
	c, err := catalog.Open(ctx, s.target, s.options)
	if err == nil {
		return c, nil
	}
	remedy := "correct catalog-url, or see why its database does not answer; what became of the tenants stands in the report"
	if own := fleet.Remedy(err); own != "" {
		remedy = own
	}
	err = fleet.WithRemedy(fmt.Errorf("nothing is recorded in the catalog of catalog-url: %w", err), remedy)
	r.console.Warning(err.Error()+"; the run goes on without it, and fails at its end", "", 0)
	return nil, err
}

// recordInCatalog writes what became of the fleet, also after a cancel.
func (r *run) recordInCatalog(ctx context.Context, c *catalog.Catalog, s settings, found mode.Found) error {
	if c == nil {
		return nil
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordBudget)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(recordAfterCancel, cancel) })()
	entries := r.entries(s, found)
	if err := c.Record(late, r.catalogRun(), entries); err != nil {
		remedy := fleet.Remedy(err)
		if remedy == "" {
			remedy = "see why the catalog's database did not take it; what became of the tenants stands in the report, and the next run records it"
		}
		return fleet.WithRemedy(err, remedy)
	}
	r.console.Line(fmt.Sprintf("recorded %d tenants in the catalog", len(entries)))
	return nil
}

// catalogRun is the run as the catalog keeps it.
func (r *run) catalogRun() catalog.Run {
	totals := r.record.Totals()
	run := catalog.Run{
		Mode: r.record.Mode, Source: r.record.Source, Shard: r.record.Shard, Started: r.record.Started, Finished: time.Now(), Failed: r.record.Failed(),
		Succeeded: totals.Succeeded, Unchanged: totals.Unchanged, FailedTenants: totals.Failed, Skipped: totals.Skipped,
	}
	if server, repository, id := r.env.get("GITHUB_SERVER_URL"), r.env.get("GITHUB_REPOSITORY"), r.env.get("GITHUB_RUN_ID"); server != "" && repository != "" && id != "" {
		run.WorkflowURL = fmt.Sprintf("%s/%s/actions/runs/%s", server, repository, id)
	}
	return run
}

// entries are all tenants that the source listed, with what this run found out about those that it worked on.
func (r *run) entries(s settings, found mode.Found) []catalog.Entry {
	results := make(map[string]fleet.Result, len(r.record.Results))
	listed := make(map[string]bool, len(found.All))
	tenants := found.All
	for _, t := range tenants {
		listed[t.ID] = true
	}
	for _, res := range r.record.Results {
		results[res.Tenant.ID] = res
		if !listed[res.Tenant.ID] && res.State != fleet.Failed { // made by this run; where that failed, the next one completes it
			tenants = append(tenants[:len(tenants):len(tenants)], res.Tenant)
		}
	}
	entries := make([]catalog.Entry, len(tenants))
	for i, t := range tenants {
		e := catalog.Entry{Name: t.Name, Key: t.Key, Source: r.record.Source, ID: t.ID, SeenAt: r.record.Started}
		if l, ok := s.source.(fleet.Locator); ok {
			place := l.Place(t)
			e.NeonProjectID = place.NeonProjectID
			if place.Server == s.catalog.server() { // else a database of that name on the catalog's own server is another one
				e.Database = place.Database
			}
		}
		if res, ok := results[t.ID]; ok {
			e.Facts = facts(s.work, res)
		}
		entries[i] = e
	}
	return entries
}

// facts are what a run found out about one tenant.
func facts(work mode.Work, r fleet.Result) catalog.Facts {
	if r.State == fleet.Skipped {
		return catalog.Facts{}
	}
	if d, ok := r.Outcome.Detail.(mode.Factual); ok {
		return d.Facts(r)
	}
	if work.Unreached != nil {
		return work.Unreached.Facts(r)
	}
	return catalog.Facts{}
}

// withCatalog does the run's work between the opening of the catalog and its recording.
func (r *run) withCatalog(ctx context.Context, s settings, work func() mode.Found) {
	c, err := r.openCatalog(ctx, s.catalog)
	found := work()
	r.record.Err = errors.Join(r.record.Err, r.recordInCatalog(ctx, c, s, found), err)
}
