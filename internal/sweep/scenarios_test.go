package sweep

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// The versions of the migrations.
const (
	versions    = "20250101090000,20250101090100,20250101090200,20250201000000," + lastVersion
	lastVersion = "20250202000000"
)

var scenarios = map[string]scenario{
	"migrate": {
		total:  2,
		inputs: func(*world) []string { return []string{"mode=migrate"} },
		after:  func(w *world, _ outcome) { w.migratedOnce(w.projects...) },
	},
	"migrate and record": {
		total:  2,
		before: func(w *world) { w.catalog = pgtest.Database(w) },
		inputs: func(w *world) []string { return []string{"mode=migrate", "catalog-url=" + w.through(w.catalog)} },
		after: func(w *world, _ outcome) {
			w.migratedOnce(w.projects...)
			got := pgtest.Ask(w, w.catalog, "select name || ' ' || schema_version from project order by name")
			servertest.Equal(w, "the catalog's tenants", got,
				[]string{"ACME Corp " + lastVersion, "Payroll Inc " + lastVersion})
			runs := pgtest.Ask(w, w.catalog, "select outcome || ' ' || succeeded + unchanged from run")
			if n := len(runs); n < 1 || n > 2 || slices.ContainsFunc(runs, func(r string) bool {
				return r != "succeeded 2"
			}) {
				w.Errorf("the catalog has the runs %q", runs)
			}
		},
	},
	"migrate drizzle's files": {
		total: 2,
		before: func(w *world) {
			folder := os.DirFS(drizzletest.Generated(w, "journal/shop"))
			if err := os.CopyFS(filepath.Join(w.workspace, "drizzle"), folder); err != nil {
				w.Fatal(err)
			}
		},
		inputs: func(*world) []string { return []string{"mode=migrate", "migrations-format=drizzle"} },
		after: func(w *world, _ outcome) {
			for _, p := range w.projects {
				const rows = "select count(*) || ' of ' || count(distinct hash) from drizzle.__drizzle_migrations"
				servertest.Equal(w, "drizzle's table", w.query(p, rows), []string{"3 of 3"})
				servertest.Equal(w, "the rows of a file", w.query(p, "select count(*)::text from users"), []string{"2"})
			}
		},
	},
	"migrate schemas": {
		total: 2,
		before: func(w *world) {
			w.catalog = pgtest.Database(w)
			pgtest.Do(w, w.catalog, "create table schema_tracker (name text primary key); "+
				"insert into schema_tracker values ('acme'), ('globex')")
		},
		inputs: func(w *world) []string {
			return []string{"mode=migrate", "tenant-source=schemas", "database-url=" + w.through(w.catalog),
				"create-missing=true", "neon-api-key=", "neon-api-url="}
		},
		after: func(w *world, _ outcome) {
			for _, schema := range []string{"acme", "globex"} {
				w.migratedOnce(neontest.Project{Name: schema, URL: w.catalog + "&options=-csearch_path%3D" + schema})
			}
		},
	},
	"rehearse and migrate": {
		total: 2,
		inputs: func(*world) []string {
			return []string{"mode=migrate", "rehearse=all", "undo-point=true", "undo-keep=1d"}
		},
		after: func(w *world, _ outcome) {
			w.migratedOnce(w.projects...)
			w.branchesExpire(2+w.proxy.killed(), 1)
		},
	},
	"undo": {
		total: 2,
		before: func(w *world) {
			if o := w.run(point{}, "mode=migrate", "undo-point=true", "report-file=migrated.json"); o.err != nil {
				w.Fatal(o.err, o.log)
			}
		},
		inputs: func(*world) []string {
			return []string{"mode=undo", "previous-report=migrated.json", "confirm=4711"}
		},
		after: func(w *world, _ outcome) {
			for _, p := range w.projects {
				const made = "select to_regclass('once') is null and to_regclass('users') is null"
				if got := pgtest.Ask(w, w.find(p.Name).URL, "select ("+made+")::text"); got[0] != "true" {
					w.Errorf("%s still has what the migrations made", p.Name)
				}
			}
			w.branchesExpire(3, 7)
		},
	},
	"create-branches": {
		filled: true, total: 2,
		inputs: func(*world) []string {
			return []string{"mode=create-branches", "branch-name=preview", "branch-expires-in=1d"}
		},
		after: func(w *world, _ outcome) {
			w.haveBranches("main", "preview")
			w.branchesExpire(2, 1)
			w.inPreview(usersQuery, filledUsers)
		},
	},
	"reset-branches": {
		filled: true, total: 2,
		before: func(w *world) {
			previewed(w)
			for _, p := range w.projects {
				pgtest.Do(w, p.URL, "delete from users where id > 1")
			}
		},
		inputs: func(*world) []string { return []string{"mode=reset-branches", "branch-name=preview"} },
		after: func(w *world, _ outcome) {
			w.haveBranches("main", "preview")
			w.inPreview(usersQuery, damaged)
		},
	},
	"delete-branches": {
		filled: true, total: 2,
		before: previewed,
		inputs: func(*world) []string { return []string{"mode=delete-branches", "branch-name=preview"} },
		after:  func(w *world, _ outcome) { w.haveBranches("main") },
	},
	"backup": {
		filled: true, dumps: true, total: 2,
		inputs: func(w *world) []string { return w.backups("mode=backup") },
		killed: func(w *world, _ outcome) { w.restores(usersQuery, filledUsers) },
		after: func(w *world, _ outcome) {
			made := w.restores(usersQuery, filledUsers)
			for _, p := range w.projects {
				if n := made[p.ID]; n < 1 || n > 2 { // the killed run may have been through with it
					w.Errorf("%s has %d backups", p.Name, n)
				}
			}
			if left := w.unverified(); len(left) > w.proxy.killed() {
				w.Errorf("the bucket has the objects %q without a manifest", left)
			}
		},
	},
	"backup in parts": {
		filled: true, dumps: true, total: 1,
		before: func(w *world) {
			// More than an upload's first part after compression, which hexadecimal digits halve.
			pgtest.Do(w, w.projects[0].URL, "create table large (hash bytea); "+
				"insert into large select sha256(i::text::bytea) from generate_series(1, 300000) i")
		},
		inputs: func(w *world) []string { return w.backups("mode=backup", "tenants=ACME Corp") },
		after: func(w *world, _ outcome) {
			if made := w.restores(usersQuery, filledUsers); made[w.projects[0].ID] < 1 {
				w.Error("there is no backup")
			}
		},
	},
	"verify-backups": {
		filled: true, total: 2,
		before: func(w *world) {
			if o := w.run(point{}, w.backups("mode=backup")...); o.err != nil {
				w.Fatal(o.err, o.log)
			}
		},
		inputs: drill,
		killed: func(w *world, _ outcome) { w.proven() },
		after: func(w *world, _ outcome) {
			if n := w.proven(); n != 2 {
				w.Errorf("there are %d proofs", n)
			}
			w.restores(usersQuery, filledUsers)
			if left := w.scratches(); len(left) > w.proxy.killed() {
				w.Errorf("there are the throwaway databases %q", left)
			}
			w.ageScratches()
			if o := w.run(point{}, drill(w)...); o.err != nil || len(w.scratches()) > 0 {
				w.Errorf("a run a day later ended with %v, and left %q", o.err, w.scratches())
			}
		},
	},
	"restore over the tenant": {
		filled: true, total: 1,
		before: backedUp,
		inputs: func(w *world) []string {
			return w.backups("mode=restore", "tenants=ACME Corp", "overwrite=true",
				"restore-url="+w.through(w.projects[0].URL))
		},
		killed: func(w *world, _ outcome) {
			got := w.query(w.projects[0], usersQuery)
			if !slices.Equal(got, damaged) && !slices.Equal(got, filledUsers) {
				w.Errorf("after the kill there are %q", got)
			}
		},
		after: func(w *world, _ outcome) {
			servertest.Equal(w, "the restored tenant", w.query(w.projects[0], usersQuery), filledUsers)
			servertest.Equal(w, "the other", w.query(w.projects[1], usersQuery), filledUsers)
		},
	},
	"restore into a new project": {
		filled: true, total: 1,
		before: backedUp,
		inputs: func(w *world) []string {
			return w.backups("mode=restore", "tenants=ACME Corp", "restore-into=new-project")
		},
		after: func(w *world, _ outcome) {
			servertest.Equal(w, "the tenant", w.query(w.projects[0], usersQuery), damaged)
			restored := w.restoredProjects()
			if n := len(restored); n < 1 || n > 2 { // the first run may have made one, too
				w.Fatalf("there are %d restored projects", n)
			}
			newest := restored[len(restored)-1]
			servertest.Equal(w, "the restored project", pgtest.Ask(w, newest.URL, usersQuery), filledUsers)
		},
	},
	"create-tenant": {
		total:  1,
		inputs: func(*world) []string { return []string{"mode=create-tenant", "tenant-name=Hooli"} },
		after: func(w *world, o outcome) {
			if ids := w.listed(); len(ids) != 3 {
				w.Fatalf("there are the projects %v", ids)
			}
			made := w.find("Hooli")
			servertest.Equal(w, "its branches", w.branches(made.ID), []string{"main"})
			w.migratedOnce(made)
			if len(o.report.Tenants) != 1 || o.report.Tenants[0].ID != made.ID {
				w.Errorf("the report has %+v", o.report.Tenants)
			}
		},
	},
	"drop-tenant": {
		filled: true, dumps: true, total: 1,
		inputs: func(w *world) []string {
			return w.backups("mode=drop-tenant", "tenant-name=ACME Corp", "confirm=ACME Corp")
		},
		killed: func(w *world, _ outcome) {
			made := w.restores(usersQuery, filledUsers)
			if !w.exists(w.projects[0]) && made[w.projects[0].ID] == 0 {
				w.Error("the tenant is gone, and there is no backup of it")
			}
		},
		done: func(w *world) string {
			if w.exists(w.projects[0]) {
				return ""
			}
			return "if it has been dropped already, nothing is left to do" // a name could be misspelt
		},
		after: func(w *world, _ outcome) {
			servertest.Equal(w, "the projects", w.listed(), []string{w.projects[1].ID})
			if made := w.restores(usersQuery, filledUsers); made[w.projects[0].ID] < 1 {
				w.Error("there is no backup of the tenant")
			}
		},
	},
	"sync-secrets": {
		total:  2,
		inputs: func(*world) []string { return []string{"mode=sync-secrets", "github-token=" + githubtest.DefaultToken} },
		after: func(w *world, _ outcome) {
			for _, p := range w.projects {
				name := strings.ToUpper(strings.ReplaceAll(p.Name, " ", "_")) + "_DATABASE_URL"
				value, ok := w.github.Open(githubtest.Scope{Repository: repository}, name)
				if !ok || value != w.uri(p.ID, "") {
					w.Errorf("the secret %s is there: %t; it is the tenant's: %t", name, ok, value == w.uri(p.ID, ""))
				}
			}
		},
	},
	"health-check": {
		filled: true, total: 2,
		inputs: func(*world) []string { return []string{"mode=health-check"} },
		after: func(w *world, _ outcome) {
			for _, p := range w.projects {
				servertest.Equal(w, p.Name, w.query(p, usersQuery), filledUsers)
			}
		},
	},
}

