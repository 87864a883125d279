//go:build e2e

package e2e

import (
	"net/url"
	"strings"
	"testing"
)

// TestMigrateCatalog takes a catalog from its first run, which creates its tables, to its first rows and one more.
func TestMigrateCatalog(t *testing.T) {
	sandbox := startSandbox(t)
	server := tenant{"", "the server", sandbox.environment["RESTORE_URL"]}
	server.exec(t, "create database catalog")
	on := func(database string) tenant {
		u, err := url.Parse(server.uri)
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + database
		return tenant{"", database, u.String()}
	}
	catalog := on("catalog")
	t.Setenv("CATALOG_DATABASE_URL", catalog.uri)
	repository := newRepository(t, "migrate-catalog.yml")
	run := func() outcome {
		t.Helper()
		job := runAct(t, sandbox, repository, "schedule", "--secret", "CATALOG_DATABASE_URL")
		if strings.Contains(job.log, passwordOf(t, catalog.uri)) {
			t.Error("act's log shows the catalog's password")
		}
		return job
	}

	t.Log("the first run creates the catalog's tables")
	run().wants(t, "total", "0")

	t.Log("two databases and a Neon project are listed")
	catalog.exec(t, "insert into project (name, database) values "+
		"('North School', 'north_school'), ('South School', 'south \"school\"')")
	acme := sandbox.named(t, "ACME Corp")
	catalog.exec(t, "insert into project (name, neon_project_id) values ('ACME', '"+acme.id+"')")
	job := run()
	job.wants(t, "succeeded", "3")
	if want := "3 made or migrated, 0 had nothing to do, failed - 0"; !strings.Contains(job.log, want) {
		t.Errorf("the workflow's last step did not say %q", want)
	}
	for _, database := range []string{"north_school", `south "school"`} {
		if version := query[string](t, on(database), "select max(version) from schema_migrations"); version != last {
			t.Errorf("%s is at %s, want %s", database, version, last)
		}
	}

	t.Log("another tenant is listed")
	catalog.exec(t, "insert into project (name, database) values ('East School', 'east_school')")
	job = run()
	job.wants(t, "succeeded", "1")
	job.wants(t, "unchanged", "3")
	if n := query[int](t, catalog,
		"select count(*) from project where schema_version = '"+last+"' "+
			"and last_migration_outcome in ('succeeded', 'unchanged')"); n != 4 {
		t.Errorf("%d tenants are recorded as migrated, want 4", n)
	}
	if n := query[int](t, catalog,
		"select count(*) from run where mode = 'migrate' and outcome = 'succeeded'"); n != 3 {
		t.Errorf("%d runs are recorded, want 3", n)
	}
}

// passwordOf is the password in a connection string.
func passwordOf(t *testing.T, uri string) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return password
}
