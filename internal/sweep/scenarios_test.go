package sweep

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// versions are those of the migrations.
const versions = "20250101090000,20250101090100,20250101090200,20250201000000,20250202000000"

var scenarios = map[string]scenario{
	"migrate": {
		total:  2,
		inputs: func(*world) []string { return []string{"mode=migrate"} },
		after:  func(w *world, _ outcome) { w.migratedOnce(w.projects...) },
	},
	"backup": {
		filled: true, total: 2,
		inputs: func(w *world) []string { return append(w.backups(), "mode=backup") },
		killed: func(w *world, _ outcome) { w.restores(usersQuery, filledUsers) },
		after: func(w *world, _ outcome) {
			made := w.restores(usersQuery, filledUsers)
			for _, p := range w.projects {
				if n := made[p.ID]; n < 1 || n > 2 {
					w.Errorf("%s has %d backups", p.Name, n)
				}
			}
			if left := w.unverified(); len(left) > w.kills {
				w.Errorf("the bucket has the objects %q without a manifest", left)
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
				if !ok || !strings.Contains(value, p.Role) {
					w.Errorf("the secret %s is there: %t", name, ok)
				}
			}
		},
	},
	"create-tenant": {
		total:  1,
		inputs: func(*world) []string { return []string{"mode=create-tenant", "tenant-name=Hooli"} },
		after: func(w *world, o outcome) {
			ids := w.listed()
			if len(ids) != 3 {
				w.Fatalf("there are the projects %v", ids)
			}
			made := w.find("Hooli")
			if !slices.Equal(w.branches(made.ID), []string{"main"}) {
				w.Errorf("it has the branches %q", w.branches(made.ID))
			}
			w.migratedOnce(made)
			if len(o.report.Tenants) != 1 || o.report.Tenants[0].ID != made.ID {
				w.Errorf("the report has %+v", o.report.Tenants)
			}
		},
	},
}

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
