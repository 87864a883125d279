package sweep

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// converged checks what holds after every second run, whatever the mode. inputs are the run's.
func (w *world) converged(o outcome, total int, files, inputs []string) {
	w.Helper()
	if o.err != nil {
		w.Errorf("the second run failed: %v\n%s", o.err, o.log)
	}
	if t := o.report.Totals; t.Total != total || t.Failed+t.Skipped > 0 || len(o.report.Tenants) != total {
		w.Errorf("the second run's report has %+v, want %d tenants, all well", t, total)
	}
	servertest.Equal(w, "the workspace", w.files(), files)
	// An upload may be another run's until a day has passed.
	if left := w.faults.Unfinished(); len(left) > 0 {
		w.faults.Age(25 * time.Hour)
		again := w.run(point{}, inputs...)
		if now := w.faults.Unfinished(); again.err != nil || len(now) > 0 {
			w.Errorf("of the unfinished uploads %v a run a day later left %v, and ended with %v", left, now, again.err)
		}
	}
	// The server ends a session a moment after its client.
	const locks = "select mode from pg_locks where locktype = 'advisory' and database = " +
		"(select oid from pg_database where datname = current_database())"
	for _, p := range w.projects {
		if w.exists(p) {
			servertest.WaitFor(w, func() bool { return len(w.query(p, locks)) == 0 })
		}
	}
	w.secretsAreNowhere()
}

// exists reports whether a project has not been deleted.
func (w *world) exists(p neontest.Project) bool {
	return slices.ContainsFunc(w.listed(), func(id string) bool { return id == p.ID })
}

// listed returns the ids of all projects.
func (w *world) listed() []string {
	w.Helper()
	var ids []string
	for _, p := range w.all() {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	return ids
}

// all lists the projects, without their connection strings.
func (w *world) all() []neontest.Project {
	w.Helper()
	var list struct{ Projects []neontest.Project }
	w.api("/projects?limit=100", &list)
	return list.Projects
}

// branch is what Neon says of one.
type branch struct {
	ID, Name  string
	Default   bool
	ExpiresAt *time.Time `json:"expires_at"`
}

func (w *world) branchesOf(id string) []branch {
	w.Helper()
	var list struct{ Branches []branch }
	w.api("/projects/"+id+"/branches", &list)
	return list.Branches
}

// branches returns the names of a project's branches.
func (w *world) branches(id string) []string {
	w.Helper()
	var names []string
	for _, b := range w.branchesOf(id) {
		names = append(names, b.Name)
	}
	slices.Sort(names)
	return names
}

// haveBranches checks which branches each tenant has.
func (w *world) haveBranches(names ...string) {
	w.Helper()
	for _, p := range w.projects {
		servertest.Equal(w, "the branches of "+p.Name, w.branches(p.ID), names)
	}
}

// branchesExpire checks that a tenant's branches, but for the default one and those that hold what an undo took away,
// end by themselves within so many days, and that there are not more than so many.
func (w *world) branchesExpire(most, days int) {
	w.Helper()
	for _, p := range w.projects {
		all := w.branchesOf(p.ID)
		if len(all) > most {
			w.Errorf("%s has the branches %q", p.Name, w.branches(p.ID))
		}
		for _, b := range all {
			stays := b.Default || strings.HasPrefix(b.Name, "undone/")
			if !stays && (b.ExpiresAt == nil || time.Until(*b.ExpiresAt) > time.Duration(days)*24*time.Hour) {
				w.Errorf("%s has the branch %s, which ends at %v", p.Name, b.Name, b.ExpiresAt)
			}
		}
	}
}

// inPreview asks each tenant's branch of that name.
func (w *world) inPreview(sql string, want []string) {
	w.Helper()
	for _, p := range w.projects {
		all := w.branchesOf(p.ID)
		i := slices.IndexFunc(all, func(b branch) bool { return b.Name == "preview" })
		if i < 0 {
			w.Fatalf("%s has the branches %+v", p.Name, all)
		}
		servertest.Equal(w, p.Name+"'s branch", pgtest.Ask(w, w.uri(p.ID, "&branch_id="+all[i].ID), sql), want)
	}
}

// uri is the connection string of a project, or with more parameters of a branch.
func (w *world) uri(project, more string) string {
	w.Helper()
	var uri struct{ URI string }
	w.api("/projects/"+project+"/connection_uri?database_name=neondb&role_name=neondb_owner"+more, &uri)
	return uri.URI
}

// secretsAreNowhere looks for secrets in all that runs have written. The commands that mask them are for the runner,
// which does not show them.
func (w *world) secretsAreNowhere() {
	w.Helper()
	secrets := []string{neontest.OrgKey, githubtest.DefaultToken, w.store.Issuer.RequestToken}
	urls := []string{w.catalog}
	for _, p := range slices.Concat(w.projects, w.named(func(string) bool { return true })) {
		urls = append(urls, p.URL)
	}
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			w.Fatal(err)
		}
		if password, ok := u.User.Password(); ok {
			secrets = append(secrets, password)
		}
	}
	for _, text := range w.said {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "::add-mask::") {
				continue
			}
			for _, secret := range secrets {
				if strings.Contains(line, secret) {
					w.Errorf("a secret was written: %s", line)
				}
			}
		}
	}
}

