package secretsync

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// settings are the inputs that a plan follows.
type settings struct {
	template secrets.Template // of the names of tenants' own secrets
	bundled  bool             // secrets hold many tenants each
	prune    bool             // delete what no tenant needs any more
	maxPrune int              // how much of that may go at most
}

// situation is what a run knows before its first write.
type situation struct {
	scope   github.Scope         // where the secrets are kept
	listed  map[string]time.Time // when each secret of the scope was last written, by name, as GitHub lists it
	past    past                 // what earlier syncs wrote
	tenants []string             // keys of this run's tenants
	all     []string             // keys of all tenants that the source lists
	whole   bool                 // as in [mode.Found]: only then is a tenant that is not found gone
}

// past is what is known about earlier syncs.
type past struct {
	keys  *secrets.Keyring // nil: nothing is ever remembered
	known bool             // a state was found that can be used
	state secrets.State    // the zero state unless known
}

// ours reports whether a sync wrote the secret with that name.
func (p past) ours(name string) bool {
	if !p.known {
		return false
	}
	_, ok := p.state.Secrets[p.keys.Name(name)]
	return ok
}

// current reports whether a secret, listed with this time, already holds the value.
func (p past) current(name, value string, listed time.Time) bool {
	return p.known && p.state.Current(p.keys, name, value, listed)
}

// member returns what is known about a tenant in a bundle.
func (p past) member(key string) (m secrets.Member, ok bool) {
	if p.known {
		m, ok = p.state.Members[p.keys.Name(key)]
	}
	return m, ok
}

// members returns what is known about all tenants in bundles: nil if that is unknown, and none before the first sync.
func (p past) members() map[secrets.Print]secrets.Member {
	if !p.known {
		return map[secrets.Print]secrets.Member{}
	}
	return p.state.Members
}

// What becomes of a tenant's secret.
const (
	created   = "created"
	updated   = "updated"
	unchanged = "unchanged"
)

// plan decides what becomes of every secret, from the settings, the situation and, as they become known, the connection
// strings. It makes no call, reads no clock and never changes, so all jobs can share it.
type plan struct {
	settings
	situation
	names map[string]string // of the tenants' own secrets, by key; nil with bundles
	// nameless says why a tenant's own secret can have no name, by key.
	nameless map[string]error
	bundles  []string // names of the scope's bundles
	left     leftovers
}

// newPlan returns a plan, or refuses what cannot work before anything is written.
func newPlan(in settings, at situation) (*plan, error) {
	p := &plan{settings: in, situation: at, bundles: bundlesAmong(at.listed)}
	var err error
	if p.bundled {
		err = p.checkBundles()
	} else {
		err = p.nameSecrets()
	}
	if err != nil {
		return nil, err
	}
	if p.left, err = p.findLeftovers(); err != nil {
		return nil, err
	}
	return p, nil
}

// bundlesAmong returns the names that are those of bundles, sorted.
func bundlesAmong(listed map[string]time.Time) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if _, ok := secrets.IsBundle(name); ok {
			names = append(names, name)
		}
	}
	return names
}

// nameSecrets refuses names that two tenants would share, and more secrets than there is room for.
func (p *plan) nameSecrets() (err error) {
	if p.names, p.nameless, err = p.template.Names(p.tenants); err != nil {
		return fmt.Errorf("secret-name %s: %w", p.template, err)
	}
	return p.checkLimit(slices.Collect(maps.Values(p.names)))
}

// checkLimit refuses more secrets than the scope may have.
func (p *plan) checkLimit(names []string) error {
	total := len(p.listed)
	for _, name := range names {
		if _, ok := p.listed[name]; !ok {
			total++
		}
	}
	if total <= p.scope.Limit() {
		return nil
	}
	err := fmt.Errorf("%s would have %d secrets, and GitHub allows %d: it has %d now, and %d would be added",
		p.scope, total, p.scope.Limit(), len(p.listed), total-len(p.listed))
	if p.bundled {
		return fleet.WithRemedy(err, "delete secrets that nobody needs, or choose another secrets-scope")
	}
	return fleet.WithRemedy(err, "set secret-layout: bundle, which packs some 200 tenants into each secret; "+
		"or spread the tenants over several environments (secrets-scope: environment)")
}

// secret returns the name of a tenant's own secret, and what becomes of it.
func (p *plan) secret(key, value string) (name, change string) {
	name = p.names[key]
	at, exists := p.listed[name]
	switch {
	case !exists:
		return name, created
	case p.past.current(name, value, at):
		return name, unchanged
	}
	return name, updated
}

// certainWrites counts the tenants' own secrets that have to be written whatever their values are.
func (p *plan) certainWrites() int {
	n := 0
	for _, name := range p.names {
		if _, ok := p.listed[name]; !ok || !p.past.known {
			n++
		}
	}
	return n
}

// adopted returns those of the written secrets that existed before and that no sync is known to have written: of the
// first one, all. If the state cannot be read or used, that is not known of any.
func (p *plan) adopted(written []string, first bool) (names []string) {
	for _, name := range slices.Sorted(slices.Values(written)) {
		if _, ok := p.listed[name]; ok && (p.past.known || first) && !p.past.ours(name) {
			names = append(names, name)
		}
	}
	return slices.Compact(names)
}
