package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const exampleMigrations = "migrations/example"

// demo shows a fleet's life: migrated, found unchanged, and with one tenant that a migration fails on.
func demo(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	program := flags.String("program", "", "the built program; empty: it is built from this checkout")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	dir, err := os.MkdirTemp("", "neon-tenants-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	title("Starting PostgreSQL and a Neon organization with %d projects", len(customers))
	if *program == "" {
		*program = filepath.Join(dir, "neon-tenants-action")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", *program, ".").CombinedOutput(); err != nil {
			return fmt.Errorf("build the program: %w\n%s", err, out)
		}
	}
	w, err := startWorld(ctx, 0, len(customers))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	r := &runner{program: *program, workspace: filepath.Join(dir, "workspace"), temp: dir, neon: w.environment()}
	if err := os.CopyFS(filepath.Join(r.workspace, "db", "migrations"), os.DirFS(exampleMigrations)); err != nil {
		return err
	}
	if err := w.show(ctx, r); err != nil {
		return err
	}
	title("Everything has been as it should, in %s; nothing is left running", time.Since(began).Round(time.Second/10))
	return nil
}

// show takes the fleet through its three runs and checks that each ends as it is told.
func (w *world) show(ctx context.Context, r *runner) error {
	title("First run: three migrations on every tenant")
	if _, err := r.step(ctx, true, "succeeded=6", "failed=0"); err != nil {
		return err
	}
	title("Second run: nothing is pending, nothing is changed")
	if _, err := r.step(ctx, true, "unchanged=6", "succeeded=0"); err != nil {
		return err
	}

	title("Third run: a migration comes that the data of one tenant, Finance Co, does not allow")
	const name = "20250201080000_unique_project_names.sql"
	const file = "-- A project's name is unique for its owner.\n\n-- migrate:up\n" +
		"alter table projects add column archived_at timestamptz;\n" +
		"alter table projects add constraint projects_owner_name_key unique (owner_id, name);\n\n" +
		"-- migrate:down\nalter table projects drop constraint projects_owner_name_key;\nalter table projects drop column archived_at;\n"
	if err := os.WriteFile(filepath.Join(r.workspace, "db", "migrations", name), []byte(file), 0o600); err != nil {
		return err
	}
	if err := w.exec(ctx, "Finance Co", "insert into users (email, name) values ('ana@finance.example', 'Ana'); "+
		"insert into projects (owner_id, name) select 1, 'Audit' from generate_series(1, 2)"); err != nil {
		return err
	}
	summary, err := r.step(ctx, false, "succeeded=5", "failed=1", `failed-tenants=["Finance Co"]`)
	if err != nil {
		return err
	}
	title("What the run's page on GitHub shows of it (Markdown)")
	fmt.Println(summary)

	title("Fourth run, for that tenant alone, after its data was mended")
	if err := w.exec(ctx, "Finance Co", "update projects set name = name || ' ' || id where id = 2"); err != nil {
		return err
	}
	_, err = r.step(ctx, true, "total=1", "succeeded=1", "with tenants=Finance Co")
	return err
}

func (w *world) exec(ctx context.Context, tenant, sql string) error {
	conn, err := pgx.Connect(ctx, w.projects[tenant].URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// runner starts the program as GitHub's runner starts an action: inputs as variables, files for what it gives back.
type runner struct {
	program, workspace, temp string
	neon                     [][2]string
	steps                    int
}

// step runs the program once, shows its log, and returns its summary. Wanted outputs are NAME=VALUE; "with NAME=VALUE" gives
// an input instead.
func (r *runner) step(ctx context.Context, succeeds bool, wanted ...string) (summary string, err error) {
	r.steps++
	file := func(name string) string { return filepath.Join(r.temp, fmt.Sprintf("%s-%d", name, r.steps)) }
	cmd := exec.CommandContext(ctx, r.program)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = r.workspace
	log := &view{out: os.Stdout}
	cmd.Stdout, cmd.Stderr = log, os.Stderr
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.temp, "CI=true", "GITHUB_ACTIONS=true",
		"GITHUB_WORKSPACE=" + r.workspace, "GITHUB_OUTPUT=" + file("output"), "GITHUB_STEP_SUMMARY=" + file("summary"),
		"INPUT_MODE=migrate", "INPUT_NEON-API-URL=" + r.neon[0][1], "INPUT_NEON-API-KEY=" + r.neon[1][1],
	}
	var outputs []string
	for _, want := range wanted {
		if name, value, ok := strings.Cut(strings.TrimPrefix(want, "with "), "="); ok && strings.HasPrefix(want, "with ") {
			cmd.Env = append(cmd.Env, "INPUT_"+strings.ToUpper(name)+"="+value)
			continue
		}
		outputs = append(outputs, want)
	}
	if err := cmd.Run(); (err == nil) != succeeds {
		return "", fmt.Errorf("the program ended with %v, which is not what was to be shown", cmd.ProcessState)
	}
	given, err := os.ReadFile(file("output"))
	if err != nil {
		return "", err
	}
	for _, want := range outputs {
		name, value, _ := strings.Cut(want, "=")
		if !strings.Contains(string(given), name+"<<") || !strings.Contains(string(given), "\n"+value+"\n") {
			return "", fmt.Errorf("output %s is not %s:\n%s", name, value, given)
		}
	}
	fmt.Printf("Outputs: %s. Masked in the log: %d texts.\n", strings.Join(outputs, ", "), len(log.masks))
	text, err := os.ReadFile(file("summary"))
	return string(text), err
}

func title(format string, args ...any) {
	fmt.Printf("\n── "+format+"\n\n", args...)
}
