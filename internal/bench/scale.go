package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/report"
)

// scaleSite is a simulated fleet whose projects share one database, and the program that works on it.
type scaleSite struct {
	*bench
	program  string
	neon     *neontest.Server
	projects []neontest.Project
	last     string // the report file of the last run
}

// connectedAt is up to how many tenants runs are measured that connect to all: a client that holds to Neon's limit of
// 40 calls a second needs minutes for more.
const connectedAt = 1000

// scale measures what whole runs of the program take over fleets of different sizes, without Neon's limits: what these
// add follows from the number of calls.
func scale(ctx context.Context, b *bench) error {
	program, err := b.program(ctx)
	if err != nil {
		return err
	}
	sizes := []int{100, 1000, 10_000, 100_000}
	if b.short {
		sizes = sizes[:2]
	}
	fmt.Print("\n### Fleets of different sizes, without Neon's limits\n\n" +
		"| tenants | run | calls | at 600 calls a minute | wall | CPU | peak memory |\n|--:|---|--:|--:|--:|--:|--:|\n")
	for _, n := range sizes {
		if err := b.scaleTo(ctx, program, n); err != nil {
			return fmt.Errorf("%d tenants: %w", n, err)
		}
	}
	return nil
}

func (b *bench) scaleTo(ctx context.Context, program string, n int) (err error) {
	s := &scaleSite{bench: b, program: program, last: filepath.Join(b.dir, "last.json")}
	if s.neon, err = neontest.New(b.server, neontest.Options{
		Limits: neontest.Limits{PerMinute: -1, PerSecond: -1},
	}); err != nil {
		return err
	}
	defer func() { _ = s.neon.Close() }()
	if err := s.neon.Start(); err != nil {
		return err
	}
	if err := b.provide(ctx, 1); err != nil {
		return err
	}
	if err := b.reset(ctx, 1); err != nil {
		return err
	}
	url := b.server.TenantURL(b.tenants[0], tenantPassword, b.tenants[0])
	specs := make([]neontest.Spec, n)
	for i := range specs {
		specs[i] = neontest.Spec{Name: fmt.Sprintf("customer-%06d", i), ID: fmt.Sprintf("project-%06d", i),
			SharedDatabase: url}
	}
	if s.projects, err = s.neon.AddProjects(ctx, specs...); err != nil {
		return err
	}
	return s.runs(ctx)
}

// runs measures the runs of one size.
func (s *scaleSite) runs(ctx context.Context) error {
	if err := s.row(ctx, "list-tenants", "INPUT_MODE=list-tenants"); err != nil {
		return err
	}
	for _, mode := range []string{"migrate", "health-check"} {
		asleep := []string{"INPUT_MODE=" + mode, "INPUT_LEAVE-ASLEEP=true", "INPUT_PREVIOUS-REPORT=" + s.last}
		if len(s.projects) <= connectedAt {
			if err := s.row(ctx, mode+", no records", "INPUT_MODE="+mode); err != nil {
				return err
			}
		}
		if _, err := s.watch(ctx, s.program, s.neon.URL(), "INPUT_MODE="+mode,
			"INPUT_TENANTS="+s.projects[0].Name); err != nil {
			return err
		}
		if err := s.allAsleep(); err != nil {
			return err
		}
		if err := s.row(ctx, mode+", all asleep", asleep...); err != nil {
			return err
		}
		if used := len(s.projects) * 3 / 100; used <= connectedAt {
			for _, p := range s.projects[:used] {
				s.neon.Use(p.ID, time.Now().Add(time.Hour))
			}
			if err := s.row(ctx, mode+", 3 % were in use", asleep...); err != nil {
				return err
			}
			for _, p := range s.projects[:used] {
				s.neon.Use(p.ID, time.Now())
			}
		}
	}
	return nil
}

// row runs the program once and prints what it took.
func (s *scaleSite) row(ctx context.Context, title string, inputs ...string) error {
	s.neon.ResetCalls()
	seen, err := s.watch(ctx, s.program, s.neon.URL(), append(inputs, "INPUT_NEON-REQUESTS-PER-MINUTE=60000")...)
	if err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	calls := s.neon.Calls().Total
	limited := time.Duration(float64(calls) / 600 * float64(time.Minute)).Round(time.Second)
	fmt.Printf("| %d | %s | %d | %s | %.1f s | %.1f s | %.0f MiB |\n", len(s.projects), title, calls, limited,
		seen.wall.Seconds(), seen.cpu.Seconds(), float64(seen.peakKiB)/1024)
	return nil
}

// allAsleep writes a report in which all tenants are as the first one is in the report of the last run.
func (s *scaleSite) allAsleep() error {
	text, err := os.ReadFile(filepath.Join(s.dir, "report.json"))
	if err != nil {
		return err
	}
	f, err := report.Decode(text)
	if err != nil {
		return err
	}
	first := f.Tenants[0]
	f.Tenants = make([]report.TenantEntry, 0, len(s.projects))
	for _, p := range s.projects {
		one := first
		one.Name, one.ID, one.Key = p.Name, p.ID, p.Name
		one.Detail = json.RawMessage(strings.ReplaceAll(string(first.Detail), first.ID, p.ID))
		f.Tenants = append(f.Tenants, one)
	}
	f.Totals = report.Totals{Total: len(f.Tenants)}
	if first.State == "succeeded" {
		f.Totals.Succeeded = len(f.Tenants)
	} else {
		f.Totals.Unchanged = len(f.Tenants)
	}
	if text, err = json.Marshal(f); err != nil {
		return err
	}
	return os.WriteFile(s.last, text, 0o600)
}
