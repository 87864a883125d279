package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// rehearsalConcurrency is that of the comparisons over a distance.
const rehearsalConcurrency = 16

// The ways that the section compares, by their place in it.
const (
	migrateOnly = iota
	rehearseOnly
	rehearseAndMigrate
	branchesOnly
	copiesOnly
	rehearsalWays
)

// rehearsalWay is one thing that is measured.
type rehearsalWay struct {
	name     string
	migrates bool // the tenants, and does not only look at them
	run      func(ctx context.Context) error
}

// rehearsals compares a rehearsal with the migration of the same tenants, and with the branches alone.
func rehearsals(ctx context.Context, b *bench) (err error) {
	if err := watching(ctx, b); err != nil {
		return err
	}
	s, err := b.newRehearsalSite(ctx, b.count(tenantCount))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	ways, err := s.ways()
	if err != nil {
		return err
	}
	var costs [rehearsalWays][]siteCost // by round
	var calls [rehearsalWays]neontest.Calls
	for round := range b.rounds {
		for i := range ways {
			i = (i + round) % len(ways)
			took, err := s.measure(ctx, ways[i])
			if err != nil {
				return fmt.Errorf("%s: %w", ways[i].name, err)
			}
			costs[i] = append(costs[i], took)
			calls[i] = s.neon.Calls()
			b.progress("rehearsal, round %d: %s: %.2f s", round+1, ways[i].name, took.wall.Seconds())
		}
	}
	s.print(ways, costs, calls)
	return nil
}

// ways returns what is measured. The first three are whole runs of the action.
func (s *rehearsalSite) ways() ([]rehearsalWay, error) {
	ways := []rehearsalWay{
		{name: "the migration itself", migrates: true},
		{name: "rehearse: all, dry-run: true"},
		{name: "rehearse: all, and the migration", migrates: true},
		{name: "the branches alone, all at once", run: s.branches},
		{name: "the simulator's copies alone", run: s.copies},
	}
	for i, more := range [][]string{nil, {"--rehearse", "all", "--dry-run"}, {"--rehearse", "all"}} {
		run, err := s.action("migrate", func([]string) ([]string, error) {
			return slices.Concat(more, []string{"--tenant-source", "neon", "--neon-api-key", neontest.OrgKey,
				"--neon-api-url", s.neon.URL(), "--database-name", siteDatabase}), nil
		}, "--migrations-path", s.migrations)
		if err != nil {
			return nil, err
		}
		ways[i].run = func(ctx context.Context) error { return run(ctx, nil, rehearsalConcurrency) }
	}
	return ways, nil
}

// siteCost is what one run took. The CPU time is this process's, in which the simulator and the proxies run too.
type siteCost struct {
	cost
	server time.Duration // PostgreSQL's CPU time, with that of copying databases, and of dropping them after the run
}

func (s *rehearsalSite) measure(ctx context.Context, way rehearsalWay) (c siteCost, err error) {
	if err := s.empty(ctx); err != nil {
		return c, fmt.Errorf("empty the tenants: %w", err)
	}
	if err := s.settle(ctx); err != nil {
		return c, err
	}
	s.neon.ResetLimits() // each run has a minute's calls to itself
	s.neon.ResetCalls()
	runtime.GC()
	before, err := s.serverCPU()
	if err != nil {
		return c, err
	}
	if c.cost, err = inProcess(func() error { return way.run(ctx) }); err != nil {
		return c, err
	}
	if err := s.settle(ctx); err != nil {
		return c, err
	}
	after, err := s.serverCPU()
	c.server = after - before
	return c, errors.Join(err, s.check(ctx, way.migrates))
}

// branches makes a branch of every project, waits for it and deletes it, with the client of the action and all at once:
// only Neon's limits, and the simulator's speed, are in the way.
func (s *rehearsalSite) branches(ctx context.Context) error {
	client := neon.New(neon.Options{BaseURL: s.neon.URL(), Key: neontest.OrgKey})
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range s.projects {
		g.Go(func() error {
			made, err := client.CreateBranch(ctx, p.ID, neon.BranchSpec{Name: "bench",
				ExpiresAt: time.Now().Add(time.Hour), Database: p.Database, Role: p.Role})
			if err != nil {
				return err
			}
			if err := client.WaitOperations(ctx, p.ID, made.Operations); err != nil {
				return err
			}
			return client.DeleteBranch(ctx, p.ID, made.ID)
		})
	}
	return g.Wait()
}

