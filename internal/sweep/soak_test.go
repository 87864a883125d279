package sweep

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/servertest"
)

var (
	soakTime    = flag.Duration("soak", 0, "how long to go on; 0: no soak")
	soakSeed    = flag.Uint64("seed", 0, "what the soak's chaos begins with; 0: any number")
	soakTenants = flag.Int("tenants", 500, "how many the soak's fleet has")
)

// soak leads a fleet through its life, round after round, while everything that can go wrong does. Each step of a round
// is disturbed first, and then undisturbed, as a run that was started again; that one has to leave all as it should be.
type soak struct {
	*world
	worker *worker
	random *rand.Rand
	chaos  *chaos

	round, steps int
	versions     []string // of all migrations, in order
	files        []string // in the workspace
	calls        map[string]int
	kills        int
	first, last  map[string]holds // of the worker after a run, by mode
}

// TestSoak is what make soak runs.
func TestSoak(t *testing.T) {
	if *soakTime == 0 {
		t.Skip("this is for make soak")
	}
	for *soakSeed == 0 {
		*soakSeed = rand.Uint64()
	}
	commit, err := exec.CommandContext(t.Context(), "git", "describe", "--always", "--dirty").CombinedOutput()
	if err != nil {
		commit = []byte("unknown")
	}
	again := fmt.Sprintf("-seed %d -tenants %d, commit %s", *soakSeed, *soakTenants, strings.TrimSpace(string(commit)))
	fmt.Println("soak:", again)
	s := newSoak(t, *soakSeed, *soakTenants)
	began := time.Now()
	for time.Since(began) < *soakTime && !t.Failed() {
		s.nextRound()
		fmt.Printf("soak: %s: round %d is over; %d calls struck, %d runs killed; the worker holds %+v\n",
			time.Since(began).Round(time.Second), s.round, s.chaos.struck, s.kills, s.last["migrate"])
	}
	if !t.Failed() {
		s.ends()
	}
	if t.Failed() {
		t.Logf("again: %s", again)
	}
}

func newSoak(t *testing.T, seed uint64, tenants int) *soak {
	t.Helper()
	server, err := pgtest.Start(t.Context(), pgtest.Options{Settings: map[string]string{"max_connections": "200"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	names := make([]string, tenants)
	for i := range names {
		names[i] = fmt.Sprintf("Customer %04d", i)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	s := &soak{
		world: newWorld(t, server, names...), random: random,
		chaos:    &chaos{random: rand.New(rand.NewPCG(seed, 1))},
		versions: strings.Split(versions, ","), calls: map[string]int{}, first: map[string]holds{}, last: map[string]holds{},
	}
	delete(s.variables, "INPUT_CONCURRENCY")
	s.writeMigrations()
	s.files = append(s.world.files(), "report.json")
	s.worker = s.startWorker()
	return s
}

func (s *soak) nextRound() {
	s.Helper()
	s.round++
	steps := []func(){s.create, s.migrate, s.backup, s.drill, s.sync, s.drop}
	if s.round > 1 { // in the first, each finds what it needs
		s.random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	}
	for _, step := range steps {
		if step(); s.Failed() {
			return
		}
	}
}

// disturbed makes a run to which something happens at so many of its calls, and which may be killed.
func (s *soak) disturbed(often float64, inputs ...string) outcome {
	s.Helper()
	s.steps++
	s.variables["GITHUB_RUN_ID"] = strconv.Itoa(4711 + s.steps)
	s.chaos.often = often
	s.proxy.disturb(s.chaos)
	if s.random.IntN(2) == 0 { // for the store's objects; a process cannot have its clock set
		s.faults.ShiftClock(time.Duration(s.random.IntN(7200)-3600) * time.Second)
	}
	stop := s.chaos.killBackends(s.T, s.server, 300*time.Millisecond)
	var o outcome
	if s.random.IntN(2) == 0 {
		mode := strings.TrimPrefix(inputs[slices.IndexFunc(inputs, isMode)], "mode=")
		at := point{call: 1 + s.random.IntN(max(20, s.calls[mode])), after: s.random.IntN(2) == 0}
		before := s.proxy.killed()
		o = s.run(at, inputs...)
		s.kills += s.proxy.killed() - before
	} else {
		o = s.inWorker(inputs)
	}
	stop()
	s.faults.ShiftClock(0)
	return o
}

func isMode(input string) bool { return strings.HasPrefix(input, "mode=") }

func (s *soak) inWorker(inputs []string) outcome {
	s.Helper()
	o, holds := s.runIn(s.worker, inputs...)
	mode := o.report.Mode
	s.calls[mode] = len(s.proxy.made())
	if _, known := s.first[mode]; !known && s.round > 1 { // the first round fills caches
		s.first[mode] = holds
	}
	s.last[mode] = holds
	return o
}

// calm makes the same run again, undisturbed, and checks what holds after each.
func (s *soak) calm(total int, inputs ...string) outcome {
	s.Helper()
	o := s.inWorker(inputs)
	if o.err != nil {
		s.Errorf("the run that nothing happened to failed: %v\n%s", o.err, o.log)
	}
	if t := o.report.Totals; t.Total != total || t.Failed+t.Skipped > 0 || len(o.report.Tenants) != total {
		s.Errorf("its report has %+v, want %d tenants, all well", t, total)
	}
	if got := s.world.files(); !slices.Equal(got, s.files) {
		s.Errorf("the workspace has %q, want %q", got, s.files)
	}
	servertest.WaitFor(s, func() bool { // the server ends a session a moment after its client
		return len(pgtest.Ask(s, s.server.URL("postgres"), "select mode from pg_locks where locktype = 'advisory'")) == 0
	})
	var ids []string
	for _, p := range s.projects {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	servertest.Equal(s, "the projects", s.listed(), ids)
	s.branchesExpire(1+s.round*4, 7)
	s.secretsAreNowhere()
	s.said = nil
	return o
}

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
		nil, {"waves=10%,100%"}, {"rehearse=3"}, {"undo-point=true", "branch-expires-in=1d", "tenants=Customer 00*"},
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
	// A backup that is younger than an hour is good enough.
	if kept := s.kept(p); !slices.ContainsFunc(kept, func(had string) bool { return strings.HasPrefix(held, had) }) {
		s.Errorf("%s held %q, and its backups have %q", p.Name, held, kept)
	}
}

// ends checks what has to hold once the soak is over.
func (s *soak) ends() {
	s.Helper()
	if len(s.first) == 0 {
		s.Log("there was only one round, so nobody knows whether the worker holds more from run to run")
	}
	for mode, first := range s.first {
		last := s.last[mode]
		s.Logf("after %s the worker held %+v in the second round, and holds %+v", mode, first, last)
		if last.Goroutines > first.Goroutines+20 || last.Files > first.Files+20 || last.Heap > first.Heap*3/2+4<<20 {
			s.Errorf("after %s the worker holds more from round to round", mode)
		}
	}
	s.faults.Age(25 * time.Hour) // until then, an unfinished upload may be another run's
	s.calm(len(s.projects), s.backups("mode=backup")...)
	if left := s.faults.Unfinished(); len(left) > 0 {
		s.Errorf("there are the unfinished uploads %v", left)
	}
}
