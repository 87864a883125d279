// Package fleet runs one job over many tenants: who the tenants are, which are selected, in what order and how many at
// once they are worked on, and how each ends. It knows no database and no API: sources and modes bring those. Of the
// inputs, its errors name those that say how a run goes: tenant-key, waves, max-failures and tenant-timeout.
package fleet

import (
	"context"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/words"
)

// Tenant is one customer's database, whatever the source calls it: a Neon project, a schema, a catalog row, a secret.
type Tenant struct {
	// Name is what people call the tenant: any Unicode, not necessarily unique.
	Name string `json:"name"`
	// ID is the source's own identifier: unique within the source and stable across renames.
	ID string `json:"id"`
	// Key is the slug that names the tenant's secret, S3 folder, branch and report row: unique within a run. See
	// [AssignKeys].
	Key string `json:"key"`
}

// Source finds tenants and resolves their connection strings.
type Source interface {
	// Tenants lists every tenant, without keys. A listing known to be incomplete returns the tenants it has together
	// with an [*IncompleteError].
	Tenants(ctx context.Context) ([]Tenant, error)
	// URL resolves one tenant's direct (never pooled) connection string. The worker that is about to use it makes the
	// call, so that no secret is fetched early and the first tenant is worked on while others are still unresolved.
	URL(ctx context.Context, t Tenant) (Secret, error)
}

// IncompleteError says that a listing lacks tenants that are known to exist.
type IncompleteError struct {
	// Missing holds the ids of the tenants that could not be read.
	Missing []string
	// Fix is what to do if that goes on; empty if nothing is known.
	Fix string
}

func (e *IncompleteError) Error() string {
	const shown = 5
	return words.Count(len(e.Missing), "tenant exists", "tenants exist") + " but could not be read: " +
		words.List(e.Missing, shown)
}

// Unread returns the ids of the tenants that could not be read; none if the listing is complete, that is, if e is nil.
func (e *IncompleteError) Unread() []string {
	if e == nil {
		return nil
	}
	return e.Missing
}

// Remedy says what to do about an incomplete listing.
func (e *IncompleteError) Remedy() string {
	if e.Fix == "" {
		return "run again later"
	}
	return "run again later; if these tenants still cannot be read, " + e.Fix
}

// State is how a tenant ended. Every tenant of a run ends in exactly one.
type State string

// The four states.
const (
	Succeeded State = "succeeded" // the job did its work
	Unchanged State = "unchanged" // there was nothing to do
	Failed    State = "failed"    // the job returned an error, timed out or was cancelled while it ran
	Skipped   State = "skipped"   // never started, or it only waited to start; Result.Err says why
)

// Outcome is what a job reports about one tenant. A job that fails halfway returns both an outcome, for what it did,
// and an error.
type Outcome struct {
	// Unchanged is true if there was nothing to do.
	Unchanged bool
	// Quiet is true if the tenant was not worked on: with the other quiet ones it is one line of the log.
	Quiet bool
	// Note is a phrase for the progress line and the summary's table: "3 applied".
	Note string
	// Warnings are sentences for the reader of a tenant that did not fail.
	Warnings []string
	// Detail is the mode's own part of the tenant's entry in the report file. It must marshal to a JSON object and hold
	// no text that came from a server: such text belongs in an error or a warning, which are redacted.
	Detail any
}

// Job does a mode's work on one tenant. log collects the tenant's own log, which is shown if the tenant fails. A job
// announces every secret to it with [Hide] before using it.
type Job func(ctx context.Context, t Tenant, log *slog.Logger) (Outcome, error)

// Result is how one tenant ended.
type Result struct {
	Tenant Tenant
	// Wave is the number of its wave, from 1; 0 if the run has no waves or the tenant is beyond the last.
	Wave    int
	State   State
	Outcome Outcome
	// Err is why the tenant failed or was skipped, with every hidden secret redacted.
	Err error
	// Started is when a worker took up the tenant; zero if it was skipped.
	Started time.Time
	// Elapsed is how long the job ran, without its waits for an API's rate limit or for other workers.
	Elapsed time.Duration
	// Log is what the job logged, redacted, and cut in the middle if it is long. Only the observer gets it, so that a
	// run never holds more logs than it has workers.
	Log []byte
}
