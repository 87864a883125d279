package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

const exampleMigrations = "migrations/example"

// demo takes a fleet through its life, one chapter after another, by running the action as a workflow does.
func demo(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	program := flags.String("program", "", "the built action; empty: it is built from this checkout")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp("", "neon-tenants-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	built, err := build(ctx, *program, dir)
	if err != nil {
		return err
	}
	out := newPrinter(os.Stdout, cancel)
	out.chapters = len(chapters)
	r := &runner{program: built, workspace: filepath.Join(dir, "workspace"), temp: dir, out: out}
	if err := play(ctx, r); err != nil {
		return err
	}
	out.farewell(time.Since(began))
	return nil
}

// play starts a world and shows every chapter in it.
func play(ctx context.Context, r *runner) (err error) {
	if err := os.CopyFS(filepath.Join(r.workspace, "db", "migrations"), os.DirFS(exampleMigrations)); err != nil {
		return err
	}
	w, err := startWorld(ctx, 0, len(customers))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	r.environment = w.environment()
	w.introduce(r.out)
	for _, chapter := range chapters {
		if err := chapter(ctx, w, r); err != nil {
			return err
		}
	}
	return nil
}

// chapters are the demo's, in their order.
var chapters = []func(context.Context, *world, *runner) error{
	showDryRun, showMigration, showFailure, showRepair, showRehearsal, showUndo, showBackup, showDrill, showHealth,
	showSecrets, showTenants, showRestore,
}

// build returns the program to run.
func build(ctx context.Context, program, dir string) (string, error) {
	if program != "" {
		return filepath.Abs(program)
	}
	program = filepath.Join(dir, "neon-tenants-action")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the action: %w\n%s", err, out)
	}
	return program, nil
}

// exec changes a tenant's database behind the action's back.
func (w *world) exec(ctx context.Context, tenant, sql string) error {
	conn, err := pgx.Connect(ctx, w.projects[tenant].URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}
