package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
)

// picturedTenants are enough for a summary to have charts.
const picturedTenants = 24

// pictures makes what docs/pictures shows: the summary and the page of a run that two tenants of a fleet fail, and the
// summary of a rehearsal.
func pictures(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("pictures", flag.ContinueOnError)
	program := flags.String("program", "", "the built action; empty: it is built from this checkout")
	dir := flags.String("dir", ".", "the folder that gets summary.md, page.html and rehearsal.md")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	temp, err := os.MkdirTemp("", "neon-tenants-pictures-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	built, err := build(ctx, *program, temp)
	if err != nil {
		return err
	}
	r := &runner{program: built, workspace: filepath.Join(temp, "workspace"), temp: temp,
		out: newPrinter(os.Stderr, cancel)}
	if err := os.CopyFS(filepath.Join(r.workspace, "db", "migrations"), os.DirFS(exampleMigrations)); err != nil {
		return err
	}
	w, err := startWorld(ctx, 0, picturedTenants)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	r.environment = w.environment()

	if err := takeFailure(ctx, w, r); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*dir, "summary.md"), []byte(r.summary), 0o600); err != nil {
		return err
	}
	page, err := os.ReadFile(filepath.Join(r.workspace, "page.html"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*dir, "page.html"), page, 0o600); err != nil {
		return err
	}
	if err := takeRehearsal(ctx, w, r); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*dir, "rehearsal.md"), []byte(r.summary), 0o600)
}

// takeFailure is [showFailure] in a larger fleet, a part of which is migrated before.
func takeFailure(ctx context.Context, w *world, r *runner) error {
	if err := r.step(ctx, step{inputs: []string{"mode=migrate"}}); err != nil {
		return err
	}
	if err := addFailingFile(r); err != nil {
		return err
	}
	for _, tenant := range []string{"Finance Co", "Initech"} {
		if err := w.exec(ctx, tenant, sameNameTwice); err != nil {
			return err
		}
	}
	if err := r.step(ctx, step{inputs: []string{"mode=migrate", "tenants=Customer 1*"}}); err != nil {
		return err
	}
	return r.step(ctx, step{inputs: []string{"mode=migrate", "report-html=page.html"}, fails: true})
}

// takeRehearsal repairs that, and is [showRehearsal]'s first step.
func takeRehearsal(ctx context.Context, w *world, r *runner) error {
	for _, tenant := range []string{"Finance Co", "Initech"} {
		if err := w.exec(ctx, tenant, otherName); err != nil {
			return err
		}
	}
	if err := r.step(ctx, step{inputs: []string{"mode=migrate"}}); err != nil {
		return err
	}
	if err := addRewritingFile(ctx, w, r); err != nil {
		return err
	}
	return r.step(ctx, step{fails: true, inputs: []string{"mode=migrate", "rehearse=all",
		"rehearse-fail-on=rewrite>1MB", "tenants=" + strings.Join(customers, "\n")}})
}