// drill are the inputs of one over all backups.
func drill(w *world) []string {
	return w.backups("mode=verify-backups", "sample=100%", "verify-database-url="+w.through(w.server.URL("postgres")))
}

// previewed gives each tenant a branch to work on.
func previewed(w *world) {
	if o := w.run(point{}, "mode=create-branches", "branch-name=preview", "branch-expires-in=1d"); o.err != nil {
		w.Fatal(o.err, o.log)
	}
}

// backedUp backs the tenants up, and damages the first.
func backedUp(w *world) {
	if o := w.run(point{}, w.backups("mode=backup")...); o.err != nil {
		w.Fatal(o.err, o.log)
	}
	pgtest.Do(w, w.projects[0].URL, "delete from users where id > 1")
}

// damaged is what [usersQuery] says of a tenant that [backedUp] damaged.
var damaged = []string{"1 users, 18 letters"}

// filledUsers is what [usersQuery] says of a tenant that was filled.
var filledUsers = []string{"500 users, 9892 letters"}

// migratedOnce checks that each migration was applied once.
func (w *world) migratedOnce(projects ...neontest.Project) {
	w.Helper()
	for _, p := range projects {
		for query, want := range map[string]string{
			"select string_agg(version, ',' order by version) from schema_migrations": versions,
			"select string_agg(version, ',' order by version) from once":              "20250201000000,20250202000000",
		} {
			if got := w.query(p, query); !slices.Equal(got, []string{want}) {
				w.Errorf("%s: %s says %q, want %s", p.Name, query, got, want)
			}
		}
	}
}
