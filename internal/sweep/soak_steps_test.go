package sweep

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// create gives the fleet another tenant.
func (s *soak) create() {
	s.Helper()
	name := fmt.Sprintf("Newcomer %d", s.round)
	inputs := []string{"mode=create-tenant", "tenant-name=" + name}
	s.disturbed(0.1, inputs...)
	if found := s.named(func(other string) bool { return other == name }); len(found) > 1 {
		s.Fatalf("%s was created %d times", name, len(found))
	} else if len(found) == 1 {
		s.projects = append(s.projects, found[0])
		s.calm(1, inputs...)
	} else {
		o := s.inWorker(inputs)
		if o.err != nil {
			s.Fatalf("%v\n%s", o.err, o.log)
		}
		s.projects = append(s.projects, s.find(name))
	}
	s.migrated(s.projects[len(s.projects)-1])
}

// migrate brings one more file to all.
func (s *soak) migrate() {
	s.Helper()
	version := fmt.Sprintf("2026%010d", s.round)
	file := "db/migrations/" + version + "_round.sql"
	s.write(file, "-- migrate:up\ninsert into once values ('"+version+"');\n-- migrate:down\n")
	s.versions = append(s.versions, version)
	s.files = append(s.files, file)
	slices.Sort(s.files)
	inputs := append([]string{"mode=migrate"}, [][]string{
		nil, {"waves=10%,100%"}, {"rehearse=3"}, {"undo-point=true", "undo-keep=1d", "tenants=Customer 00*"},
	}[s.random.IntN(4)]...)
	for _, t := range s.disturbed(0.01, inputs...).report.Tenants {
		if s.random.IntN(10) == 0 {
			s.tells(t, s.projects[s.place(t.ID)])
		}
	}
	s.calm(len(s.projects), "mode=migrate")
	for _, p := range s.projects {
		s.migrated(p)
	}
}

func (s *soak) place(id string) int {
	return slices.IndexFunc(s.projects, func(p neontest.Project) bool { return p.ID == id })
}

// tells checks what a report says of a tenant.
func (s *soak) tells(t report.TenantEntry, p neontest.Project) {
	s.Helper()
	var d migrate.Detail
	if err := json.Unmarshal(t.Detail, &d); len(t.Detail) > 0 && err != nil {
		s.Fatal(err)
	}
	recorded := s.recorded(p)
	for _, a := range d.Applied {
		if !slices.Contains(recorded, a.Version) {
			s.Errorf("the report says that %s was applied to %s, which has %q", a.Version, p.Name, recorded)
		}
	}
	if t.State != fleet.Failed && t.State != fleet.Skipped && !slices.Equal(recorded, s.versions) {
		s.Errorf("the report says that %s %s, and it has %q", p.Name, t.State, recorded)
	}
}

// migrated checks that a tenant has every version, once. It asks once, because it asks of all tenants.
func (s *soak) migrated(p neontest.Project) {
	s.Helper()
	got := s.query(p, "select 'recorded ' || version from schema_migrations union all "+
		"select 'run ' || version from once order by 1")
	var want []string
	for _, v := range s.versions {
		want = append(want, "recorded "+v)
	}
	for _, v := range s.versions {
		if v >= firstMarked {
			want = append(want, "run "+v)
		}
	}
	servertest.Equal(s, "the versions of "+p.Name, got, want)
}

// firstMarked is the version from which on files leave a row in the table once.
const firstMarked = "20250201000000"

// recorded returns a tenant's versions, and checks that what their files did is there as often.
func (s *soak) recorded(p neontest.Project) []string {
	s.Helper()
	var recorded, run []string
	for table, versions := range map[string]*[]string{"schema_migrations": &recorded, "once": &run} {
		if s.query(p, "select (to_regclass('"+table+"') is not null)::text")[0] == "true" {
			*versions = s.query(p, "select version from "+table+" order by version")
		}
	}
	marked := slices.DeleteFunc(slices.Clone(recorded), func(v string) bool { return v < firstMarked })
	if !slices.Equal(run, marked) {
		s.Errorf("%s has recorded %q, and has run %q", p.Name, marked, run)
	}
	return recorded
}

