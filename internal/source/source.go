// Package source holds the ways to find tenants, one file a source, and the map of their names.
package source

import (
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
)

// sources are the values of the input tenant-source. A constructor reads its inputs, leaves its mistakes with the reader
// and makes no call.
var sources = map[string]func(in *input.Reader) fleet.Source{
	"catalog": newCatalog,
	"neon":    newNeon,
	"schemas": newSchemas,
	"secrets": newSecrets,
}

// Names lists the sources.
func Names() []string { return slices.Sorted(maps.Keys(sources)) }

// New makes the source that the inputs ask for; nil, with a mistake, where there is none of that name.
func New(in *input.Reader) fleet.Source {
	name := in.Choice("tenant-source", Names()...)
	if construct, ok := sources[name]; ok {
		return construct(in)
	}
	return nil
}
