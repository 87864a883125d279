//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// testPreviewBranches opens a pull request with a migration, pushes to it, and closes it twice.
func testPreviewBranches(t *testing.T, sandbox *sandbox) {
	repository := newRepository(t, "preview-branches.yml")
	const version = "20250101090300"
	addMigration(t, repository, version+"_deadlines.sql", "alter table projects add column due_on date;")
	project := sandbox.named(t, "ACME Corp")
	project.exec(t, "create table customers (name text); insert into customers values ('Zoë')")
	own := sandbox.environment["GITHUB_REPOSITORY"]
	psql, given := actPsql(t)
	run := func(action string) outcome {
		t.Helper()
		return runAct(t, sandbox, repository, "pull_request", append(actPullRequest(t, sandbox, action, own),
			append(psql, "--var", "PREVIEW_PROJECT="+project.name)...)...)
	}
	// preview is the pull request's branch, migrated, as the workflow's last step sees it.
	preview := func(action string) (branch, tenant) {
		t.Helper()
		wantJob(t, run(action), "Preview branches", "preview", "close")
		made := sandbox.preview(t, project)
		if len(made) != 1 || made[0].ExpiresAt == "" {
			t.Fatalf("%s: want one branch, which expires; there are %+v", action, made)
		}
		database := tenant{made[0].ID, "the preview", given(t)}
		if is := query[string](t, database, "select max(version) from schema_migrations"); is != version {
			t.Errorf("%s: the branch is at %s, want %s", action, is, version)
		}
		return made[0], database
	}
	const customers = "select string_agg(name, ', ' order by name) from customers"

	t.Log("opened: a branch with the project's data, migrated")
	first, database := preview("opened")
	if has := query[string](t, database, customers); has != "Zoë" {
		t.Errorf("the branch has the customers %s", has)
	}

	t.Log("a push: the same branch with the data that the project has now, migrated again")
	database.exec(t, "insert into customers values ('Only here')")
	project.exec(t, "insert into customers values ('Ada')")
	second, database := preview("synchronize")
	if has := query[string](t, database, customers); has != "Ada, Zoë" || second.ID != first.ID {
		t.Errorf("the branch %s, which was %s, has the customers %s", second.ID, first.ID, has)
	}

	t.Log("closed: no branch, and again")
	job := run("closed")
	wantJob(t, job, "Preview branches", "close", "preview")
	job.wants(t, "succeeded", "1")
	if left := sandbox.preview(t, project); len(left) != 0 {
		t.Errorf("left are %+v", left)
	}
	run("closed").wants(t, "unchanged", "1")
	if is := query[string](t, project, "select max(version) from schema_migrations"); is != last {
		t.Errorf("the project itself is at %s, want %s", is, last)
	}
	for _, tenant := range sandbox.tenants {
		if all := sandbox.branches(t, tenant); len(all) != 1 {
			t.Errorf("%s has the branches %+v", tenant.name, all)
		}
	}
}

// preview lists the branches that the pull request has in a tenant.
func (s *sandbox) preview(t *testing.T, of tenant) (found []branch) {
	t.Helper()
	for _, b := range s.branches(t, of) {
		if b.Name == "preview/pr-"+strconv.Itoa(pullRequest) {
			found = append(found, b)
		}
	}
	return found
}

// actPsql returns the options that give the job's container a psql, which act's image lacks, and what returns the
// connection string that it was called with. It only keeps that string: the tests ask the database themselves.
func actPsql(t *testing.T) (options []string, given func(*testing.T) string) {
	t.Helper()
	dir := t.TempDir()
	program, kept := filepath.Join(dir, "psql"), filepath.Join(dir, "given")
	// #nosec G306 -- the job executes it
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$1\" >/given\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--container-options", "--volume " + program + ":/usr/local/bin/psql --volume " + kept + ":/given"},
		func(t *testing.T) string {
			t.Helper()
			text, err := os.ReadFile(kept)
			if err != nil || !strings.HasPrefix(string(text), "postgres") {
				t.Fatalf("psql was called with %q: %v", text, err)
			}
			if err := os.Truncate(kept, 0); err != nil { // the next job has to call it again
				t.Fatal(err)
			}
			return strings.TrimSpace(string(text))
		}
}
