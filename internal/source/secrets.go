package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/secrets"
	"github.com/org/neon-tenants-action/internal/words"
)

// Secrets is the source whose tenants are entries of a JSON object such as ${{ toJSON(secrets) }}, or members of
// bundles in the job's environment. It makes no call.
type Secrets struct {
	tenants []fleet.Tenant
	found   map[string]foundSecret // by the tenant's id

	template secrets.Template
	// How many entries the input has, how many of them are bundles, match the template or are GitHub's own, and how many
	// bundles the job's environment has.
	entries, bundles, matches, githubs, variables int
}

// foundSecret is a tenant's connection string.
type foundSecret struct {
	place string // where it was found: a secret's name, and the member of a bundle
	value fleet.Secret
}

var (
	_ fleet.Source   = (*Secrets)(nil)
	_ fleet.Searcher = (*Secrets)(nil)
)

// mostBundles is the highest number of a bundle that is looked for in the environment: no place on GitHub holds more
// secrets, and Linux gives a program no more than 2 MiB of arguments and environment, which some 40 full ones take.
const mostBundles = 1000

func newSecrets(in *input.Reader, o Options) fleet.Source {
	s := &Secrets{found: map[string]foundSecret{}, template: input.Parse(in, "secret-name", secrets.ParseTemplate)}
	text := in.String("tenant-secrets")
	// Its values are not concealed here, and so not masked: the runner masks a secret that is not in a bundle itself,
	// and a run masks what it resolves. It prints none of the others, and masks of thousands of them, of which a shard
	// uses a few, would slow down every line of the job's log.
	in.Confidential("tenant-secrets")
	if s.variables = s.readEnvironment(in, o); s.variables == 0 && text == "" {
		in.Mistake("tenant-secrets", "is required for tenant-source: secrets and is empty, and the job's environment has "+
			"no bundle such as %s either; pass tenant-secrets: ${{ toJSON(secrets) }}", secrets.BundleName(1))
		return s
	}
	if text != "" {
		s.readInput(in, text)
	}
	slices.SortFunc(s.tenants, func(a, b fleet.Tenant) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// readInput reads the JSON object of the input tenant-secrets.
func (s *Secrets) readInput(in *input.Reader, text string) {
	entries, err := secrets.ParseObject(text)
	if err != nil {
		in.Mistake("tenant-secrets", "%v; pass tenant-secrets: ${{ toJSON(secrets) }}, or one bundle as it is", err)
		return
	}
	s.entries = len(entries)
	if isBundle(entries) {
		s.bundles++
		s.readBundle(in, "tenant-secrets", "tenant-secrets", text)
		return
	}
	for _, e := range entries {
		if strings.EqualFold(e.Name, "github_token") { // which every job has
			s.githubs++
		}
		s.read(in, e)
	}
}

// readEnvironment reads the bundles that are variables of the job's environment, each with room of its own, and returns
// how many there are. One that is empty stands for a secret that does not exist.
func (s *Secrets) readEnvironment(in *input.Reader, o Options) (bundles int) {
	var empty []string
	for n := 1; n <= mostBundles; n++ {
		name := secrets.BundleName(n)
		value, ok := in.LookupVariable(name)
		switch {
		case !ok:
		case strings.TrimSpace(value) == "":
			empty = append(empty, name)
		default:
			s.readBundle(in, name, name+" of the environment", value)
			bundles++
		}
	}
	if len(empty) > 0 && bundles > 0 {
		const shown = 5
		o.warn(fmt.Sprintf("the job's environment has %s, but empty: if a secret of that name is missing, its tenants are "+
			"too; if it was deleted, update the list of secrets with workflow-file of mode sync-secrets",
			words.List(empty, shown)))
	}
	return bundles
}

// isBundle reports whether an object is a bundle that was passed by itself. A single entry named like a member is not
// enough: an object that somebody wrote by hand has keys such as npm-token too, which nobody asked for.
func isBundle(entries []secrets.Entry) bool {
	return len(entries) > 0 && !slices.ContainsFunc(entries, func(e secrets.Entry) bool {
		return e.Name == "" || e.Name != fleet.Slug(e.Name) || !isPostgresURL(strings.TrimSpace(e.Value))
	})
}

// read adds the tenants of an entry: a bundle, or one tenant's secret. Any other entry is ignored.
func (s *Secrets) read(in *input.Reader, e secrets.Entry) {
	if _, ok := secrets.IsBundle(e.Name); ok {
		s.bundles++
		s.readBundle(in, "tenant-secrets", e.Name, e.Value)
		return
	}
	if key, ok := s.template.Match(e.Name); ok {
		s.matches++
		s.add(in, key, e.Name, e.Value)
	}
}

// readBundle adds the members of a bundle. from is the input or the variable that a mistake is about.
func (s *Secrets) readBundle(in *input.Reader, from, place, value string) {
	members, err := secrets.ParseObject(value)
	if err != nil {
		in.Conceal(fleet.NewSecret(value))
		in.Mistake(from, "the bundle %s %v; write it again with mode: sync-secrets", place, err)
		return
	}
	for _, m := range members {
		s.add(in, m.Name, fmt.Sprintf("%s (member %s)", place, m.Name), m.Value)
	}
}

// add adds a tenant. Of two that have one name, the connection strings must be equal.
func (s *Secrets) add(in *input.Reader, name, place, value string) {
	secret := fleet.NewSecret(strings.TrimSpace(value)) // a pasted secret often ends with a line break
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

// Searched implements [fleet.Searcher]. It names no entry: some are not tenants, and nobody asked for their names.
func (s *Secrets) Searched() (looked, remedy string) {
	looked = fmt.Sprintf("of the %s of tenant-secrets, %d have the form of secret-name: %s, and %d are bundles",
		words.Count(s.entries, "entry", "entries"), s.matches, s.template, s.bundles)
	if s.variables > 0 {
		looked += fmt.Sprintf("; the job's environment has %s", words.Count(s.variables, "bundle", "bundles"))
	}
	if s.entries == s.githubs && s.variables == 0 {
		return looked, "the job sees no secrets: a workflow that another calls needs secrets: inherit, and a pull request " +
			"from a fork gets none; pass tenant-secrets: ${{ toJSON(secrets) }}"
	}
	return looked, "set secret-name to the form of the secrets' names, with {TENANT} for the tenant, and let the job " +
		"have the secrets (those of an environment need environment: in the job)"
}

// URL implements [fleet.Source].
func (s *Secrets) URL(_ context.Context, t fleet.Tenant) (fleet.Secret, error) {
	found, ok := s.found[t.ID]
	if !ok {
		return fleet.Secret{}, fmt.Errorf("there is no secret for the tenant %s", t.ID)
	}
	if text := found.value.Reveal(); !isPostgresURL(text) {
		problem, remedy := "is not a Postgres URL", "store it again as postgresql://user:password@host/database"
		var wrong *postgres.URLError
		if errors.As(postgres.CheckURL(text), &wrong) {
			problem, remedy = problem+": "+wrong.Problem, wrong.Fix+"; store it again like that"
		}
		return fleet.Secret{}, fleet.WithRemedy(fmt.Errorf("the value of %s %s", found.place, problem),
			remedy+", or exclude the tenant with tenants: '!"+t.Name+"'")
	}
	return found.value, nil
}

// isPostgresURL reports whether a text is a URL of a Postgres database. Connecting reports anything else that is wrong.
func isPostgresURL(text string) bool {
	err := checkURI(text)
	return err == nil || errors.Is(err, errNoPassword)
}
