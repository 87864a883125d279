package secretsync

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/httpx"
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
		if p, ok := mode.Able[fleet.Pooler](in, env, "pooled", "this source knows no pooled connection strings; leave it out"); ok {
			s.resolve = p.PooledURL
		}
	}
	if s.settings.bundled && in.Given("shard") {
		in.Mistake("shard", "a bundle is written as a whole, which shards of a fleet cannot do; leave it out, or set secret-layout: per-tenant")
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
	scope, from := github.Scope{Repository: in.String("repository")}, "repository"
	if scope.Repository == "" {
		scope.Repository, from = in.Variable("GITHUB_REPOSITORY"), "repository (by GITHUB_REPOSITORY)"
	}
	environment, organization := in.String("github-environment"), in.String("github-organization")
	visibility := in.Choice("secrets-visibility", "all", "private", "selected")
	kind := in.Choice("secrets-scope", "repository", "environment", "organization")
	if kind == "" {
		return scope
	}
	switch {
	case kind == "environment" && environment == "":
		in.Mistake("github-environment", "is required for secrets-scope: environment and is empty; name the environment, which has to exist")
	case kind != "environment" && environment != "":
		in.Mistake("github-environment", "is for secrets-scope: environment, and secrets-scope is %s; set that, or leave it out", kind)
	}
	switch {
	case kind == "organization" && organization == "":
		in.Mistake("github-organization", "is required for secrets-scope: organization and is empty; name the organization")
	case kind != "organization" && organization != "":
		in.Mistake("github-organization", "is for secrets-scope: organization, and secrets-scope is %s; set that, or leave it out", kind)
	}
	switch kind {
	case "environment":
		scope.Environment = environment
	case "organization":
		scope.Organization, scope.Visibility = organization, visibility
	}
	if scope.Repository == "" && kind != "organization" {
		in.Mistake("repository", "is empty, and there is no GITHUB_REPOSITORY to take its place; write owner/repo")
		return scope
	}
	named := map[string]string{"repository": scope.Repository, "environment": environment, "organization": organization}
	if err := scope.Check(); err != nil && named[kind] != "" {
		in.Mistake(map[string]string{"repository": from, "environment": "github-environment", "organization": "github-organization"}[kind], "%v", err)
	}
	return scope
}

// gitHubClient makes the client; nil, with a mistake, where the token or the address cannot be right.
func gitHubClient(in *input.Reader, env mode.Env) *github.Client {
	token := in.String("github-token")
	if token == "" {
		in.Mistake("github-token", "is required here and is empty; store a fine-grained personal access token with the permission \"Secrets: write\", or make a "+
			"GitHub App's token in the job, and pass it (the job's own GITHUB_TOKEN has no access to secrets; a secret that does not exist gives an empty text)")
		return nil
	}
	in.Conceal(fleet.NewSecret(token))
	limits := github.Limits()
	limits.OnWait = func(d time.Duration, why string) {
		env.Say(fmt.Sprintf("waiting %s for GitHub: %s", d.Round(time.Second), why))
	}
	client, err := github.New(github.Options{
		BaseURL: in.Variable("GITHUB_API_URL"), Token: token, HTTP: httpx.New(limits).HTTP(),
		UserAgent: "neon-tenants-action (+https://github.com/org/neon-tenants-action)",
	})
	if err != nil {
		in.Mistake("github-token", "%v", err)
	}
	return client
}

// keyMaterial is what the fingerprints of values are keyed with: the credential by which the tenants are found. Without one
// nothing is remembered.
func keyMaterial(in *input.Reader) string {
	material := in.String("neon-api-key")
	if material == "" {
		material = in.String("database-url")
	}
	if material != "" {
		in.Conceal(fleet.NewSecret(material))
	}
	return material
}