func (w *world) keys() []string {
	w.Helper()
	return buckettest.Keys(w, w.store.Server, w.bucket)
}

func (w *world) object(key string) []byte {
	w.Helper()
	return buckettest.Read(w, w.store.Server, w.bucket, key)
}

// restores checks that every backup with a manifest, which is what counts as one, is what the manifest says and gives a
// database with the rows that tenants have. It returns how many each tenant has, by the id.
func (w *world) restores(check string, want []string) map[string]int {
	w.Helper()
	found := map[string]int{}
	for _, key := range w.keys() {
		if !strings.HasSuffix(key, ".json") {
			continue
		}
		var manifest struct {
			Key    string
			Tenant struct{ ID string }
			SHA256 string `json:"stored_sha256"`
		}
		if err := json.Unmarshal(w.object(key), &manifest); err != nil {
			w.Errorf("%s: %v", key, err)
			continue
		}
		stored := w.object(manifest.Key)
		if sum := fmt.Sprintf("%x", sha256.Sum256(stored)); sum != manifest.SHA256 {
			w.Errorf("%s has the sum %s, its manifest says %s", manifest.Key, sum, manifest.SHA256)
		}
		if got := w.load(stored, check); !slices.Equal(got, want) {
			w.Errorf("%s restores to %q, want %q", manifest.Key, got, want)
		}
		found[manifest.Tenant.ID]++
	}
	return found
}

// unverified returns the objects that are neither a manifest nor have one. A killed run that works on one tenant at a
// time leaves one at most, which counts as no backup. Retention deletes it once it is older than retention-days and a
// day, and a newer backup counts.
func (w *world) unverified() []string {
	w.Helper()
	keys := w.keys()
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		return strings.HasSuffix(key, ".json") || slices.Contains(keys, key+".json")
	})
}

// load loads a stored dump into a database of its own with psql, and asks that one.
func (w *world) load(stored []byte, check string) []string {
	w.Helper()
	server := pgtest.Shared(w)
	name := "load_" + strings.ToLower(rand.Text()[:12])
	if err := server.CreateDatabase(w.Context(), name, pgtest.Superuser, ""); err != nil {
		w.Fatal(err)
	}
	defer func() {
		if err := server.Exec(w.Context(), "postgres", "drop database "+name+" with (force)"); err != nil {
			w.Error(err)
		}
	}()
	dump, err := gzip.NewReader(bytes.NewReader(stored))
	if err != nil {
		w.Errorf("not a gzip file: %v", err)
		return nil
	}
	if err := pgtest.Load(w, server.URL(name), dump); err != nil {
		w.Errorf("load a backup: %v", err)
		return nil
	}
	return pgtest.Ask(w, server.URL(name), check)
}

// find returns the one project of a name.
func (w *world) find(name string) neontest.Project {
	w.Helper()
	found := w.named(func(other string) bool { return other == name })
	if len(found) != 1 {
		w.Fatalf("there are %d projects with the name %s", len(found), name)
	}
	return found[0]
}

// restoredProjects are those that restores have made, the oldest first.
func (w *world) restoredProjects() []neontest.Project {
	w.Helper()
	found := w.named(func(name string) bool { return strings.Contains(name, " restored ") })
	slices.SortFunc(found, func(a, b neontest.Project) int { return strings.Compare(a.Name, b.Name) })
	return found
}

func (w *world) named(is func(name string) bool) (found []neontest.Project) {
	w.Helper()
	for _, p := range w.all() {
		if is(p.Name) {
			p.URL = w.uri(p.ID, "")
			found = append(found, p)
		}
	}
	return found
}
