// Package source finds tenants and resolves their connection strings: one family of files per source, and the map of
// their names.
package source

import (
	"maps"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/httpx"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// Options is what a source is told about the run.
type Options struct {
	// Creating is true in the mode that creates tenants: the source also reads the inputs about new ones.
	Creating bool
	// Ledger is then where a tenant records its migrations.
	Ledger postgres.Ledger
	// OnWait receives long waits for an API's rate limit, concurrently. Nil discards them.
	OnWait func(d time.Duration, why string)
	// OnSlow receives the beginning and the end of a time in which an API refuses calls. Nil discards them.
	OnSlow func(s httpx.Slowdown)
	// Warn receives what is odd about the list of tenants and stops nobody, while the inputs are read and while tenants
	// are listed. Nil discards it.
	Warn func(text string)
	// Notice receives what a user may not expect and is right all the same, concurrently. Nil discards it.
	Notice func(text string)
	// DirectTLS is the run's. Nil: each connection string has its own.
	DirectTLS *postgres.DirectTLS
}

func (o Options) warn(text string) {
	if o.Warn != nil {
		o.Warn(text)
	}
}

func (o Options) notice(text string) {
	if o.Notice != nil {
		o.Notice(text)
	}
}

// kind is one value of the input tenant-source.
type kind struct {
	// construct reads the source's inputs, leaves mistakes with their reader and makes no call.
	construct func(in *input.Reader, o Options) fleet.Source
	// zero is a nil pointer of the source's type, for its method set.
	zero fleet.Source
}

var kinds = map[string]kind{
	"catalog": {newCatalog, (*Catalog)(nil)},
	"neon":    {newNeon, (*Neon)(nil)},
	"schemas": {newSchemas, (*Schemas)(nil)},
	"secrets": {newSecrets, (*Secrets)(nil)},
}

// Names lists the values of tenant-source.
func Names() []string { return slices.Sorted(maps.Keys(kinds)) }

// Kinds returns a nil pointer of each source's type, by the source's name. Its method set tells what the source can do.
func Kinds() map[string]fleet.Source {
	all := map[string]fleet.Source{}
	for name, k := range kinds {
		all[name] = k.zero
	}
	return all
}

// New returns the source that the inputs ask for. It is nil, with a mistake, if there is none of that name.
func New(in *input.Reader, o Options) fleet.Source {
	name := in.Choice("tenant-source", Names()...)
	if k, ok := kinds[name]; ok {
		return k.construct(in, o)
	}
	return nil
}

// readDatabaseURL parses the connection string of the database that lists the tenants. The target is zero, with a
// mistake, if it cannot be used.
func readDatabaseURL(in *input.Reader, url fleet.Secret, o Options) postgres.Target {
	insecure := in.Bool("allow-insecure")
	if url == (fleet.Secret{}) {
		return postgres.Target{} // a mistake already
	}
	t, err := postgres.ParseTrusted(url.Reveal(), insecure)
	if err != nil {
		in.Mistake("database-url", "%v; %s", err, remedies.Of(err))
		return postgres.Target{}
	}
	in.Conceal(fleet.NewSecret(t.Reveal()))
	return t.Sharing(o.DirectTLS)
}
