package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

// serve runs the world until the context ends. It prints the environment to use, and on request writes it to a file.
func serve(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	envFile := flags.String("env-file", "", "write the environment to this file once everything is up")
	port := flags.Int("port", 0, "port of Neon's API on 127.0.0.1; 0 is any free one")
	tenants := flags.Int("tenants", len(customers), "how many tenants there are")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := startWorld(ctx, *port, *tenants)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()

	var text strings.Builder
	for _, e := range w.environment() {
		fmt.Fprintf(&text, "%s=%s\n", e[0], e[1])
	}
	if *envFile != "" { // renamed into place, so that whoever waits for it never reads half
		if err := os.WriteFile(*envFile+".tmp", []byte(text.String()), 0o600); err != nil {
			return err
		}
		if err := os.Rename(*envFile+".tmp", *envFile); err != nil {
			return err
		}
	}
	out := newPrinter(os.Stdout, cancel)
	out.printf(`Running: a Neon organization with %d projects; S3 (%s) with a token service that trusts this
sandbox's identity tokens; GitHub's API with the repository %s, its secrets and its pull request #%d. Ctrl-C stops and
removes all.

%s
Try it from another terminal:
  curl -s -H "Authorization: Bearer $NEON_API_KEY" "$NEON_API_URL/projects?limit=100"
  npx neonctl --api-host "$NEON_API_URL" projects list --org-id "$NEON_ORG_ID"
  curl -s -H "Authorization: Bearer $GITHUB_TOKEN" "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/secrets"
This program's inputs, for all that follows, and some of its modes:
  export NEON_TENANTS_NEON_API_KEY="$NEON_API_KEY" NEON_TENANTS_NEON_API_URL="$NEON_API_URL"
  export NEON_TENANTS_S3_BUCKET="$S3_BUCKET" NEON_TENANTS_S3_ENDPOINT="$S3_ENDPOINT" NEON_TENANTS_S3_PATH_STYLE=true
  export NEON_TENANTS_ROLE_TO_ASSUME="$ROLE_TO_ASSUME" NEON_TENANTS_GITHUB_TOKEN="$GITHUB_TOKEN"
  export NEON_TENANTS_VERIFY_DATABASE_URL="$RESTORE_URL" NEON_TENANTS_MIGRATIONS_PATH=migrations/example
  go run . --mode migrate
  go run . --mode backup
  go run . --mode verify-backups
  go run . --mode restore --tenants Globex --restore-into branch
  go run . --mode sync-secrets
  go run . --mode health-check
GitHub's command line takes no address and speaks plain HTTP to github.localhost only; the sandbox is the proxy to that:
  sandbox_gh() { HTTP_PROXY="$GITHUB_API_URL" NO_PROXY=none GH_HOST=github.localhost GH_TOKEN="$GITHUB_TOKEN" gh "$@"; }
  sandbox_gh secret set FROM_GH --body hello --repo "$GITHUB_REPOSITORY"
  sandbox_gh secret list --repo "$GITHUB_REPOSITORY"
`, len(w.projects), w.store, fleet, pullRequest, exports(text.String()))
	<-ctx.Done()
	return nil
}

func exports(environment string) string {
	var b strings.Builder
	for line := range strings.Lines(environment) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, value)
	}
	return b.String()
}
