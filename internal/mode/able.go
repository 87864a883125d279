package mode

import (
	"maps"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/input"
)

// Able returns the run's source as one that has an ability. Where it has not, ok is false and a mistake is left with the
// input that asks for it, naming the sources that have it. what completes "tenant-source: catalog …": "cannot do this".
func Able[Ability any](in *input.Reader, env Env, name, what string) (able Ability, ok bool) {
	if env.Source == nil {
		return able, false // a mistake already
	}
	if able, ok = env.Source.(Ability); !ok {
		in.Mistake(name, "%s; it needs tenant-source: %s", what, strings.Join(Having[Ability](env), ", "))
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
