package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// Secrets is the source whose tenants are entries of a JSON object such as ${{ toJSON(secrets) }}. It makes no call.
type Secrets struct {
	tenants []fleet.Tenant
	found   map[string]foundSecret // by the tenant's id
}

// foundSecret is a tenant's connection string.
type foundSecret struct {
	place string // where it was found: a secret's name, and the member of a bundle
	value fleet.Secret
}

var _ fleet.Source = (*Secrets)(nil)

func newSecrets(in *input.Reader, _ Options) fleet.Source {
	s := &Secrets{found: map[string]foundSecret{}}
	template := input.Parse(in, "secret-name", secrets.ParseTemplate)
	text := in.String("tenant-secrets")
	in.Confidential("tenant-secrets") // of which the tenants' values are concealed below, one by one
	if text == "" {
		in.Mistake("tenant-secrets",
			"is required for tenant-source: secrets and is empty; pass tenant-secrets: ${{ toJSON(secrets) }}")
		return s
	}
	entries, err := secrets.ParseObject(text)
	if err != nil {
		in.Mistake("tenant-secrets", "%v; pass tenant-secrets: ${{ toJSON(secrets) }}, or one bundle as it is", err)
		return s
	}
	for _, e := range entries {
		s.read(in, template, e)
	}
	slices.SortFunc(s.tenants, func(a, b fleet.Tenant) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// read adds the tenants of an entry: a bundle, one tenant's secret, or a member of a bundle that was passed by itself.
// Any other entry is ignored.
func (s *Secrets) read(in *input.Reader, template secrets.Template, e secrets.Entry) {
	if _, ok := secrets.IsBundle(e.Name); ok {
		members, err := secrets.ParseObject(e.Value)
		if err != nil {
			in.Conceal(fleet.NewSecret(e.Value))
			in.Mistake("tenant-secrets", "the bundle %s %v; write it again with mode: sync-secrets", e.Name, err)
			return
		}
		for _, m := range members {
			s.add(in, m.Name, fmt.Sprintf("%s (member %s)", e.Name, m.Name), m.Value)
		}
		return
	}
	if key, ok := template.Match(e.Name); ok {
		s.add(in, key, e.Name, e.Value)
		return
	}
	// A secret's name is never a key: GitHub stores names in upper case, except github_token, which has an underscore.
	if e.Name != "" && e.Name == fleet.Slug(e.Name) {
		s.add(in, e.Name, "the member "+e.Name, e.Value)
	}
}

// add adds a tenant and hides its connection string. Of two that have one name, the connection strings must be equal.
func (s *Secrets) add(in *input.Reader, name, place, value string) {
	secret := fleet.NewSecret(value)
	in.Conceal(secret)
	known, ok := s.found[name]
	switch {
	case !ok:
		s.found[name] = foundSecret{place, secret}
		s.tenants = append(s.tenants, fleet.Tenant{Name: name, ID: name})
	case known.value != secret:
		in.Mistake("tenant-secrets", "%s and %s hold different connection strings for one tenant, %s; "+
			"delete the outdated one, or pass only the secrets that the job needs", known.place, place, name)
	}
}

// Tenants implements [fleet.Source].
func (s *Secrets) Tenants(context.Context) ([]fleet.Tenant, error) {
	return slices.Clone(s.tenants), nil
}

// URL implements [fleet.Source].
func (s *Secrets) URL(_ context.Context, t fleet.Tenant) (fleet.Secret, error) {
	found, ok := s.found[t.ID]
	if !ok {
		return fleet.Secret{}, fmt.Errorf("there is no secret for the tenant %s", t.ID)
	}
	if !isPostgresURL(found.value.Reveal()) {
		return fleet.Secret{}, fleet.WithRemedy(fmt.Errorf("the value of %s is not a Postgres URL", found.place),
			"store it again as postgresql://user:password@host/database, "+
				"or exclude the tenant with tenants: '!"+t.Name+"'")
	}
	return found.value, nil
}

// isPostgresURL reports whether a text is a URL of a Postgres database. Connecting reports anything else that is wrong.
func isPostgresURL(text string) bool {
	err := checkURI(text)
	return err == nil || errors.Is(err, errNoPassword)
}
