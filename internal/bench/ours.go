package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/action"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

// floor is the least that any client could do.
func (b *bench) floor() (contender, error) {
	files, err := wiretest.FloorFiles(b.migrations)
	if err != nil {
		return contender{}, err
	}
	run := func(ctx context.Context, urls []string, concurrency int) (cost, error) {
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
	}
	return contender{name: "floor", direct: true, run: run}, nil
}

// ours is a whole run of mode migrate.
func (b *bench) ours() (contender, error) {
	return b.oursOver(b.migrations)
}

// oursOver is ours over the files of a directory.
func (b *bench) oursOver(files string, more ...string) (contender, error) {
	migrate, err := b.action("migrate", fromSecrets, append(more, "--migrations-path", files)...)
	run := func(ctx context.Context, urls []string, concurrency int) (cost, error) {
		return inProcess(func() error { return migrate(ctx, urls, concurrency) })
	}
	return contender{name: "ours", direct: true, run: run}, err
}

// fromSecrets returns the inputs for tenants whose connection strings are known; the section fleet measures discovery.
func fromSecrets(urls []string) ([]string, error) {
	tenants := map[string]string{}
	for i, url := range urls {
		tenants["tenant-"+strconv.Itoa(i)] = url
	}
	text, err := json.Marshal(tenants)
	return []string{"--tenant-source", "secrets", "--tenant-secrets", string(text)}, err
}

// action returns a function that does a whole run as inside Actions, from its inputs to its report, summary and
// outputs. The log is shown only if the run fails. from returns the inputs about the source.
func (b *bench) action(
	mode string, from func(urls []string) ([]string, error), args ...string,
) (func(ctx context.Context, urls []string, concurrency int) error, error) {
	definition, err := os.ReadFile(filepath.Join(b.root, "action.yml"))
	if err != nil {
		return nil, err
	}
	files, err := os.MkdirTemp(b.dir, mode)
	if err != nil {
		return nil, err
	}
	variables := map[string]string{
		"GITHUB_WORKSPACE": files, "GITHUB_OUTPUT": filepath.Join(files, "output"),
		"GITHUB_STEP_SUMMARY": filepath.Join(files, "summary"),
	}
	return func(ctx context.Context, urls []string, concurrency int) error {
		given, err := from(urls)
		if err != nil {
			return err
		}
		var log bytes.Buffer
		env := action.Env{
			Definition: definition, Version: "bench", Stdout: &log,
			Args:      slices.Concat([]string{"--mode", mode, "--concurrency", strconv.Itoa(concurrency)}, given, args),
			LookupEnv: func(name string) (string, bool) { v, ok := variables[name]; return v, ok },
		}
		if err := action.Run(ctx, env); err != nil {
			return fmt.Errorf("%w:\n%s", err, log.String())
		}
		return nil
	}, nil
}
