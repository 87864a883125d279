package action

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// What a rehearsal showed stands in one comment of the pull request, which the next run updates.
func TestRehearsalComments(t *testing.T) {
	servertest.Long(t)
	f := newFleet(t, named("acme", "umbra")...)
	f.run(t, t.Context()).counts(t, 2, 0, 0, 0)
	f.write(t, "20250101090300_wider.sql", widen)
	hub, err := githubtest.Start(githubtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Close() })
	hub.AddRepository("acme/app")
	hub.AddPullRequest("acme/app", 7)
	event := filepath.Join(t.TempDir(), "event.json")
	const opened = `{"action":"opened","number":7,"pull_request":{"number":7}}`
	if err := os.WriteFile(event, []byte(opened), 0o600); err != nil {
		t.Fatal(err)
	}
	inputs := []string{"rehearse=all", "dry-run=true", "comment=true", "github-token=" + githubtest.JobToken,
		"$GITHUB_EVENT_PATH=" + event, "$GITHUB_API_URL=" + hub.URL, "$GITHUB_REPOSITORY=acme/app"}
	for range 2 {
		o := f.run(t, t.Context(), inputs...)
		o.counts(t, 2, 0, 0, 0)
		o.says(t, "commented on the pull request: ")
	}
	all := hub.Comments("acme/app", 7)
	if len(all) != 1 || !strings.Contains(all[0].Body, "### Rehearsal") ||
		!strings.Contains(all[0].Body, "2 of 2 tenants rewrite tasks") ||
		!strings.Contains(all[0].Body, "```sql\n-- in a file of its own:") {
		t.Errorf("%+v", all)
	}
	f.run(t, t.Context(), append(inputs, "rehearse-fail-on=rewrite>1B")...).says(t, "commented on the pull request: ")
	if all = hub.Comments("acme/app", 7); len(all) != 1 || !strings.Contains(all[0].Body, "2 of 2 rehearsals failed") {
		t.Errorf("after a limit was exceeded: %+v", all)
	}
	f.run(t, t.Context(), "comment=true").says(t, "there is none; give rehearse: all")
}
