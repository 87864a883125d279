//go:build e2e

package e2e

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMigrateSchemas takes a database from its first run, which creates the tracker, to its first schemas and one that
// fails.
func TestMigrateSchemas(t *testing.T) {
	sandbox := startSandbox(t)
	server := tenant{"", "the server", sandbox.environment["RESTORE_URL"]}
	server.exec(t, "create database shared")
	u, err := url.Parse(server.uri)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/shared"
	database := tenant{"", "shared", u.String()}
	t.Setenv("TENANTS_DATABASE_URL", database.uri)
	repository := newRepository(t, "migrate-schemas.yml")
	migrations := filepath.Join(repository, "db", "migrations")
	files, err := filepath.Glob(filepath.Join(migrations, "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, folder := range []string{"tenant", "public"} {
		if err := os.Mkdir(filepath.Join(migrations, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		if err := os.Rename(f, filepath.Join(migrations, "tenant", filepath.Base(f))); err != nil {
			t.Fatal(err)
		}
	}
	tracker := "-- migrate:up\ncreate table schema_tracker (name text primary key);\n\n" +
		"-- migrate:down\ndrop table schema_tracker;\n"
	if err := os.WriteFile(filepath.Join(migrations, "public", "20250101080000_create_schema_tracker.sql"),
		[]byte(tracker), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func() outcome {
		t.Helper()
		job := runAct(t, sandbox, repository, "workflow_dispatch", "--secret", "TENANTS_DATABASE_URL")
		if password, _ := u.User.Password(); strings.Contains(job.log, password) {
			t.Error("act's log shows the database's password")
		}
		return job
	}

	t.Log("the first run creates the tracker")
	run().wants(t, "total", "0")

	t.Log("two tenants are listed, one of which has its schema already")
	database.exec(t, "create schema acme; insert into schema_tracker values ('acme'), ('payroll')")
	job := run()
	job.wants(t, "succeeded", "2")
	if want := "2 migrated, 0 had nothing to do, failed - 0"; !strings.Contains(job.log, want) {
		t.Errorf("the workflow's last step did not say %q", want)
	}
	for _, schema := range []string{"acme", "payroll"} {
		if version := query[string](t, database,
			"select max(version) from "+schema+".schema_migrations"); version != last {
			t.Errorf("%s is at %s, want %s", schema, version, last)
		}
	}
	run().wants(t, "unchanged", "2")
}
