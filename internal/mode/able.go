package mode

import (
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/words"
)

// Able returns the run's source as one that has an ability, which is an interface of package fleet. If the source lacks
// it, ok is false and the input called name gets a mistake. what says what the source cannot do and how to do without:
// "this source knows no pooled connection strings; leave it out". The sources that can are added.
func Able[Ability any](in *input.Reader, env Env, name, what string) (able Ability, ok bool) {
	if env.Source == nil {
		return able, false // tenant-source is the mistake
	}
	if able, ok = env.Source.(Ability); !ok {
		in.Mistake(name, "%s, or use tenant-source: %s", what, words.Or(Having[Ability](env)))
	}
	return able, ok
}

// Having names the sources that have an ability.
func Having[Ability any](env Env) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(env.Kinds)) {
		if _, ok := env.Kinds[name].(Ability); ok {
			names = append(names, name)
		}
	}
	return names
}
