package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// What a run keeps to of Neon's rate limits, which the simulator enforces.
const (
	callsPerMinute = neon.DefaultPerMinute // of all routes together
	callsPerSecond = 40                    // of one route
)

// wholeFleet runs the program as a runner starts it, over thousands of projects of the Neon simulator, under Neon's
// rate limits. The projects share a hundred databases: the first project of each migrates it, the others find nothing
// to do.
func wholeFleet(ctx context.Context, b *bench) error {
	program, err := b.program(ctx)
	if err != nil {
		return err
	}
	databases := min(tenantCount, b.fleet)
	if err := b.provide(ctx, databases); err != nil {
		return err
	}
	if err := b.reset(ctx, databases); err != nil {
		return err
	}
	api, err := neontest.New(b.server, neontest.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	if err := api.Start(); err != nil {
		return err
	}
	specs := make([]neontest.Spec, b.fleet)
	for i := range specs {
		name := b.tenants[i%databases] // neighbours in the fleet have different ones
		specs[i] = neontest.Spec{Name: fmt.Sprintf("customer-%05d", i),
			SharedDatabase: b.server.TenantURL(name, tenantPassword, name)}
	}
	if _, err := api.AddProjects(ctx, specs...); err != nil {
		return err
	}
	b.progress("migrating %d projects, which takes at least %s under Neon's limits", b.fleet,
		leastTime(b.fleet).Round(time.Second))
	seen, err := b.watch(ctx, program, api.URL(), "INPUT_MODE=migrate")
	if err == nil && seen.finished != b.fleet {
		err = fmt.Errorf("%d of %d tenants finished", seen.finished, b.fleet)
	}
	if err != nil {
		return err
	}
	if err := b.verify(ctx, databases); err != nil {
		return err
	}
	calls := api.Calls()
	fmt.Printf("\n### The program over %d simulated Neon projects, under Neon's rate limits\n\n", b.fleet)
	fmt.Print("| | measured | bound |\n| --- | --- | --- |\n")
	fmt.Printf("| wall time | %.1f s | %.1f s: %d calls at %d a minute; %.1f s if bursts use up a sliding limit |\n",
		seen.wall.Seconds(), float64(b.fleet)/callsPerMinute*60, b.fleet, callsPerMinute, leastTime(b.fleet).Seconds())
	fmt.Printf("| first tenant finished | %.2f s | 2 s |\n", seen.first.Seconds())
	fmt.Printf("| peak memory | %.1f MiB | 100 MiB |\n", float64(seen.peakKiB)/1024)
	fmt.Printf("| CPU time | %.1f s | |\n", seen.cpu.Seconds())
	fmt.Printf("| calls | %d, at most %d in a minute, %d refused | %d in a minute |\n", calls.Total,
		calls.MostPerMinute, calls.Limited, callsPerMinute)
	return nil
}

// program builds the program as a release does.
func (b *bench) program(ctx context.Context) (string, error) {
	path := filepath.Join(b.dir, "neon-tenants-action")
	b.progress("building the program")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	build.Dir = b.root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w: %s", err, out)
	}
	return path, nil
}

// leastTime returns how long a run's calls of one route take at least.
func leastTime(calls int) time.Duration {
	last := calls - 1
	return time.Duration(last/callsPerMinute)*time.Minute +
		time.Duration(last%callsPerMinute/callsPerSecond)*time.Second
}

// usage is what the program took.
type usage struct {
	wall, cpu time.Duration
	first     time.Duration // until the first tenant finished
	peakKiB   int           // of resident memory
	finished  int           // tenants, by the log's last counter
}

// counter matches the start of a finished tenant's line, and of a heartbeat: how many tenants have finished.
var counter = regexp.MustCompile(`^\[ *(\d+)/\d+\] `)

// watch runs the program as Actions does, with outputs and summary, and with more inputs than those that all runs have.
func (b *bench) watch(ctx context.Context, program, api string, inputs ...string) (usage, error) {
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append([]string{
		"GOGC=50", // as the image has it
		"INPUT_NEON-API-KEY=" + neontest.PersonalKey, "INPUT_NEON-API-URL=" + api,
		"INPUT_MIGRATIONS-PATH=migrations/example", "INPUT_REPORT-FILE=" + filepath.Join(b.dir, "report.json"),
		"GITHUB_WORKSPACE=" + b.root, "GITHUB_OUTPUT=" + filepath.Join(b.dir, "output"),
		"GITHUB_STEP_SUMMARY=" + filepath.Join(b.dir, "summary.md"),
	}, inputs...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return usage{}, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, err
	}
	var s usage
	ended := make(chan struct{})
	peak := make(chan int)
	go func() { peak <- peakMemory(cmd.Process.Pid, ended) }()
	last := ""
	reader := bufio.NewReader(out)
	for {
		line, err := reader.ReadString('\n')
		if m := counter.FindStringSubmatch(line); m != nil {
			if s.finished, _ = strconv.Atoi(m[1]); s.finished == 1 && s.first == 0 {
				s.first = time.Since(began)
			}
		}
		if line != "" {
			last = line
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				last = err.Error()
			}
			break
		}
	}
	err = cmd.Wait()
	s.wall = time.Since(began)
	close(ended)
	s.peakKiB = <-peak
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err != nil {
		err = fmt.Errorf("the program: %w; its last line: %s", err, strings.TrimSpace(last))
	}
	return s, err
}

// peakMemory samples a process's peak resident memory, in KiB, until it has ended. The kernel's own figure at the end
// includes what this process had when it forked.
func peakMemory(pid int, ended <-chan struct{}) (kib int) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // fails once the process is gone
		if _, rest, ok := strings.Cut(string(text), "VmHWM:"); ok {
			value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			if n, err := strconv.Atoi(value); err == nil {
				kib = max(kib, n)
			}
		}
		select {
		case <-ended:
			return kib
		case <-tick.C:
		}
	}
}