// backup makes backups of a part of the fleet, and loads some of them.
func (s *soak) backup() {
	s.Helper()
	shards := max(1, len(s.projects)/60)
	inputs := s.backups("mode=backup", fmt.Sprintf("shard=%d/%d", 1+s.random.IntN(shards), shards))
	s.disturbed(0.01, inputs...)
	o := s.inWorker(inputs)
	s.calm(len(o.report.Tenants), inputs...)
	for range min(3, len(o.report.Tenants)) {
		t := o.report.Tenants[s.random.IntN(len(o.report.Tenants))]
		p := s.projects[s.place(t.ID)]
		held := s.holds(p)
		if kept := s.kept(p); !slices.Contains(kept, held) {
			s.Errorf("%s holds %q, and its backups have %q", p.Name, held, kept)
		}
	}
}

const holdsSQL = "select string_agg(version, ',' order by version) from once"

// holds returns what a tenant has that grows from round to round.
func (s *soak) holds(p neontest.Project) string { return s.query(p, holdsSQL)[0] }

// kept loads the backups of a tenant, and returns what each of them has. Which one is the newest their keys do not
// tell: the store's clock was wrong when some were made.
func (s *soak) kept(p neontest.Project) (all []string) {
	s.Helper()
	for _, m := range s.manifests() {
		if m.Tenant.ID == p.ID {
			all = append(all, s.load(s.stored(m), holdsSQL)...)
		}
	}
	return all
}

// drill proves the backups of a few tenants.
func (s *soak) drill() {
	s.Helper()
	const few = 10
	inputs := s.world.backups("mode=verify-backups", "sample="+strconv.Itoa(few), "neon-api-key=",
		"verify-database-url="+s.through(s.server.URL("postgres")))
	s.disturbed(0.01, inputs...)
	before := s.proven()
	o := s.inWorker(inputs)
	if o.err != nil {
		s.Errorf("the drill that nothing happened to failed: %v\n%s", o.err, o.log)
	}
	if now := s.proven(); now-before > few || now == 0 {
		s.Errorf("there were %d proofs, and after a drill of %d there are %d", before, few, now)
	}
	s.ageScratches()
	if o := s.inWorker(inputs); o.err != nil || len(s.scratches()) > 0 {
		s.Errorf("a drill a day later ended with %v, and left %q", o.err, s.scratches())
	}
}

// sync keeps the secrets.
func (s *soak) sync() {
	s.Helper()
	inputs := []string{"mode=sync-secrets", "secret-layout=bundle", "prune-secrets=true",
		"github-token=" + githubtest.DefaultToken}
	s.disturbed(0.05, inputs...)
	s.calm(len(s.projects), inputs...)
	bundled := map[string]string{}
	for name, text := range s.github.Secrets(githubtest.Scope{Repository: repository}) {
		var bundle map[string]string
		if err := json.Unmarshal([]byte(text), &bundle); err != nil {
			s.Fatalf("%s: %v", name, err)
		}
		for key, url := range bundle {
			if bundled[key] != "" {
				s.Errorf("%s is in two bundles", key)
			}
			bundled[key] = url
		}
	}
	for _, p := range s.projects {
		key := strings.ReplaceAll(strings.ToLower(p.Name), " ", "-")
		if bundled[key] != s.uri(p.ID, "") {
			s.Errorf("the bundles do not have %s as it is", key)
		}
	}
	if len(bundled) != len(s.projects) {
		s.Errorf("the bundles have %d tenants, want %d", len(bundled), len(s.projects))
	}
}

// drop takes a tenant out of the fleet.
func (s *soak) drop() {
	s.Helper()
	p := s.projects[s.random.IntN(len(s.projects))]
	held := s.holds(p)
	inputs := s.backups("mode=drop-tenant", "tenant-name="+p.Name, "confirm="+p.Name)
	s.disturbed(0.1, inputs...)
	if s.exists(p) {
		if o := s.inWorker(inputs); o.err != nil {
			s.Fatalf("%v\n%s", o.err, o.log)
		}
	}
	if s.exists(p) {
		s.Errorf("%s is still there", p.Name)
	}
	i := s.place(p.ID)
	s.projects = slices.Delete(s.projects, i, i+1)
	// A backup that is younger than an hour is good enough: what a round before has migrated may be missing in it.
	fits := func(had string) bool { return had != "" && strings.HasPrefix(held, had) }
	if kept := s.kept(p); !slices.ContainsFunc(kept, fits) {
		s.Errorf("%s held %q, and its backups have %q", p.Name, held, kept)
	}
}
