// Command bench measures how fast a fleet is migrated, checked and backed up: against the floor, which is the least
// that any client could do, and against what people use instead, interleaved in one run on one machine. It prints
// Markdown tables; docs/benchmarks.md explains them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/org/neon-tenants-action/internal/words"
)

// options is the command line.
type options struct {
	short   bool
	chosen  []string // names of sections
	rounds  int
	fleet   int
	profile string
}

// section is one part of the benchmarks.
type section struct {
	name string
	run  func(context.Context, *bench) error
}

var sections = []section{
	{"trips", roundTrips},
	{"loopback", loopback},
	{"distance", distance},
	{"sequential", sequential},
	{"drizzle", drizzle},
	{"fleet", wholeFleet},
	{"scale", scale},
	{"rehearsal", rehearsals},
	{"schemas", schemas},
	{"health", health},
	{"backup-large", backupLarge},
	{"backup-fleet", backupFleet},
	{"restore", restores},
	{"drills", drills},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o, err := readOptions()
	if err != nil {
		return err
	}
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return fmt.Errorf("write the profile: %w", err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("write the profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	b.printMachine(ctx)
	for _, s := range sections {
		if !slices.Contains(o.chosen, s.name) {
			continue
		}
		began := time.Now()
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.progress("%s took %s", s.name, words.Duration(time.Since(began)))
	}
	return nil
}

// readOptions parses the command line.
func readOptions() (options, error) {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	var o options
	var only string
	flag.BoolVar(&o.short, "short", false,
		"fewer tenants and rounds, and nothing that takes minutes: for a first look, not to be quoted")
	flag.StringVar(&only, "only", "", "comma-separated sections: "+words.List(names, 0))
	flag.IntVar(&o.rounds, "n", 5, "rounds of each measurement (at most three for slow rivals)")
	flag.IntVar(&o.fleet, "fleet", 5000, "tenants in the section fleet")
	flag.StringVar(&o.profile, "cpuprofile", "",
		"write a CPU profile of this process to a file; its label contender says who was running")
	flag.Parse()
	o.chosen = names
	if only != "" {
		o.chosen = strings.Split(only, ",")
	}
	for _, name := range o.chosen {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("-only: %q is not a section; the sections are %s", name, words.List(names, 0))
		}
	}
	if flag.NArg() > 0 || o.rounds < 1 || o.fleet < 1 {
		return o, errors.New("usage: no arguments, and -n and -fleet of 1 or more; -help lists the flags")
	}
	if o.short {
		o.rounds, o.fleet = min(o.rounds, 2), min(o.fleet, 200)
	}
	return o, nil
}

// moduleRoot returns the root of the checkout that the working directory is in.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "action.yml")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run it inside the checkout, as make bench does")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
