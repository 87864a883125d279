// Package fleet runs one job over many tenants: who they are, which of them are chosen, in what order and how many at
// once they are worked on, and what became of each. It knows no database, no API and no input, and imports only the
// standard library; sources and modes bring those.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Tenant is one customer's database, whatever the source calls it: a Neon project, a schema, a catalog row, a secret.
type Tenant struct {
	// Name is what people call the tenant. Not necessarily unique, any Unicode.
	Name string `json:"name"`
	// ID is the source's own identifier: unique within the source and stable over renames.
	ID string `json:"id"`
	// Key is the slug that names the tenant's secret, S3 folder, branch and report row: unique within a run. See [AssignKeys].
	Key string `json:"key"`
}

// Source finds tenants and tells how to reach them.
type Source interface {
	// Tenants lists every tenant, without keys. A listing known to be incomplete returns what was found together with
	// an [*IncompleteError].
	Tenants(ctx context.Context) ([]Tenant, error)
	// URL resolves one tenant's direct (never pooled) connection string. It is called inside the worker that is about
	// to use it, so that no secret is fetched early and the first tenant is worked on while others are not yet resolved.
	URL(ctx context.Context, t Tenant) (Secret, error)
}

// IncompleteError says that a listing missed tenants which are known to exist.
type IncompleteError struct {
	// Missing holds the ids that could not be read.
	Missing []string
}

func (e *IncompleteError) Error() string {
	const shown = 5
	ids := e.Missing
	if len(ids) > shown {
		return fmt.Sprintf("%d tenants exist that could not be read: %v and %d more", len(ids), ids[:shown], len(ids)-shown)
	}
	return fmt.Sprintf("%d tenants exist that could not be read: %v", len(ids), ids)
}

// Remedy tells the reader what to do about an incomplete listing.
func (e *IncompleteError) Remedy() string {
	return "the tenants that were found are done; run again later, and where it stays so ask Neon's support about the named projects"
}

// State is how a tenant ended. Every tenant of a run ends in exactly one.
type State string

// The four states.
const (
	Succeeded State = "succeeded" // the job did its work
	Unchanged State = "unchanged" // there was nothing to do
	Failed    State = "failed"    // the job returned an error, ran out of time or was cancelled while it ran
	Skipped   State = "skipped"   // never started; Result.Err says why
)

// Outcome is what a job has to say about one tenant. A job that fails halfway returns both an outcome (what was done) and
// an error.
type Outcome struct {
	// Unchanged is true where there was nothing to do.
	Unchanged bool
	// Note is a phrase for the progress line and the summary's table: "3 applied".
	Note string
	// Warnings are sentences a reader should see although the tenant did not fail.
	Warnings []string
	// Detail is the mode's own part of the tenant's entry in the report file. It must marshal to a JSON object and hold
	// no text that came from a server (such text belongs in an error or a warning, which are redacted).
	Detail any
}

// Job does a mode's work on one tenant. log collects the tenant's own log, shown where the tenant fails; anything secret is
// announced to it with [Hide] before it is used.
type Job func(ctx context.Context, t Tenant, log *slog.Logger) (Outcome, error)

// Result is what became of one tenant.
type Result struct {
	Tenant  Tenant
	State   State
	Outcome Outcome
	// Err is why the tenant failed or was skipped, with every hidden secret redacted.
	Err error
	// Started is when a worker took the tenant up; zero where it was skipped.
	Started time.Time
	// Elapsed is how long the job ran.
	Elapsed time.Duration
	// Log is what the job logged, redacted and cut in the middle where it is long. It is handed to the observer only,
	// so that a run holds no more logs than it has workers.
	Log []byte
}
