// Package mode is the contract between a run and its modes: what the run gives a mode (Env, Found), what the mode gives
// back (Work, Ending), and what modes share: connections to tenants and to the bucket. Each family of modes is a
// package below this one.
package mode

import (
	"context"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/report"
)

// Work is what a mode does in a run. The mode's constructor reads its inputs, leaves every mistake with their reader,
// opens nothing and makes no call. The run then calls the functions in the order of the fields: Choose, Prepare and
// Order once, Job for each tenant, several at once, Finish once, Close once, Facts for each tenant that was worked on,
// and FileSets once.
// Only Job is required.
type Work struct {
	// Choose returns the tenants to work on, in place of those that the inputs tenants, shard, canary, waves and
	// min-tenants select. all is what the source lists, without keys; complete is false if the listing is known to lack
	// some. A returned tenant that is not in all does not exist yet and has no ID. An error ends the run.
	Choose func(all []fleet.Tenant, complete bool) ([]fleet.Tenant, error)
	// Prepare runs before any tenant is touched. An error ends the run.
	Prepare func(ctx context.Context, found Found) error
	// Order returns the tenants to work on in the order in which they are started. A mode that has it takes no waves.
	Order func(found []fleet.Tenant) []fleet.Tenant
	// Job works on one tenant. An error fails that tenant.
	Job fleet.Job
	// Finish does what needs every result. It cannot change the results, which have been announced: what becomes known
	// only now, such as schema drift or a bundle that could not be written, it returns as amendments. It also runs
	// after a cancel, with a ctx that has ended. An error fails the run, and the Ending that comes with it still
	// counts.
	Finish func(ctx context.Context, results []fleet.Result) (Ending, error)
	// Close releases what Prepare and the jobs opened, even if Prepare failed.
	Close func()
	// Facts returns what the catalog records about a tenant that was worked on. The result has no detail if its job
	// failed too early or was abandoned.
	Facts func(r fleet.Result) catalog.Facts
	// FileSets returns the files to which the records in the facts refer.
	FileSets func() records.Sets
}

// Found is what discovery found.
type Found struct {
	// Tenants are those to work on, in the order of their waves, and then those beyond the last wave.
	Tenants []fleet.Tenant
	// Waves are the groups that they are worked on in. The canaries are the first one.
	Waves fleet.Waves
	// All is every tenant that the source lists, selected or not, with its key.
	All []fleet.Tenant
	// Whole is true if the listing is complete and nothing narrowed it, neither a pattern nor a shard. Only then is
	// something that belongs to none of Tenants left over, and may be pruned.
	Whole bool
	// Incomplete is true if tenants exist that the source could not read. Nothing at all is pruned then.
	Incomplete bool
}

// Ending is what a mode says about the run as a whole.
type Ending struct {
	// Amendments add what became known about tenants after their results were announced.
	Amendments []fleet.Amendment
	// Outputs are the mode's own outputs, by name.
	Outputs map[string]string
	// Warnings are sentences that concern no single tenant.
	Warnings []string
	// Sections end the log, and follow the failures in the summary.
	Sections []report.Section
	// Made is what a dry run made for rehearsals, and deleted again.
	Made report.Made
	// Detail is the mode's own part of the report file's top level. It marshals to a JSON object and holds no secret.
	// Nil if there is none.
	Detail any
}

// Env is what a run gives its mode. Its functions may be called concurrently.
type Env struct {
	// Source lists the tenants and resolves their connection strings. It is nil if tenant-source is wrong; that mistake
	// ends the run before the mode does anything.
	Source fleet.Source
	// Kinds holds a nil pointer of each source's type, by the source's name. [Able] and [Having] read their method
	// sets.
	Kinds map[string]fleet.Source
	// Version is that of the program, for what a run leaves as evidence.
	Version string
	// RunID names the run in what it leaves: GitHub's id of the workflow run, which all its attempts and jobs share.
	RunID string
	// Concurrency is how many tenants are worked on at once, at most.
	Concurrency int
	// DryRun is true if the run is to say what would happen and change nothing.
	DryRun bool
	// Insecure is true if a connection string's own sslmode decides about TLS, for public hosts too.
	Insecure bool
	// DirectTLS remembers, for the whole run, which servers take direct TLS. Nil: each connection string has its own.
	DirectTLS *postgres.DirectTLS
	// Workers counts the run's workers on each server. Nil: each mode has its own.
	Workers *Workers
	// Catalog is where the run records its results, as host:port/database; empty if it does not. That database is never
	// a tenant, even if the source lists it.
	Catalog string
	// Retry is what this run goes on from; nil if it does not go on from another.
	Retry *Retry
	// Remembered adds to a book what the catalog knows of tenants. Nil: there is no catalog.
	Remembered func(ctx context.Context, tenants []fleet.Tenant, book *records.Book) error
	// Mask hides texts in the run's log from now on.
	Mask func(forms ...string)
	// Notice adds a sentence that concerns no single tenant to the log and the report, each text once.
	Notice func(text string)
	// Say writes a line of progress to the log only.
	Say func(text string)
	// Progress returns what shows the progress of work on some tenants before or after the run's own, and the function
	// that ends it. The label begins its lines.
	Progress func(label string, total int) (o fleet.Observer, end func())
}
