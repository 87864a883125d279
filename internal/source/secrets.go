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

// Secrets is the source where a tenant is an entry of a JSON object, as ${{ toJSON(secrets) }} makes one. It calls nothing.
type Secrets struct {
	tenants []fleet.Tenant
	found   map[string]foundSecret // by the tenant's id
}

// foundSecret is a tenant's connection string and where it was found.
type foundSecret struct {
	place string // the secret's name, and a bundle's member
	value fleet.Secret
}

var _ fleet.Source = (*Secrets)(nil)

func newSecrets(in *input.Reader, _ Options) fleet.Source {
	s := &Secrets{found: map[string]foundSecret{}}
	template := input.Parse(in, "secret-name", secrets.ParseTemplate)
	text := in.String("tenant-secrets")
	if text == "" {
		in.Mistake("tenant-secrets", "is required for tenant-source: secrets and is empty; pass tenant-secrets: ${{ toJSON(secrets) }}")
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

// read takes an entry for a bundle, a tenant's secret, a member of a bundle that was given as it is, or none of these.
func (s *Secrets) read(in *input.Reader, template secrets.Template, e secrets.Entry) {
	if _, ok := secrets.IsBundle(e.Name); ok {
		members, err := secrets.ParseObject(e.Value)
		if err != nil {
			in.Conceal(fleet.NewSecret(e.Value))
			in.Mistake("tenant-secrets", "the bundle %s %v; write it again by mode: sync-secrets", e.Name, err)
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
	// No secret's name is a key: GitHub stores names in upper case (github_token has a _), and keys are in lower case.
	if e.Name != "" && e.Name == fleet.Slug(e.Name) {
		s.add(in, e.Name, "the member "+e.Name, e.Value)
	}
}

// add takes up a tenant, and hides its connection string. A tenant that is there already has to have the same one.
func (s *Secrets) add(in *input.Reader, name, place, value string) {
	secret := fleet.NewSecret(value)
	in.Conceal(secret)
	known, ok := s.found[name]
	switch {
	case !ok:
		s.found[name] = foundSecret{place, secret}
		s.tenants = append(s.tenants, fleet.Tenant{Name: name, ID: name})
	case known.value != secret:
		in.Mistake("tenant-secrets", "%s and %s hold two connection strings of one tenant, %s; delete the one that is out of date, "+
			"or pass only those secrets that the job needs", known.place, place, name)
	}
}

// Tenants implements fleet.Source.
func (s *Secrets) Tenants(context.Context) ([]fleet.Tenant, error) {
	return slices.Clone(s.tenants), nil
}

// URL implements fleet.Source.
func (s *Secrets) URL(_ context.Context, t fleet.Tenant) (fleet.Secret, error) {
	found, ok := s.found[t.ID]
	if !ok {
		return fleet.Secret{}, fmt.Errorf("there is no secret of the tenant %s", t.ID)
	}
	if !isPostgresURL(found.value.Reveal()) {
		return fleet.Secret{}, fleet.WithRemedy(fmt.Errorf("the value of %s is no Postgres URL", found.place),
			"store it again as postgresql://user:password@host/database, or leave the tenant out with tenants: '!"+t.Name+"'")
	}
	return found.value, nil
}

// isPostgresURL reports whether a text is a URL of a Postgres database; what else is wrong with it, connecting tells.
func isPostgresURL(text string) bool {
	err := checkURI(text)
	return err == nil || errors.Is(err, errNoPassword)
}
