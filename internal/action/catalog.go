package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

const (
	// recordBudget is how long recording may take, including a compute that has to wake.
	recordBudget = 90 * time.Second
	// recordGrace is how long it may go on after a cancel. With the 5 s that cancelled jobs get, and the time that the
	// report takes, the process ends within 7 s.
	recordGrace = 1200 * time.Millisecond
	// rememberWait is how long a run waits for what the catalog knows of its tenants: a compute that has to wake answers
	// in less.
	rememberWait = 10 * time.Second
)

// catalogSettings is the inputs about the catalog that a run records into.
type catalogSettings struct {
	target  postgres.Target // zero if nothing is recorded
	options postgres.Options
	opening *opening
}

// opening is a catalog that is being opened. The rest is known once done is closed.
type opening struct {
	done    chan struct{}
	catalog *catalog.Catalog // nil if it is not recorded into
	err     error
}

func (r *run) catalogSettings(insecure bool) catalogSettings {
	c := catalogSettings{
		options: postgres.Options{GiveUp: 300 * time.Millisecond}, opening: &opening{done: make(chan struct{})},
	}
	if r.in.String("catalog-url") == "" {
		return c
	}
	var err error
	if c.target, err = postgres.ParseTrusted(r.in.Secret("catalog-url"), insecure); err != nil {
		r.in.Mistake("catalog-url", "%v; %s", err, remedies.Of(err))
		return c
	}
	c.target = c.target.Sharing(&r.direct)
	r.in.Conceal(fleet.NewSecret(c.target.Reveal()))
	return c
}

// server is the catalog's host:port, empty if there is none.
func (c catalogSettings) server() string {
	if c.target.Zero() {
		return ""
	}
	return c.target.Server()
}

// withCatalog does the run's work between opening the catalog and recording into it. A catalog that cannot be opened or
// written costs no tenant its result; it fails the run at the end.
func (r *run) withCatalog(ctx context.Context, s settings, work func() mode.Found) {
	o := s.catalog.opening
	open := func() {
		defer close(o.done)
		late, stop := grace.Context(ctx, recordGrace) // a cancelled run is recorded too
		defer stop()
		o.catalog, o.err = r.openCatalog(late, s.catalog)
	}
	lists, ok := s.source.(mode.CatalogReader)
	if ok && !s.catalog.target.Zero() && lists.ReadsFrom(s.catalog.target) {
		open() // it may create the tables that list the tenants
	} else {
		go open() // nobody waits for a catalog that does not answer
	}
	found := work()
	<-o.done
	r.record.Err = errors.Join(r.record.Err, r.recordInCatalog(ctx, o.catalog, s, found), o.err)
}

// openCatalog opens the catalog, nil if there is none.
func (r *run) openCatalog(ctx context.Context, s catalogSettings) (*catalog.Catalog, error) {
	if s.target.Zero() || r.record.DryRun {
		return nil, nil
	}
	c, err := catalog.Open(ctx, s.target, s.options)
	if err == nil {
		return c, nil
	}
	err = fleet.WithRemedy(fmt.Errorf("nothing is recorded in the catalog of catalog-url: %w", err),
		cmp.Or(remedies.Of(err),
			"correct catalog-url, or see why its database does not answer; the report has the results"))
	r.console.Warning(err.Error()+"; the run continues without it, and fails at the end", "", 0)
	return nil, err
}

// recordInCatalog records how the run and its tenants ended, even after a cancel.
func (r *run) recordInCatalog(ctx context.Context, c *catalog.Catalog, s settings, found mode.Found) error {
	if c == nil {
		return nil
	}
	late, stop := grace.Context(ctx, recordGrace)
	defer stop()
	late, cancel := context.WithTimeout(late, recordBudget)
	defer cancel()
	record, all := existing(s.source, r.record, found.All)
	entries := catalogEntries(record, all, placeIn(s.source, s.catalog.server()), s.work.Facts)
	run := r.catalogRun()
	if s.work.FileSets != nil {
		run.Sets = s.work.FileSets()
	}
	if err := c.Record(late, run, entries); err != nil {
		return fleet.WithRemedy(err, cmp.Or(remedies.Of(err),
			"see why the catalog's database refused; the report has the results, and the next run records them"))
	}
	r.console.Line("recorded " + words.Count(len(entries), "tenant", "tenants") + " in the catalog")
	return nil
}

