//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

// pullRequest is the number of the one pull request on the sandbox's GitHub.
const pullRequest = 7

// actPullRequest returns the options of an event of the pull request whose commits are in the repository from.
func actPullRequest(t *testing.T, sandbox *sandbox, action, from string) []string {
	t.Helper()
	type object = map[string]any
	repository := func(name string) object { return object{"full_name": name, "default_branch": "main"} }
	own := sandbox.environment["GITHUB_REPOSITORY"]
	event, err := json.Marshal(object{
		"action": action, "number": pullRequest, "repository": repository(own),
		"pull_request": object{
			"number": pullRequest,
			"head":   object{"ref": "more-migrations", "repo": repository(from)},
			"base":   object{"ref": "main", "repo": repository(own)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, event, 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{
		"--eventpath", path,
		"--secret", "GITHUB_TOKEN=" + githubtest.JobToken,
		"--env", "GITHUB_API_URL=" + sandbox.environment["GITHUB_API_URL"],
		"--env", "GITHUB_REPOSITORY=" + own,
	}
}

// wantJob checks by act's log, whose lines begin with the job's name, which of two jobs of a workflow ran.
func wantJob(t *testing.T, o outcome, workflow, ran, skipped string) {
	t.Helper()
	line := "[" + workflow + nameMark() + "/"
	if !strings.Contains(o.log, line+ran) || strings.Contains(o.log, line+skipped) {
		t.Errorf("want the job %s to run, and %s not:\n%s", ran, skipped, o.log)
	}
}

// comment is what the sandbox's GitHub says of a comment.
type comment struct {
	ID   int64
	Body string
	User struct{ Login string }
}

// comments lists the pull request's comments, without the references that keep Markdown from reading names as its own.
func (s *sandbox) comments(t *testing.T) (all []comment) {
	t.Helper()
	s.getGitHub(t, "/issues/"+strconv.Itoa(pullRequest)+"/comments?per_page=100", &all)
	for i := range all {
		all[i].Body = html.UnescapeString(all[i].Body)
	}
	return all
}

// branch is what the sandbox's Neon says of a branch.
type branch struct {
	ID, Name  string
	ExpiresAt string `json:"expires_at"`
}

// branches lists a tenant's branches.
func (s *sandbox) branches(t *testing.T, of tenant) []branch {
	t.Helper()
	var list struct{ Branches []branch }
	s.get(t, "/projects/"+of.id+"/branches", nil, &list)
	return list.Branches
}

// TestPullRequestExamples runs what a pull request starts, on a fleet that has the migrations of before it.
func TestPullRequestExamples(t *testing.T) {
	sandbox := startSandbox(t)
	if run := runStep(t, newWorkspace(t, nil), sandbox.migrate()); run.exit != 0 {
		t.Fatalf("migrate: exit status %d, want 0", run.exit)
	}
	t.Run("rehearse", func(t *testing.T) { testRehearseOnPullRequest(t, sandbox) })
	t.Run("preview", func(t *testing.T) { testPreviewBranches(t, sandbox) })
}

// addMigration adds a file to a repository's migrations.
func addMigration(t *testing.T, repository, file, sql string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(repository, "db", "migrations", file),
		[]byte("-- migrate:up\n"+sql+"\n\n-- migrate:down\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// testRehearseOnPullRequest opens a pull request with one migration, pushes another, and then gets one from a fork.
func testRehearseOnPullRequest(t *testing.T, sandbox *sandbox) {
	repository := newRepository(t, "rehearse-on-pull-request.yml")

	t.Log("opened: a comment")
	addMigration(t, repository, "20250101090300_short_emails.sql",
		"alter table users alter column email type varchar(320);")
	first := rehearse(t, sandbox, repository, "opened")
	if first.User.Login != "github-actions[bot]" {
		t.Errorf("the comment is by %s", first.User.Login)
	}
	if want := fmt.Sprintf("%[1]d of %[1]d tenants rewrite users", len(sandbox.tenants)); !strings.Contains(
		first.Body, want) {
		t.Errorf("the comment does not say %q:\n%s", want, first.Body)
	}

	t.Log("a push: the same comment says more")
	const pushed = "20250101090400_deadlines.sql"
	addMigration(t, repository, pushed, "alter table projects add column due_on date;")
	second := rehearse(t, sandbox, repository, "synchronize")
	if second.ID != first.ID || strings.Contains(first.Body, pushed) || !strings.Contains(second.Body, pushed) {
		t.Errorf("the comment was\n%+v\nand is\n%+v", first, second)
	}

	t.Log("from a fork: nothing is rehearsed")
	job := runAct(t, sandbox, repository, "pull_request",
		actPullRequest(t, sandbox, "opened", "stranger/fleet")...)
	wantJob(t, job, "Rehearse migrations", "fork", "rehearse")
	if want := "a pull request from a fork is not rehearsed"; !strings.Contains(job.log, want) {
		t.Errorf("the job fork did not say %q", want)
	}
	if all := sandbox.comments(t); len(all) != 1 || all[0] != second {
		t.Errorf("the comments are %+v", all)
	}
}

// rehearse runs the workflow, which touches no tenant, and returns the pull request's one comment.
func rehearse(t *testing.T, sandbox *sandbox, repository, action string) comment {
	t.Helper()
	job := runAct(t, sandbox, repository, "pull_request",
		actPullRequest(t, sandbox, action, sandbox.environment["GITHUB_REPOSITORY"])...)
	wantJob(t, job, "Rehearse migrations", "rehearse", "fork")
	total := len(sandbox.tenants)
	job.wants(t, "total", strconv.Itoa(total))
	job.wants(t, "failed", "0")
	var said struct {
		Passed    bool
		Rehearsed int
		Sentence  string
		Cost      struct{ Branches int }
	}
	if err := json.Unmarshal([]byte(job.outputs["rehearsal"]), &said); err != nil || !said.Passed ||
		said.Rehearsed != total || said.Cost.Branches != total || said.Sentence == "" {
		t.Fatalf("the output rehearsal is %q: %v", job.outputs["rehearsal"], err)
	}
	if !strings.Contains(job.log, "| "+said.Sentence) {
		t.Errorf("the workflow's last step did not say %q", said.Sentence)
	}
	for _, tenant := range sandbox.tenants {
		if version := query[string](t, tenant, "select max(version) from schema_migrations"); version != last {
			t.Errorf("%s was touched: it is at %s", tenant.name, version)
		}
		if left := sandbox.branches(t, tenant); len(left) != 1 {
			t.Errorf("%s has the branches %+v", tenant.name, left)
		}
	}
	all := sandbox.comments(t)
	if len(all) != 1 || !strings.Contains(all[0].Body, said.Sentence[1:]) { // its first letter is a capital there
		t.Fatalf("want one comment that says %q, the pull request has %+v", said.Sentence, all)
	}
	return all[0]
}
