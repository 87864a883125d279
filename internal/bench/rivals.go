package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// build builds a program of the rivals' module, which is separate to keep their drivers out of this project.
func (b *bench) build(ctx context.Context, name, pkg string) (string, error) {
	path := filepath.Join(b.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	b.progress("building %s", pkg)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
	cmd.Dir = filepath.Join(b.root, "internal", "bench", "rivals")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return path, nil
}

// dbmateInProcess is dbmate as a library with its own driver, lib/pq: several databases at once in one process.
func (b *bench) dbmateInProcess(ctx context.Context, rounds int) (contender, error) {
	program, err := b.build(ctx, "library", "./library")
	if err != nil {
		return contender{}, err
	}
	run := func(ctx context.Context, urls []string, concurrency int) (cost, error) {
		var said strings.Builder
		took, err := external(ctx, lines(urls), &said, program, "-migrations", b.migrations, "-concurrency",
			strconv.Itoa(concurrency))
		if err != nil {
			return cost{}, err
		}
		// The figure that it measures itself, so that starting a process does not count against a library.
		seconds, err := strconv.ParseFloat(strings.TrimSpace(said.String()), 64)
		if err != nil {
			return cost{}, fmt.Errorf("read the time that it measured: %w", err)
		}
		took.wall = time.Duration(seconds * float64(time.Second))
		return took, nil
	}
	return contender{name: "dbmate library, lib/pq", rounds: rounds, run: run}, nil
}

// xargs is dbmate's command line, several processes at once.
func (b *bench) xargs(ctx context.Context, rounds int) (contender, error) {
	one, err := b.commandLine(ctx, rounds, 0)
	one.name = "dbmate CLI, xargs -P"
	return one, err
}

// oneByOne is dbmate's command line, one database after another.
func (b *bench) oneByOne(ctx context.Context, rounds int) (contender, error) {
	one, err := b.commandLine(ctx, rounds, 1)
	one.name = "dbmate CLI, one after another"
	return one, err
}

// commandLine runs dbmate's command line with xargs. processes is how many at once; 0 is the comparison's concurrency.
func (b *bench) commandLine(ctx context.Context, rounds, processes int) (contender, error) {
	program, err := b.build(ctx, "dbmate", "github.com/amacneil/dbmate/v2")
	if err != nil {
		return contender{}, err
	}
	return contender{rounds: rounds, run: func(ctx context.Context, urls []string, concurrency int) (cost, error) {
		if processes > 0 {
			concurrency = processes
		}
		return external(ctx, lines(urls), nil, "xargs", "-P", strconv.Itoa(concurrency), "-I{}",
			program, "--url", "{}", "--migrations-dir", b.migrations, "--no-dump-schema", "migrate")
	}}, nil
}

// external measures a program and everything that it starts.
func external(ctx context.Context, stdin io.Reader, stdout io.Writer, program string, args ...string) (cost, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	return command(cmd, stdin, stdout)
}

func command(cmd *exec.Cmd, stdin io.Reader, stdout io.Writer) (cost, error) {
	var said strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &said
	if stdout == nil {
		cmd.Stdout = &said
	}
	began := time.Now()
	err := cmd.Run()
	took := cost{wall: time.Since(began)}
	if cmd.ProcessState != nil {
		took.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if err != nil {
		const shown = 2000
		text := said.String()
		err = fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, text[max(0, len(text)-shown):])
	}
	return took, err
}
