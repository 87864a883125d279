package sweep

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

var (
	soakTime    = flag.Duration("soak", 0, "how long to go on; 0: no soak")
	soakSeed    = flag.Uint64("seed", 0, "what the soak's chaos begins with; 0: any number")
	soakTenants = flag.Int("tenants", 500, "how many the soak's fleet has")
)

// soak takes a fleet through its life, round after round, while everything that can go wrong does. Each step of a round
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
	for (s.round < 2 || time.Since(began) < *soakTime) && !t.Failed() { // one would not show what a run leaks
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

// ends checks what has to hold once the soak is over.
func (s *soak) ends() {
	s.Helper()
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
