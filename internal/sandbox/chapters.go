package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

func showDryRun(ctx context.Context, _ *world, r *runner) error {
	r.out.tell("Look first: a dry run", `
		db/migrations holds three dbmate files. A dry run connects to every tenant, only reads, and says what a
		real run would do. Talent Biz's compute is suspended: the action waits until it is awake.`)
	return r.step(ctx, step{inputs: []string{"mode=migrate", "dry-run=true"}, outputs: []string{"total=6", "failed=0"}})
}

func showMigration(ctx context.Context, _ *world, r *runner) error {
	r.out.tell("Migrate every tenant", `
		Now for real: each tenant under its own lock, each file in its own transaction. In waves: if anything goes wrong
		with the first tenant, nobody else is touched.`)
	migrate := step{inputs: []string{"mode=migrate", "waves=1, 100%"}, outputs: []string{"succeeded=6", "failed=0"}}
	if err := r.step(ctx, migrate); err != nil {
		return err
	}
	r.out.say("The same step again: nothing is pending, nothing is changed.")
	migrate.outputs = []string{"succeeded=0", "unchanged=6"}
	return r.step(ctx, migrate)
}

const (
	failingFile = "20250201080000_unique_project_names.sql"
	failingSQL  = `-- A project's name is unique for its owner.

-- migrate:up
alter table projects add column archived_at timestamptz;
alter table projects add constraint projects_owner_name_key unique (owner_id, name);

-- migrate:down
alter table projects drop constraint projects_owner_name_key;
alter table projects drop column archived_at;
`
	// sameNameTwice puts data into its way, and otherName takes that away.
	sameNameTwice = "insert into users (email, name) values ('ana@example.com', 'Ana'); " +
		"insert into projects (owner_id, name) select 1, 'Audit' from generate_series(1, 2)"
	otherName = "update projects set name = name || ' ' || id where id = 2"
)

func addFailingFile(r *runner) error {
	return os.WriteFile(filepath.Join(r.workspace, "db", "migrations", failingFile), []byte(failingSQL), 0o600)
}

func showFailure(ctx context.Context, w *world, r *runner) error {
	r.out.tell("One tenant's data is in the way", `
		A fourth migration makes a user's project names unique. Finance Co has the same name twice, so the
		migration fails there and is rolled back. The other tenants are migrated all the same, and the step
		fails, so that somebody looks.`)
	if err := addFailingFile(r); err != nil {
		return err
	}
	if err := w.exec(ctx, "Finance Co", sameNameTwice); err != nil {
		return err
	}
	return r.step(ctx, step{
		inputs: []string{"mode=migrate"}, fails: true,
		outputs: []string{"succeeded=5", "failed=1", `failed-tenants=["Finance Co"]`},
	})
}

func showRepair(ctx context.Context, w *world, r *runner) error {
	r.out.tell("What GitHub's page shows, and the repair",
		"The job's summary page begins with what failed and what to do about it (here as Markdown):")
	r.out.page(r.summary)
	if err := w.exec(ctx, "Finance Co", otherName); err != nil {
		return err
	}
	r.out.say("Somebody renames one of the two projects, and that tenant alone is migrated:")
	return r.step(ctx, step{
		inputs: []string{"mode=migrate", "tenants=Finance Co"}, outputs: []string{"total=1", "succeeded=1"},
	})
}

const (
	rewritingFile = "20250301080000_titles.sql"
	rewritingSQL  = `-- Titles of tasks have no length any more.

-- migrate:up
alter table tasks alter column title type text;

-- migrate:down
`
)

// addRewritingFile adds it, and gives Globex a table that it rewrites.
func addRewritingFile(ctx context.Context, w *world, r *runner) error {
	file := filepath.Join(r.workspace, "db", "migrations", rewritingFile)
	if err := os.WriteFile(file, []byte(rewritingSQL), 0o600); err != nil {
		return err
	}
	return w.exec(ctx, "Globex", "alter table tasks alter column title type char(80); "+
		"insert into users (email, name) values ('bo@globex.example', 'Bo'); "+
		"insert into projects (owner_id, name) values (1, 'Doomsday'); "+
		"insert into tasks (project_id, title) select 1, i from generate_series(1, 20000) i")
}

func showRehearsal(ctx context.Context, w *world, r *runner) error {
	r.out.tell("Rehearse it on copies of all tenants", `
		The next file changes a column's type, which is nothing where it has that type already. In Globex somebody
		once made it char(80). With rehearse: all, each tenant is migrated on a Neon branch first, with its data,
		and what the file does to its tables is watched. A table of more than a megabyte may not be rewritten, so
		no tenant is touched.`)
	if err := addRewritingFile(ctx, w, r); err != nil {
		return err
	}
	if err := r.step(ctx, step{
		inputs: []string{"mode=migrate", "rehearse=all", "rehearse-fail-on=rewrite>1MB"}, fails: true,
		outputs: []string{"failed=1", "skipped=5"},
	}); err != nil {
		return err
	}
	r.out.say("Globex has few users at this hour, so its table may be rewritten. The run that follows makes an undo " +
		"point of each tenant before it changes it:")
	return r.step(ctx, step{
		inputs:  []string{"mode=migrate", "undo-point=true", "report-file=migrate.json"},
		outputs: []string{"succeeded=6", "failed=0"},
	})
}

