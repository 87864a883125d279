package main

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

// showSecrets writes every tenant's connection string into a simulated GitHub's secrets, twice, and then once more after a
// secret was deleted by hand.
func (w *world) showSecrets(ctx context.Context, r *runner) error {
	title("Every tenant's connection string becomes a secret of a GitHub repository, sealed with its key")
	sync := func(outputs ...string) error {
		_, err := r.step(ctx, step{mode: "sync-secrets", inputs: []string{"github-token=" + githubtest.DefaultToken}, outputs: outputs})
		return err
	}
	if err := sync("succeeded=7", "failed=0"); err != nil {
		return err
	}
	title("Nothing has changed since, and nothing is written")
	w.github.ResetCalls()
	if err := sync("unchanged=7", "succeeded=0"); err != nil {
		return err
	}
	if n := w.github.Calls().Writes; n != 0 {
		return fmt.Errorf("the second sync wrote %d times", n)
	}
	title("Somebody deletes one by hand: that one is written again")
	w.github.DeleteSecret(githubtest.Scope{Repository: fleet}, "GLOBEX_DATABASE_URL")
	return sync("succeeded=1", "unchanged=6")
}