// remembered returns what reads the records of the catalog; nil if there is none.
func (c catalogSettings) remembered(
	source fleet.Source, sourceName string,
) func(ctx context.Context, tenants []fleet.Tenant, book *records.Book) error {
	if c.target.Zero() || source == nil {
		return nil
	}
	return func(ctx context.Context, tenants []fleet.Tenant, book *records.Book) error {
		wait := time.NewTimer(rememberWait)
		defer wait.Stop()
		select {
		case <-c.opening.done:
		case <-wait.C:
			return fmt.Errorf("it did not answer within %s", words.Duration(rememberWait))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if c.opening.err != nil {
			return nil // which has been said
		}
		entries := make([]catalog.Entry, len(tenants))
		place := placeIn(source, c.server())
		for i, t := range tenants {
			at := place(t)
			entries[i] = catalog.Entry{Source: sourceName, ID: t.ID, NeonProjectID: at.NeonProjectID, Database: at.Database}
		}
		return catalog.Remember(ctx, c.target, c.options, rememberWait, entries, book)
	}
}

// catalogRun is the run as the catalog keeps it.
func (r *run) catalogRun() catalog.Run {
	totals := r.record.Totals()
	run := catalog.Run{
		Mode: r.record.Mode, Source: r.record.Source, Shard: r.record.Shard,
		Started: r.record.Started, Finished: time.Now(), Failed: r.record.Failed(),
		Succeeded: totals.Succeeded, Unchanged: totals.Unchanged, FailedTenants: totals.Failed, Skipped: totals.Skipped,
	}
	if id := r.env.get("GITHUB_RUN_ID"); id != "" {
		run.WorkflowURL = r.env.repositoryURL("actions/runs/" + id)
	}
	return run
}

// repositoryURL returns the address of a page of the repository that the run is for, empty outside of Actions.
func (e Env) repositoryURL(page string) string {
	server, repository := e.get("GITHUB_SERVER_URL"), e.get("GITHUB_REPOSITORY")
	if server == "" || repository == "" {
		return ""
	}
	return server + "/" + repository + "/" + page
}

// existing leaves out the tenants that no longer exist: to record one would say that it was seen.
func existing(source fleet.Source, record report.Run, all []fleet.Tenant) (report.Run, []fleet.Tenant) {
	remnants, ok := source.(fleet.Remnants)
	if !ok {
		return record, all
	}
	record.Results = slices.DeleteFunc(slices.Clone(record.Results), func(r fleet.Result) bool {
		return remnants.Remnant(r.Tenant)
	})
	return record, slices.DeleteFunc(slices.Clone(all), remnants.Remnant)
}

// catalogEntries are all tenants that the source listed or that the run created, with what the run found out about
// those that it worked on. place and facts add what they know; facts may be nil.
func catalogEntries(
	record report.Run, all []fleet.Tenant, place func(fleet.Tenant) fleet.Place, facts func(fleet.Result) catalog.Facts,
) []catalog.Entry {
	results := make(map[string]fleet.Result, len(record.Results))
	listed := make(map[string]bool, len(all))
	tenants := all[:len(all):len(all)]
	for _, t := range all {
		listed[t.ID] = true
	}
	for _, r := range record.Results {
		results[r.Tenant.ID] = r
		if !listed[r.Tenant.ID] && r.State != fleet.Failed { // created; if that failed, the next run completes it
			tenants = append(tenants, r.Tenant)
		}
	}
	entries := make([]catalog.Entry, len(tenants))
	for i, t := range tenants {
		e := catalog.Entry{Name: t.Name, Key: t.Key, Source: record.Source, ID: t.ID, SeenAt: record.Started}
		at := place(t)
		e.NeonProjectID, e.Database = at.NeonProjectID, at.Database
		if r, ok := results[t.ID]; ok && r.State != fleet.Skipped && facts != nil {
			e.Facts, e.EndedAt = facts(r), r.Started.Add(r.Elapsed)
		}
		entries[i] = e
	}
	return entries
}

// placeIn returns a function that says where a tenant lives, as far as the source knows and the catalog records it: a
// database counts only if it is on the catalog's own server.
func placeIn(source fleet.Source, catalogServer string) func(fleet.Tenant) fleet.Place {
	locator, ok := source.(fleet.Locator)
	return func(t fleet.Tenant) fleet.Place {
		if !ok {
			return fleet.Place{}
		}
		place := locator.Place(t)
		if place.Server != catalogServer {
			place.Database = ""
		}
		return place
	}
}
