// Package mode is what all modes share: what a mode is given (Env, Found), what it returns (Work, Ending), and its
// Connections to tenants and to the bucket. Each family of modes is a package below this one.
package mode

import (
	"context"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/report"
)

// Work is what a mode does in a run.
type Work struct {
	// Choose returns the tenants to work on, in place of what the inputs tenants, shard, canary and min-tenants choose. all
	// is what the source listed, without keys, and complete says whether that is every tenant there is. A tenant of the
	// answer that is not in all does not exist yet; it has no id. Its error is the run's. Nil: the inputs choose.
	Choose func(all []fleet.Tenant, complete bool) ([]fleet.Tenant, error)
	// Prepare is called once the tenants are chosen, before any of them is touched. Its error is the run's. Nil: nothing
	// has to be prepared.
	Prepare func(ctx context.Context, found Found) error
	// Job is done on every tenant.
	Job fleet.Job
	// Finish does what can only be done once every job has ended. It never changes the results, which were announced: what
	// becomes known later (a drift, once all schemas are; a bundle that could not be written) it returns as amendments. It
	// is called after a cancel too, with a ctx that is over. Its error is the run's; the ending counts in any case. Nil:
	// there is nothing to finish.
	Finish func(ctx context.Context, results []fleet.Result) (Ending, error)
	// Unreached is what is recorded in the catalog of a tenant whose job failed before it had a detail. Nil: nothing.
	Unreached Factual
	// Close gives back what Prepare and the jobs took; it is called where Prepare failed, too. Nil: nothing.
	Close func()
}

// Found is what discovery found.
type Found struct {
	// Tenants are the chosen ones of this run, the canaries first.
	Tenants []fleet.Tenant
	// All is every tenant that the source listed, chosen or not, with its key.
	All []fleet.Tenant
	// Whole says that the listing was complete and that nothing narrowed it: no filter, no shard. Only then may what
	// belongs to no tenant in Tenants be taken for left over.
	Whole bool
}

// Ending is what a mode has to say about a run as a whole.
type Ending struct {
	// Amendments are what became known about tenants only after their results were announced.
	Amendments []fleet.Amendment
	// Outputs are the mode's own outputs.
	Outputs map[string]string
	// Warnings are sentences that concern no single tenant.
	Warnings []string
	// Sections are shown after the failures, in the log's end and in the summary.
	Sections []report.Section
	// Detail is the mode's own part of the report file as a whole; it marshals to a JSON object without secrets. Nil: none.
	Detail any
}

// Env is what a job needs of the run around it.
type Env struct {
	// Source resolves the tenant's connection string.
	Source fleet.Source
	// Kinds are a nil pointer of each source's type by its name: see [Able].
	Kinds map[string]fleet.Source
	// Insecure lifts the TLS policy: a connection string's sslmode is taken at its word for public hosts too.
	Insecure bool
	// Concurrency is how many tenants are worked on at once at most.
	Concurrency int
	// DryRun asks for what would happen: nothing is changed anywhere.
	DryRun bool
	// Catalog is the place (host:port/database) of the catalog that the run records into, which is no tenant even where the
	// source lists it; empty: none.
	Catalog string
	// Mask makes the log hide texts from here on.
	Mask func(forms ...string)
	// Notice tells the reader of the run's report something that concerns no single tenant; the same text counts once.
	Notice func(text string)
	// Say writes a line of progress to the log, and nowhere else.
	Say func(text string)
}