// copies does what the simulator does for the branches, copying databases and dropping the copies, without its API.
func (s *rehearsalSite) copies(ctx context.Context) error {
	return s.each(ctx, func(ctx context.Context, t siteTenant) error {
		if err := s.server.CreateDatabase(ctx, t.name+"_copy", t.role, t.name); err != nil {
			return err
		}
		return s.server.Exec(ctx, "postgres", "drop database "+t.name+"_copy with (force)")
	})
}

// print prints the table, and what Neon's limits allow.
func (s *rehearsalSite) print(
	ways []rehearsalWay, costs [rehearsalWays][]siteCost, calls [rehearsalWays]neontest.Calls,
) {
	n := len(s.projects)
	fmt.Printf("\n### Rehearsing, %d ms round trip, TLS: %d tenants, three pending, %d at once\n\n",
		distanceRoundTrip.Milliseconds(), n, rehearsalConcurrency)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(w, "| "+strings.Join(cells, "\t| ")+"\t|") }
	head := []string{"", "n", "wall, s", "× migration", "less the branches alone", "CPU s", "PostgreSQL's", "calls",
		"most in a second"}
	row(head...)
	row(slices.Repeat([]string{"---"}, len(head))...)
	for i, way := range ways {
		net, counted, most := "–", "–", "–"
		if i == rehearseOnly || i == rehearseAndMigrate {
			net = fmt.Sprintf("%.2f", median(times(costs[i], costs[branchesOnly], costs[migrateOnly])))
		}
		if i < copiesOnly {
			counted, most = fmt.Sprint(calls[i].Total), fmt.Sprint(mostInASecond(calls[i]))
		}
		own, server := cpuOfSite(costs[i])
		row(way.name, fmt.Sprint(len(costs[i])), seconds(siteWalls(costs[i])),
			fmt.Sprintf("%.2f", median(times(costs[i], nil, costs[migrateOnly]))), net,
			fmt.Sprintf("%.1f", own), fmt.Sprintf("%.1f", server), counted, most)
	}
	_ = w.Flush() // to standard output; if that is closed, nobody reads it
	limit := (leastTime(n) + operationWait).Seconds()
	once := median(siteWalls(costs[migrateOnly]))
	fmt.Printf("\nNeon's limits: %d branches take %s to create at %d calls a second, and the operations of the last one "+
		"are asked for after %s: %.1f s.\n", n, leastTime(n), callsPerSecond, operationWait, limit)
	fmt.Printf("Twice the migration and that limit: %.2f s; the rehearsal took %.2f s. Three times the migration and "+
		"that limit: %.2f s; both together took %.2f s.\n", 2*once+limit, median(siteWalls(costs[rehearseOnly])),
		3*once+limit, median(siteWalls(costs[rehearseAndMigrate])))
}

// operationWait is how long the client waits before it first asks for a branch's operations.
const operationWait = time.Second

// times returns a's time without that of less, which may be nil, divided by b's, for each round.
func times(a, less, b []siteCost) (all []float64) {
	for i := range a {
		t := a[i].wall
		if less != nil {
			t -= less[i].wall
		}
		all = append(all, t.Seconds()/b[i].wall.Seconds())
	}
	return all
}

func siteWalls(costs []siteCost) (all []float64) {
	for _, c := range costs {
		all = append(all, c.wall.Seconds())
	}
	return all
}

// cpuOfSite returns the medians of the CPU times in seconds.
func cpuOfSite(costs []siteCost) (own, server float64) {
	var owns, servers []float64
	for _, c := range costs {
		owns, servers = append(owns, c.cpu.Seconds()), append(servers, c.server.Seconds())
	}
	return median(owns), median(servers)
}

func mostInASecond(c neontest.Calls) (most int) {
	for _, n := range c.MostPerSecond {
		most = max(most, n)
	}
	return most
}
