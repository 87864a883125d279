package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// contender is one way to work on many databases.
type contender struct {
	name string
	// rounds is how many rounds it takes part in, at most; 0 is all.
	rounds int
	// direct is true if its client can begin TLS directly (sslnegotiation=direct).
	direct bool
	// tenants is how many of the tenants it works on, at most; its costs are multiplied to those of all. 0 is all.
	tenants int
	// run works on every database, concurrency of them at once if the contender can.
	run func(ctx context.Context, urls []string, concurrency int) (cost, error)
}

// cost is what one run took.
type cost struct {
	wall time.Duration
	cpu  time.Duration // of the client's processes, user and system
}

// times is the cost of n times as much work.
func (c cost) times(n float64) cost {
	return cost{time.Duration(n * float64(c.wall)), time.Duration(n * float64(c.cpu))}
}

// The two tasks of each contender in a round: all migrations on empty databases, then the same with nothing to do.
const (
	apply = iota
	nothing
	tasks
)

// comparison is a race between contenders.
type comparison struct {
	title       string
	link        link
	tenants     int
	concurrency int
	contenders  []contender // the floor first, ours second
	// showCPU is true if CPU times are the contenders' own. Over a distance they are not: its proxy runs in this
	// process.
	showCPU bool
}

// race runs the contenders in turn, each round beginning with another one, and prints the table. A machine's speed
// drifts, so ratios are taken within a round, and their median is shown.
func (b *bench) race(ctx context.Context, c comparison) error {
	if err := b.provide(ctx, c.tenants); err != nil {
		return err
	}
	urls, err := b.urls(c.tenants, c.link)
	if err != nil {
		return err
	}
	costs := make([][tasks][]cost, len(c.contenders)) // by contender, task, round
	for round := range b.rounds {
		for i := range c.contenders {
			i = (i + round) % len(c.contenders)
			one := c.contenders[i]
			if one.rounds > 0 && round >= one.rounds {
				continue
			}
			if err := b.reset(ctx, c.tenants); err != nil {
				return fmt.Errorf("empty the tenants: %w", err)
			}
			tenants := c.tenants
			if one.tenants > 0 {
				tenants = min(tenants, one.tenants)
			}
			for task := range tasks {
				took, err := b.measure(ctx, one, urls[:tenants], c.concurrency)
				if err != nil {
					return fmt.Errorf("%s: %w", one.name, err)
				}
				costs[i][task] = append(costs[i][task], took.times(float64(c.tenants)/float64(tenants)))
				if round == 0 && task == apply {
					if err := b.verify(ctx, tenants); err != nil {
						return fmt.Errorf("%s: %w", one.name, err)
					}
				}
			}
			b.progress("%s, round %d: %s: %.2f s, %.2f s", c.title, round+1, one.name,
				costs[i][apply][len(costs[i][apply])-1].wall.Seconds(),
				costs[i][nothing][len(costs[i][nothing])-1].wall.Seconds())
		}
	}
	c.print(costs)
	return nil
}

func (b *bench) measure(ctx context.Context, one contender, urls []string, concurrency int) (took cost, err error) {
	if err := b.settle(ctx); err != nil {
		return cost{}, err
	}
	runtime.GC() // the garbage of the one before is not this one's
	pprof.Do(ctx, pprof.Labels("contender", one.name), func(ctx context.Context) {
		took, err = one.run(ctx, urls, concurrency)
	})
	return took, err
}

func (c comparison) print(costs [][tasks][]cost) {
	fmt.Printf("\n### %s: %d tenants, %d at once\n\n", c.title, c.tenants, c.concurrency)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(w, "| "+strings.Join(cells, "\t| ")+"\t|") }
	head := []string{"", "n", "three pending, s", "× floor", "ours faster by", "nothing pending, s", "× floor",
		"ours faster by"}
	if c.showCPU {
		head = append(head, "CPU s", "CPU s, nothing pending")
	}
	row(head...)
	row(slices.Repeat([]string{"---"}, len(head))...)
	for i, one := range c.contenders {
		cells := []string{one.name, fmt.Sprint(len(costs[i][apply]))}
		for task := range tasks {
			mine, floor, ours := costs[i][task], costs[0][task], costs[1][task]
			faster := "–"
			if i > 1 {
				faster = fmt.Sprintf("%.1f", ratio(mine, ours))
			}
			cells = append(cells, seconds(walls(mine)), fmt.Sprintf("%.2f", ratio(mine, floor)), faster)
		}
		if c.showCPU {
			for task := range tasks {
				cells = append(cells, fmt.Sprintf("%.2f", median(cpus(costs[i][task]))))
			}
		}
		row(cells...)
	}
	_ = w.Flush() // to standard output; if that is closed, nobody reads it
}

// ratio returns the median of a's wall time divided by b's, over the rounds that both took part in.
func ratio(a, b []cost) float64 {
	var all []float64
	for i := range min(len(a), len(b)) {
		all = append(all, a[i].wall.Seconds()/b[i].wall.Seconds())
	}
	return median(all)
}

func walls(costs []cost) (all []float64) {
	for _, c := range costs {
		all = append(all, c.wall.Seconds())
	}
	return all
}

func cpus(costs []cost) (all []float64) {
	for _, c := range costs {
		all = append(all, c.cpu.Seconds())
	}
	return all
}

// seconds writes the median and, if there are several values, their range.
func seconds(all []float64) string {
	if len(all) < 2 {
		return fmt.Sprintf("%.2f", median(all))
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", median(all), slices.Min(all), slices.Max(all))
}

// median returns, of an even number of values, the mean of the two in the middle.
func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// inProcess measures something that runs in this process.
func inProcess(do func() error) (cost, error) {
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before) // cannot fail for this process
	began := time.Now()
	err := do()
	wall := time.Since(began)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	return cost{wall: wall, cpu: cpuTime(after) - cpuTime(before)}, err
}

func cpuTime(u syscall.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }
