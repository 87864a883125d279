package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/report"
)

// floor is the least that any client could do, with nothing around it.
func (b *bench) floor() (contender, error) {
	files, err := wiretest.FloorFiles(b.migrations)
	if err != nil {
		return contender{}, err
	}
	return contender{name: "floor", run: func(ctx context.Context, urls []string, concurrency int) (cost, error) {
		return inProcess(func() error {
			g, ctx := errgroup.WithContext(ctx)
			g.SetLimit(concurrency)
			for _, url := range urls {
				g.Go(func() error {
					_, err := wiretest.Floor(ctx, url, files)
					return err
				})
			}
			return g.Wait()
		})
	}}, nil
}

// addresses is a source whose tenants' connection strings are known: discovery is the fleet section's subject.
type addresses []string

func (a addresses) Tenants(context.Context) ([]fleet.Tenant, error) {
	var all []fleet.Tenant
	for i := range a {
		name := strconv.Itoa(i)
		all = append(all, fleet.Tenant{Name: "tenant " + name, ID: name, Key: "tenant-" + name})
	}
	return all, nil
}

func (a addresses) URL(_ context.Context, t fleet.Tenant) (fleet.Secret, error) {
	i, err := strconv.Atoi(t.ID)
	return fleet.NewSecret(a[i]), err
}

// ours is a migration run's own way from its inputs to its report.
func (b *bench) ours() (contender, error) {
	run, err := b.mode("migrate", "--migrations-path", b.migrations)
	return contender{name: "ours", run: func(ctx context.Context, urls []string, concurrency int) (cost, error) {
		return inProcess(func() error { return run(ctx, urls, concurrency) })
	}}, err
}

// mode returns a run's own way from its inputs to its report: the mode's job in the fleet engine, with masks, progress lines,
// summary and report, as inside Actions.
func (b *bench) mode(name string, args ...string) (func(ctx context.Context, urls []string, concurrency int) error, error) {
	return b.modeOver(name, func(_ *input.Reader, urls []string) fleet.Source { return addresses(urls) }, func([]string) []string { return args })
}

// modeOver is mode over a source that the inputs may name. Listing is part of the run.
func (b *bench) modeOver(name string, from func(*input.Reader, []string) fleet.Source, args func(urls []string) []string) (func(ctx context.Context, urls []string, concurrency int) error, error) {
	text, err := os.ReadFile(filepath.Join(b.root, "action.yml"))
	if err != nil {
		return nil, err
	}
	definition, err := input.ParseDefinition(text)
	if err != nil {
		return nil, err
	}
	chosen, err := mode.For(name)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, urls []string, concurrency int) error {
		in, err := input.New(definition, append([]string{"--mode", name}, args(urls)...), func(string) (string, bool) { return "", false })
		if err != nil {
			return err
		}
		source, console := from(in, urls), report.NewConsole(io.Discard, true)
		if c, ok := source.(interface{ Close() }); ok {
			defer c.Close()
		}
		work := chosen.New(in, mode.Env{Source: source, Concurrency: concurrency, Mask: console.Mask, Notice: func(string) {}})
		if work.Close != nil {
			defer work.Close()
		}
		if err := in.Err(); err != nil {
			return err
		}
		tenants, err := source.Tenants(ctx)
		if err != nil {
			return err
		}
		if work.Prepare != nil {
			if err := work.Prepare(ctx, mode.Found{Tenants: tenants, All: tenants, Whole: true}); err != nil {
				return err
			}
		}
		progress := report.NewProgress(console, len(tenants))
		results := fleet.Run(ctx, fleet.Plan{Tenants: tenants, Job: work.Job},
			fleet.Options{Concurrency: concurrency, TenantTimeout: in.Duration("tenant-timeout"), Observer: progress})
		progress.Stop()
		record := report.Run{Mode: name, Results: results}
		if work.Finish != nil {
			ending, err := work.Finish(ctx, results)
			if err != nil {
				return err
			}
			record.Sections, record.Detail = ending.Sections, ending.Detail
		}
		_ = report.Summary(record)
		if _, err := report.JSON(record); err != nil {
			return err
		}
		var failures error
		for _, r := range results {
			if r.Err != nil {
				failures = errors.Join(failures, fmt.Errorf("%s: %w", r.Tenant.Name, r.Err))
			}
		}
		return failures
	}, nil
}
