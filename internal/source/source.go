// Package source holds the ways to find tenants, one family of files a source, and the map of their names.
package source

import (
	"maps"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// Options are what a source is told of the run it is for.
type Options struct {
	// Creating is true in the mode that creates tenants: the inputs about new tenants are read, too.
	Creating bool
	// OnWait is told of waits of a second and more for an API's rate limit; it is called concurrently. Nil discards them.
	OnWait func(d time.Duration, why string)
}

// kind is one value of the input tenant-source.
type kind struct {
	// construct reads the source's inputs, leaves its mistakes with the reader and makes no call.
	construct func(in *input.Reader, o Options) fleet.Source
	// zero is a nil pointer of the source's type, which tells its abilities.
	zero fleet.Source
}

var kinds = map[string]kind{
	"catalog": {newCatalog, (*Catalog)(nil)},
	"neon":    {newNeon, (*Neon)(nil)},
	"schemas": {newSchemas, (*Schemas)(nil)},
	"secrets": {newSecrets, (*Secrets)(nil)},
}

// Names lists the sources.
func Names() []string { return slices.Sorted(maps.Keys(kinds)) }

// Kinds are a nil pointer of each source's type by its name, for the messages that say which sources have an ability.
func Kinds() map[string]fleet.Source {
	all := map[string]fleet.Source{}
	for name, k := range kinds {
		all[name] = k.zero
	}
	return all
}

// New makes the source that the inputs ask for; nil, with a mistake, where there is none of that name.
func New(in *input.Reader, o Options) fleet.Source {
	name := in.Choice("tenant-source", Names()...)
	if k, ok := kinds[name]; ok {
		return k.construct(in, o)
	}
	return nil
}

// readDatabaseURL reads the connection string that lists the tenants; zero, with a mistake, where it cannot be used.
func readDatabaseURL(in *input.Reader, url fleet.Secret) postgres.Target {
	insecure := in.Bool("allow-insecure")
	if url == (fleet.Secret{}) {
		return postgres.Target{} // a mistake already
	}
	t, err := postgres.ParseTarget(url.Reveal(), insecure)
	if err != nil {
		in.Mistake("database-url", "%v; %s", err, remedies.Of(err))
		return postgres.Target{}
	}
	in.Conceal(fleet.NewSecret(t.Reveal()))
	return t
}