func showUndo(ctx context.Context, w *world, r *runner) error {
	r.out.tell("Take it back", `
		Globex turns out to need the blanks at the end of its titles. The run is undone there: its branch goes back to
		the undo point, and what is there now stays as a branch. The run is named twice, so that nobody undoes another one:
		by its report, and by the number at the end of its address on GitHub.`)
	if err := r.step(ctx, step{
		inputs:  []string{"mode=undo", "tenants=Globex", "previous-report=migrate.json", "confirm=" + runID},
		outputs: []string{"succeeded=1", "failed=0"},
	}); err != nil {
		return err
	}
	r.out.say("The file is corrected by taking it away, and the other five are undone, so that all are equal again:")
	if err := os.Remove(filepath.Join(r.workspace, "db", "migrations", rewritingFile)); err != nil {
		return err
	}
	if err := r.step(ctx, step{
		inputs:  []string{"mode=undo", "previous-report=migrate.json", "confirm=" + runID},
		outputs: []string{"succeeded=5", "unchanged=1"},
	}); err != nil {
		return err
	}
	return w.exec(ctx, "Globex", "alter table tasks alter column title type text")
}

func showBackup(ctx context.Context, w *world, r *runner) error {
	r.out.tell("Back everybody up, without a stored AWS key", `
		pg_dump, gzip and the upload are one stream, without a temporary file. The job's OIDC token buys a
		session of the role, as on AWS, so there is no key to store. When a backup is verified, those older
		than retention-days (7) are deleted: Finance Co has one that is ten days old.`)
	past := buckettest.BackupKey("finance-co/", time.Now().AddDate(0, 0, -10))
	const dump = "of ten days ago"
	manifest := fmt.Sprintf(`{"version": 1, "key": %q, "tenant": {"id": %q}, "stored_size": %d, "stored_sha256": "%x"}`,
		past, w.projects["Finance Co"].ID, len(dump), sha256.Sum256([]byte(dump)))
	for key, content := range map[string]string{past: dump, past + ".json": manifest} {
		if err := w.store.put(ctx, key, content); err != nil {
			return err
		}
	}
	if err := r.step(ctx, step{
		inputs: []string{"mode=backup"}, bucket: true, outputs: []string{"succeeded=6", "failed=0"},
	}); err != nil {
		return err
	}
	keys, err := w.store.keys(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(keys, past) {
		return fmt.Errorf("%s was not pruned", past)
	}
	r.out.say(fmt.Sprintf("The bucket now holds %d objects, a backup and a manifest for each tenant:", len(keys)))
	for _, key := range keys[:4] {
		r.out.log("s3://" + backups + "/" + key)
	}
	r.out.log("…")
	r.out.printf("\n")
	return nil
}

func showDrill(ctx context.Context, w *world, r *runner) error {
	r.out.tell("Would it restore?", `
		A backup that was never restored is a hope. Every night, verify-backups restores those of a few tenants into
		throwaway databases, compares rows, schema and version with what was dumped, and stores the proof beside the
		backup. Those that were proven longest ago go first.`)
	return r.step(ctx, step{
		inputs: []string{"mode=verify-backups", "sample=50%", "verify-database-url=" + w.postgres.URL("postgres")},
		bucket: true, outputs: []string{"succeeded=3", "failed=0"},
	})
}

func showHealth(ctx context.Context, w *world, r *runner) error {
	r.out.tell("Is every tenant all right?", `
		health-check compares every tenant's schema with the others', and looks for pending migrations,
		missing tables and old backups. Somebody has just changed Globex's database by hand.`)
	if err := w.exec(ctx, "Globex",
		"alter table users add column nickname varchar(40); drop index tasks_project_id_idx"); err != nil {
		return err
	}
	if err := r.step(ctx, step{
		inputs: []string{"mode=health-check", "required-tables=users, projects, tasks"}, bucket: true, fails: true,
		outputs: []string{"failed=1", `failed-tenants=["Globex"]`},
	}); err != nil {
		return err
	}
	return w.exec(ctx, "Globex",
		"alter table users drop column nickname; create index tasks_project_id_idx on tasks (project_id)")
}

func showSecrets(ctx context.Context, _ *world, r *runner) error {
	r.out.tell("Connection strings as GitHub secrets", `
		Each tenant's connection string becomes a secret of the repository acme/fleet, encrypted with the
		repository's public key.`)
	return r.step(ctx, step{
		inputs:  []string{"mode=sync-secrets", "github-token=" + githubtest.DefaultToken},
		outputs: []string{"succeeded=6", "failed=0"},
	})
}

func showTenants(ctx context.Context, _ *world, r *runner) error {
	r.out.tell("A customer comes, and goes", `
		create-tenant creates a Neon project and migrates it. If it is interrupted, run it again: it completes
		what is there and creates nothing twice.`)
	if err := r.step(ctx, step{
		inputs:  []string{"mode=create-tenant", "tenant-name=Hooli", "neon-region=aws-eu-central-1"},
		outputs: []string{"succeeded=1"},
	}); err != nil {
		return err
	}
	r.out.say("drop-tenant asks for the name twice, and makes a backup first, since none is less than an hour old:")
	return r.step(ctx, step{
		inputs: []string{"mode=drop-tenant", "tenant-name=Hooli", "confirm=Hooli"}, bucket: true,
		outputs: []string{"succeeded=1"},
	})
}

func showRestore(ctx context.Context, w *world, r *runner) error {
	r.out.tell("Get a tenant's data back", `
		Finance Co has deleted its projects by mistake. Its newest backup is restored into a new Neon
		project beside the damaged one. The backup's SHA-256 has to be its manifest's, and the rows of every
		table are counted.`)
	if err := w.exec(ctx, "Finance Co", "delete from projects"); err != nil {
		return err
	}
	return r.step(ctx, step{
		inputs: []string{"mode=restore", "tenants=Finance Co", "restore-into=new-project"}, bucket: true,
		outputs: []string{"succeeded=1"},
	})
}
