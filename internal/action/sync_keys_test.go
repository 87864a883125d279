package action

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// The fingerprints are keyed by a random secret, never by a connection string, whose password may be one that can be
// guessed. A state of an earlier version that was is not used, and does not stay.
func TestFingerprintsAreNotKeyedByAConnectionString(t *testing.T) {
	t.Parallel()
	h, catalog := newHub(t), catalogDatabase(t)
	askAll(t, catalog, "create table stored (name text, url text); insert into stored values "+
		"('acme', 'postgresql://acme:npg_acme@db.example.com/acme'), ('beta', "+
		"'postgresql://beta:npg_beta@db.example.com/beta')")
	inputs := []string{"tenant-source=catalog", "database-url=" + catalog, "tenant-secrets=",
		"catalog-query=select name, url from stored", "neon-api-key=", "neon-api-url="}
	const place = "repository acme/app"
	weak := secrets.NewKeyring(catalog, place)
	old, err := weak.Encode(secrets.State{Secrets: map[secrets.Print]secrets.Record{
		weak.Name("ACME_DATABASE_URL"): {Value: weak.Value("ACME_DATABASE_URL",
			"postgresql://acme:npg_acme@db.example.com/acme")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.SetVariable(h.scope, secrets.StateVariable, old)

	o := h.sync(t, inputs...)
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "it was written with another Neon API key or, without one, another GitHub token")
	state, _ := h.Variable(h.scope, secrets.StateVariable)
	if _, err := weak.Decode(state); err == nil {
		t.Error("the state is keyed by the connection string")
	}
	if s, err := secrets.NewKeyring(githubtest.DefaultToken, place).Decode(state); err != nil || len(s.Secrets) != 2 {
		t.Errorf("the state is not keyed by the GitHub token: %+v, %v", s, err)
	}
	h.sync(t, inputs...).counts(t, 0, 2, 0, 0)
}

// A token that no later run has keys nothing.
func TestAnAppsTokenRemembersNothing(t *testing.T) {
	t.Parallel()
	h := newHub(t, "acme-corp")
	const token = "ghs_of_an_app"
	h.AddToken(githubtest.Token{Secret: token, Permissions: map[string]string{
		"metadata": "read", "secrets": "write", "actions_variables": "write",
	}})
	o := h.sync(t, "github-token="+token, "neon-api-key=")
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "can be remembered only with neon-api-key, which keys the fingerprints; a GitHub App's token")
	if _, ok := h.Variable(h.scope, secrets.StateVariable); ok {
		t.Error("there is a state that no run can read")
	}
	h.sync(t, "github-token="+token).counts(t, 1, 0, 0, 0)
	h.sync(t, "github-token="+token).counts(t, 0, 1, 0, 0)
}
