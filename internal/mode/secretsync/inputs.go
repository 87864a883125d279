package secretsync

import (
	"context"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// New reads the inputs of mode sync-secrets.
func New(in *input.Reader, env mode.Env) mode.Work {
	s := &syncer{
		env:   env,
		scope: secretsScope(in),
		settings: settings{
			template: input.Parse(in, "secret-name", secrets.ParseTemplate),
			bundled:  in.Choice("secret-layout", "per-tenant", "bundle") == "bundle",
			prune:    in.Bool("prune-secrets"),
			maxPrune: in.Int("max-prune", 0, 1_000_000),
		},
		resolve: func(ctx context.Context, t fleet.Tenant) (fleet.Secret, error) { return env.Source.URL(ctx, t) },
	}
	if in.Bool("pooled") {
		const lacks = "this source knows no pooled connection strings; leave it out"
		if p, ok := mode.Able[fleet.Pooler](in, env, "pooled", lacks); ok {
			s.resolve = p.PooledURL
		}
	}
	if s.settings.bundled && in.Given("shard") {
		in.Mistake("shard", "a bundle is written as a whole, and a shard has only some of its tenants; "+
			"leave it out, or set secret-layout: per-tenant")
	}
	if s.settings.bundled && in.Given("waves") {
		in.Mistake("waves", "a bundle is written as a whole, once all tenants are read, so waves would hold back nothing; "+
			"leave it out, or set secret-layout: per-tenant")
	}
	s.file = readWorkflowFile(in)
	s.client = gitHubClient(in, env)
	if material := keyMaterial(in); material != "" {
		s.keys = secrets.NewKeyring(material, strings.ToLower(s.scope.String()))
	}
	return mode.Work{Prepare: s.prepare, Job: s.job, Finish: s.finish}
}

// secretsScope reads where the secrets are kept.
func secretsScope(in *input.Reader) github.Scope {
	kind := in.Choice("secrets-scope", "repository", "environment", "organization")
	environment, organization := in.String("github-environment"), in.String("github-organization")
	checkScope(in, kind, "environment", "github-environment", environment)
	checkScope(in, kind, "organization", "github-organization", organization)
	visibility := in.Choice("secrets-visibility", "all", "private", "selected")
	repository, from := in.String("repository"), "repository"
	if repository == "" {
		repository, from = in.Variable("GITHUB_REPOSITORY"), "repository (from GITHUB_REPOSITORY)"
	}
	scope := github.Scope{Repository: repository}
	bad := scope.Check()
	switch {
	case kind == "": // a mistake already
	case kind == "organization":
		scope.Organization, scope.Visibility = organization, visibility
		if err := scope.Check(); organization != "" && err != nil {
			in.Mistake("github-organization", "%v", err)
		}
	case repository == "":
		in.Mistake("repository", "is empty, and so is its default, GITHUB_REPOSITORY; write owner/repo")
	case bad != nil:
		in.Mistake(from, "%v", bad)
	case kind == "environment":
		scope.Environment = environment
		if err := scope.Check(); err != nil {
			in.Mistake("github-environment", "%v", err)
		}
	}
	return scope
}

// checkScope refuses the input of one kind of scope where another kind is chosen, and its absence where its own is.
func checkScope(in *input.Reader, kind, its, name, value string) {
	switch {
	case kind == "": // a mistake already
	case kind == its && value == "":
		in.Mistake(name, "is required with secrets-scope: %s and is empty; give the name of one that exists", its)
	case kind != its && value != "":
		in.Mistake(name, "is for secrets-scope: %s, and secrets-scope is %s; change that, or leave it out", its, kind)
	}
}

// gitHubClient makes the client. It is nil, with a mistake, if the token or the address cannot be right.
func gitHubClient(in *input.Reader, env mode.Env) *github.Client {
	token := in.OptionalSecret("github-token")
	if token == "" {
		in.Mistake("github-token", "is required here and is empty; store a fine-grained personal access token with "+
			"the permissions \"Secrets: write\" and \"Variables: write\" as a secret, or create a GitHub App's token in the "+
			"job, and pass that (the job's own GITHUB_TOKEN has no access to secrets, and a secret that does not "+
			"exist is an empty text)")
		return nil
	}
	return mode.GitHub(in, env, token)
}

// keyMaterial keys the fingerprints of values: the Neon API key, or without one the GitHub token. Both are random. A
// database's password may not be: whoever reads the variable and can guess its key could then test guesses at every
// value. It is empty, and nothing is remembered, if no later run will have the same token.
func keyMaterial(in *input.Reader) string {
	if key := in.OptionalSecret("neon-api-key"); key != "" {
		return key
	}
	token := in.String("github-token")
	if strings.HasPrefix(token, "ghs_") || strings.HasPrefix(token, "ghu_") { // a GitHub App's
		return ""
	}
	return token
}
